//! Searching images by a text or by an image. `search_updates.rs` tests updates of an index.

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

use crate::fixture::Desk;
use crate::many::{SMALL, arguments, ppm, with_many};
use crate::recipe::{Config, Positions, Stored, write_safetensors};

pub(crate) const BUILD: [&str; 6] = ["search", "build", "many", "-o", "i.parquet", "-q"];

pub(crate) fn build(desk: &Desk) -> Option<i32> {
    desk.output(&arguments(&[&BUILD, &SMALL])).status.code()
}

pub(crate) fn index(desk: &Desk) -> Vec<u8> {
    fs::read(desk.path("i.parquet")).unwrap()
}

/// The paths that a query finds, the nearest first.
pub(crate) fn found(desk: &Desk, query: &[&str]) -> Vec<String> {
    let records = desk.records(&arguments(&[
        &["search", "query", "i.parquet", "--format", "ndjson", "-q"],
        query,
    ]));
    records
        .iter()
        .map(|record| record["path"].as_str().unwrap().to_owned())
        .collect()
}

/// An embedding from `longclip embed`.
fn embedding(desk: &Desk, what: &[&str]) -> Vec<f64> {
    let records = desk.records(&arguments(&[&["embed", "--normalize"], what, &SMALL]));
    let values = records[0]["embedding"].as_array().unwrap();
    values.iter().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn builds_an_index_and_queries_it() {
    let desk = Desk::with_pictures().and_small_model().file("broken.jpg", "no picture");
    let pictures = [
        "cat.jpg",
        "coffee.jpg",
        "broken.jpg",
        "astronaut.jpg",
        "cat.jpg",
        "-o",
        "i.parquet",
    ];
    assert_snapshot!(desk.run(&arguments(&[&["search", "build"], &pictures, &SMALL])), @"
    exit code 1
    --- stdout
    --- stderr
    error: cannot use the image `broken.jpg`: it is text, not an image that can be decoded
    hint: give an image: jpeg, png, webp, gif, bmp, tiff, ico, pnm, qoi, tga or hdr
    note: encoded: 3 done, 1 failed, [RATE] images/s
    note: i.parquet: 3 images, 3 new; 1 named more than once, and stored once
    ");
    assert_snapshot!(desk.run(&["search", "query", "i.parquet", "a cat", "a cup of coffee"]), @"
    exit code 0
    --- stdout
    a cat
       0.1162  cat.jpg
       0.0996  astronaut.jpg
       0.0691  coffee.jpg

    a cup of coffee
      -0.0097  astronaut.jpg
      -0.0115  cat.jpg
      -0.0611  coffee.jpg
    --- stderr
    ");
    assert_snapshot!(desk.run(&["search", "query", "i.parquet", "--image", "cat.jpg", "-k", "1", "-f", "ndjson"]), @r#"
    exit code 0
    --- stdout
    {"query":"cat.jpg","rank":1,"path":"cat.jpg","cosine":1.0}
    --- stderr
    "#);
    fs::remove_file(desk.path("coffee.jpg")).unwrap();
    fs::write(desk.path("astronaut.jpg"), "another").unwrap();
    let output = desk.output(&["search", "query", "i.parquet", "a cat", "-f", "json"]);
    let records: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let states: Vec<_> = records
        .iter()
        .map(|record| (&record["path"], &record["state"]))
        .collect();
    let expected = json!([["cat.jpg", null], ["astronaut.jpg", "changed"], ["coffee.jpg", "gone"]]);
    assert_eq!(json!(states), expected);
    assert_snapshot!(desk.run(&["search", "query", "i.parquet", "a cat", "--threshold", "0.99"]), @"
    exit code 0
    --- stdout
    a cat
      nothing
    --- stderr
    note: nothing found for `a cat`: no image passes `--threshold` and `--exclude`
    ");
    assert_snapshot!(desk.run(&["search", "query", "i.parquet", "a cat", "-f", r"{path}\t{label}\t{score:.3}\t{field.rank}"]), @"
    exit code 0
    --- stdout
    cat.jpg	a cat	0.116	1
    astronaut.jpg	a cat	0.100	2
    coffee.jpg	a cat	0.069	3
    --- stderr
    note: 2 of these are gone or changed since `i.parquet` was made; `longclip search build` brings it up to date
    ");
}

#[test]
fn cosines_and_order_agree_with_embed() {
    let desk = with_many(60);
    build(&desk);
    let text = embedding(&desk, &["--text", "a red square"]);
    let other = embedding(&desk, &["--text", "a wide river in the fog"]);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut expected: Vec<(String, f64, f64)> = (0..60)
        .map(|i| {
            let path = format!("many/{i:05}.ppm");
            let vector = embedding(&desk, &[&path]);
            (path, dot(&vector, &text), dot(&vector, &other))
        })
        .collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let query = [
        "search",
        "query",
        "i.parquet",
        "a red square",
        "-f",
        "ndjson",
        "-k",
        "60",
    ];
    // Rounding to f16 changes a cosine by less than this. Images with closer cosines may swap places.
    const BOUND: f64 = 2e-4;
    let check = |records: &[serde_json::Value], expected: &[&(String, f64, f64)]| {
        for (record, expected) in records.iter().zip(expected) {
            assert!(
                (record["cosine"].as_f64().unwrap() - expected.1).abs() < BOUND,
                "{record} for {expected:?}"
            );
        }
    };
    let records = desk.records(&query);
    assert_eq!(records.len(), 60);
    check(&records, &expected.iter().collect::<Vec<_>>());
    let kept = desk.records(&arguments(&[&query, &["--exclude", "a wide river in the fog"]]));
    let is_clear = |row: &&(String, f64, f64)| (row.2 - row.1).abs() > BOUND;
    let paths: Vec<&str> = kept.iter().map(|record| record["path"].as_str().unwrap()).collect();
    for row in expected.iter().filter(is_clear) {
        assert_eq!(paths.contains(&row.0.as_str()), row.2 < row.1, "{row:?}");
    }
    assert!(
        !paths.is_empty() && paths.len() < 60,
        "the exclusion drops some images: {}",
        paths.len()
    );
}

#[test]
fn files_that_are_not_an_index_are_refused_with_a_reason() {
    let desk = with_many(3)
        .file("text.parquet", "not parquet at all")
        .file("empty.parquet", "");
    build(&desk);
    let whole = index(&desk);
    fs::write(desk.path("cut.parquet"), &whole[..whole.len() / 2]).unwrap();
    desk.output(&arguments(&[
        &["classify", "many", "--label", "a cat", "-o", "labels.parquet"],
        &SMALL,
    ]));
    let mut said = String::new();
    for index in [
        "absent.parquet",
        "text.parquet",
        "empty.parquet",
        "cut.parquet",
        "labels.parquet",
        "many",
    ] {
        said += &desk.run(&["search", "query", index, "a cat"]);
    }
    assert_snapshot!(said, @r#"
    exit code 2
    --- stdout
    --- stderr
    error: no folder, archive or index `absent.parquet`
    hint: name what to search in: `longclip search photos/ "a cat"`
    exit code 2
    --- stdout
    --- stderr
    error: `text.parquet` is not a Parquet file
    hint: name an index, or make one: `longclip search build photos/ -o index.parquet`
    exit code 2
    --- stdout
    --- stderr
    error: `empty.parquet` is not a Parquet file
    hint: name an index, or make one: `longclip search build photos/ -o index.parquet`
    exit code 2
    --- stdout
    --- stderr
    error: `cut.parquet` can't be read as an index: the Parquet file is damaged (Parquet error: Invalid Parquet file. Corrupt footer)
    hint: remove it and build it again: `longclip search build photos/ -o index.parquet`
    exit code 2
    --- stdout
    --- stderr
    error: `labels.parquet` is a Parquet file, but not an index of images
    hint: name an index, or make one: `longclip search build photos/ -o index.parquet`
    exit code 0
    --- stdout
    a cat
       0.1120  many/00002.ppm
       0.0257  many/00000.ppm
      -0.0097  many/00001.ppm
    --- stderr
    note: encoded: 3 done, 0 failed, [RATE] images/s
    note: many: 3 images, 3 new
    "#);
}

#[test]
fn impossible_requests_are_refused_with_a_reason() {
    let desk = with_many(3).folder("none");
    build(&desk);
    let whole = index(&desk);
    assert_snapshot!(desk.run(&["search", "query", "i.parquet"]), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: nothing to search for
    hint: give a text: `longclip search photos/ "a cat on a sofa"`, or `--image FILE`
    "#);
    assert_snapshot!(desk.run(&["search", "query", "i.parquet", "a cat", "-o", "found.txt"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: `found.txt` does not end in the name of a format
    hint: end it in .ndjson, .json or .html, or choose a format: `--format ndjson`
    ");
    assert_snapshot!(desk.run(&["search", "query", "i.parquet", "--image", "many"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: there is more than one image in `many`
    hint: name one, or each of them by itself
    ");
    assert_snapshot!(desk.run(&["search", "query", "i.parquet", "a cat", "--threshold", "2"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: invalid value '2' for '--threshold <X>': a cosine is between -1 and 1

    For more information, try '--help'.
    ");
    assert_snapshot!(desk.run(&["search", "build", "-o", "new.parquet"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: no images given
    hint: name some: `longclip search build photos/ -o photos.parquet`
    ");
    assert_snapshot!(desk.run(&arguments(&[&["search", "build", "none", "-o", "new.parquet"], &SMALL])), @"
    exit code 2
    --- stdout
    --- stderr
    error: there is no image for `new.parquet`
    hint: name images or folders of images: `longclip search build photos/ -o index.parquet`
    ");
    assert_snapshot!(desk.run(&["search", "build", "none", "-o", "i.parquet"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: none of the 3 images in `i.parquet` is left; the index stays as it is
    hint: is the disk mounted? If the images are meant to be gone, remove the index
    ");
    assert!(index(&desk) == whole && !desk.path("new.parquet").exists());
}

#[test]
fn an_index_of_another_model_or_number_type_is_refused_by_name() {
    let desk = with_many(3);
    build(&desk);
    // The same model, stored in another number type, has other bytes.
    let other = desk.path("other.safetensors");
    write_safetensors(&other, &Config::SMALL, Positions::Long, Stored::F32).unwrap();
    for verb in [
        &["query", "i.parquet", "a cat"][..],
        &["build", "many", "-o", "i.parquet"],
    ] {
        for model in [
            &["--model", "other.safetensors"][..],
            &["--dtype", "bf16"],
            &["--model", "nano"],
        ] {
            let output = desk.output(&arguments(&[&["search"], verb, model]));
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(
                said.contains("`i.parquet` was made with the model `small.safetensors` in f32 (weights "),
                "{said}"
            );
            assert!(said.contains(", and this is the model `"), "{said}");
        }
    }
    // A copy of the model is the same model, and the model of the index need not be named.
    fs::copy(desk.path("small.safetensors"), desk.path("copy.safetensors")).unwrap();
    assert_eq!(found(&desk, &["a cat", "--model", "copy.safetensors"]).len(), 3);
    assert_eq!(found(&desk, &["a cat"]).len(), 3);
    fs::remove_file(desk.path("small.safetensors")).unwrap();
    assert_snapshot!(desk.run(&["search", "query", "i.parquet", "a cat"]), @"
    exit code 2
    --- stdout
    --- stderr
    error: no model `small.safetensors`: `i.parquet` was made with it, and it is not on this machine
    hint: name its file with `--model`, or download a known model with `longclip model pull NAME`
    ");
}

#[cfg(unix)]
#[test]
fn the_html_page_of_an_index_that_names_a_device_does_not_read_it() {
    let desk = Desk::with_pictures().and_small_model();
    let pictures = ["cat.jpg", "coffee.jpg", "-o", "i.parquet", "-q"];
    desk.output(&arguments(&[&["search", "build"], &pictures, &SMALL]));
    for device in ["/dev/zero", "/dev/stdin"] {
        fs::remove_file(desk.path("cat.jpg")).unwrap();
        std::os::unix::fs::symlink(device, desk.path("cat.jpg")).unwrap();
        let query = ["search", "query", "i.parquet", "a cat", "-o", "found.html", "--force"];
        let output = desk.output(&query);
        let page = fs::read_to_string(desk.path("found.html")).unwrap();
        let thumbnails = page.matches("data:image/").count();
        assert_eq!((output.status.code(), thumbnails), (Some(0), 1), "{device}: {output:?}");
    }
}

#[test]
fn the_html_page_shows_the_results() {
    let desk = Desk::with_pictures().and_small_model();
    desk.output(&arguments(&[
        &["search", "build", "cat.jpg", "coffee.jpg", "-o", "i.parquet"],
        &SMALL,
    ]));
    fs::remove_file(desk.path("coffee.jpg")).unwrap();
    desk.output(&["search", "query", "i.parquet", "a <b>cat", "-o", "found.html"]);
    let page = fs::read_to_string(desk.path("found.html")).unwrap();
    assert_eq!(page.matches("class=\"image\">").count(), 2);
    assert_eq!(page.matches("\"photo\":\"").count(), 1, "the one that still exists");
    assert_eq!(page.matches("\"link\":\"cat.jpg\"").count(), 1);
    assert_eq!(page.matches("\"state\":\"gone\"").count(), 1);
    assert!(page.contains("a \\u003cb>cat") && !page.contains("<b>cat"));
}

#[test]
fn queries_come_from_a_file_or_stdin_and_images_too() {
    let desk = with_many(3).file("queries.txt", "a cat\na dog\n");
    build(&desk);
    let query = [
        "search",
        "query",
        "i.parquet",
        "a bird",
        "-k",
        "1",
        "-f",
        "ndjson",
        "-q",
    ];
    let queries = |more: &[&str], desk: &Desk| -> Vec<String> {
        let records = desk.records(&arguments(&[&query, more]));
        records
            .iter()
            .map(|record| record["query"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        queries(&["--queries-from", "queries.txt"], &desk),
        ["a bird", "a cat", "a dog"]
    );
    let desk = desk.stdin(b"a fish\n");
    assert_eq!(queries(&["--queries-from", "-"], &desk), ["a bird", "a fish"]);
    let desk = desk.stdin(&ppm(1));
    assert_eq!(found(&desk, &["--image", "-", "-k", "1"]), ["many/00001.ppm"]);
    assert_eq!(
        desk.output(&arguments(&[&query, &["--image", "-", "--queries-from", "-"]]))
            .status
            .code(),
        Some(2)
    );
}
