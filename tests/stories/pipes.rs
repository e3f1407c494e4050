//! Many images: folders, streams and pipelines as inputs, every output format, and interruptions without loss.

use std::fs;
use std::io::Write;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::fixture::{Desk, repository};
use crate::many::{LABELS, SMALL, arguments, text, with_many};

pub(crate) fn paths(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["path"].as_str().unwrap()).collect()
}

#[test]
fn one_broken_file_in_a_folder_does_not_affect_the_others() {
    let desk = with_many(3)
        .file("many/00001.ppm", "P6 8 8 255\nshort")
        .file("many/notes.txt", "not a picture");
    let run = desk.run(&arguments(&[
        &["classify", "many", "--format", r"{path} {label}{error}"],
        &LABELS,
        &SMALL,
    ]));
    assert_snapshot!(run, @r"
    exit code 1
    --- stdout
    many/00000.ppm a dog, asleep
    many/00001.ppm cannot use the image `many/00001.ppm`: the file is cut short: its end is missing; copy or fetch it again
    many/00002.ppm a dog, asleep
    --- stderr
    error: cannot use the image `many/00001.ppm`: the file is cut short: its end is missing
    hint: copy or fetch it again
    note: 2 done, 1 failed, [RATE] images/s
    note: skipped as not an image: 1 (`many/notes.txt`)
    ");
}

#[test]
fn the_readmes_pipeline_works_as_written() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let lines: Vec<&str> = readme.lines().filter(|line| line.starts_with("find . ")).collect();
    let [line] = lines[..] else {
        panic!("the README should have one pipeline, not {lines:?}");
    };
    assert!(
        line.contains("-print0 | longclip classify --files-from - -0 ") && line.ends_with("| jq ."),
        "{line}"
    );
    let name = "with space\nand line.jpg";
    let desk = Desk::with_pictures().file(name, fs::read(repository().join("img/cat.jpg")).unwrap());
    if !desk.shell("jq --version").status.success() {
        println!("skipped: jq is not installed");
        return;
    }
    let output = desk.shell(line);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let records: Vec<Value> = values.map(|value| value.unwrap()).collect();
    let mut found = paths(&records);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "./astronaut.jpg",
            "./cat.jpg",
            "./coffee.jpg",
            "./with space\nand line.jpg"
        ]
    );
    for record in &records {
        let labels = record["labels"].as_array().unwrap();
        let sum: f64 = labels.iter().map(|label| label["probability"].as_f64().unwrap()).sum();
        assert!(labels.len() == 2 && (sum - 1.0).abs() < 1e-5, "{record}");
    }
}

#[test]
fn a_reader_that_stops_early_is_not_an_error() {
    let desk = with_many(300);
    for (command, more) in [
        ("classify many --format ndjson -q", ""),
        ("classify many --format ndjson", "2> /dev/null"),
        ("classify many --format csv -q", ""),
        ("classify many --format '{path} {label}' -q", ""),
        ("classify many -q", ""),
        ("embed many -q", ""),
        ("sort many --into sorted --copy --dry-run -q", ""),
    ] {
        let labels = if command.starts_with("embed") {
            ""
        } else {
            "--label 'a cat' --label 'a dog'"
        };
        let script =
            format!("{{ longclip {command} {labels} --model small.safetensors {more}; echo $? > code; }} | head -1");
        let output = desk.shell(&script);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{command}");
        assert_eq!(
            output.stdout.iter().filter(|&&byte| byte == b'\n').count(),
            1,
            "{command}"
        );
        assert_eq!(text(&desk, "code"), "0\n", "{command}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: there is no /dev/full");
        return;
    }
    let run = arguments(&[
        &["classify", "many", "--format", "ndjson", "-q", "--output", "/dev/full"],
        &LABELS,
        &SMALL,
    ]);
    let output = with_many(3).output(&run);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("error: cannot write `/dev/full`: ")
    );
}

#[test]
fn each_record_gives_one_record_with_its_fields_and_labels() {
    let lines = [
        r#"{"path":"cat.jpg","n":1,"labels":["only this"]}"#,
        r#"{"path":"gone.jpg","n":2}"#,
        "no json",
        r#"{"id":"x","image_b64":"UDYgMSAxIDI1NQr/AAA=","error":"ours wins"}"#,
    ];
    let desk = with_many(0).stdin(lines.join("\n").as_bytes());
    let records = desk.records(&arguments(&[
        &["classify", "--ndjson-from", "-", "--format", "ndjson"],
        &LABELS,
        &SMALL,
    ]));
    assert_eq!(records.len(), 4);
    assert_eq!(
        (&records[0]["n"], records[0]["labels"].as_array().unwrap().len()),
        (&1.into(), 1)
    );
    assert_eq!(records[0]["labels"][0]["label"], "only this");
    assert_eq!(records[1]["n"], 2);
    assert!(records[1]["error"].as_str().unwrap().contains("gone.jpg"));
    assert_eq!(records[2]["path"], "-:3");
    assert_eq!((&records[3]["id"], records[3].get("error")), (&"x".into(), None));
    assert_eq!(records[3]["labels"].as_array().unwrap().len(), 2);
}

#[test]
fn reads_an_image_or_an_archive_from_stdin() {
    let picture = fs::read(repository().join("img/cat.jpg")).unwrap();
    let run = arguments(&[&["classify", "-", "--format", "ndjson"], &LABELS, &SMALL]);
    let named = with_many(0).records(&arguments(&[
        &["classify", "cat.jpg", "--format", "ndjson"],
        &LABELS,
        &SMALL,
    ]));
    let piped = with_many(0).stdin(&picture).records(&run);
    assert_eq!(
        (&piped[0]["path"], &piped[0]["labels"]),
        (&"-".into(), &named[0]["labels"])
    );

    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("shard/0001.jpg", &picture[..]),
        ("shard/0001.txt", b"a cat"),
        ("shard/0002.left.jpg", &picture),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    let plain = builder.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    for archive in [gzip.finish().unwrap(), zstd::encode_all(&plain[..], 1).unwrap(), plain] {
        let unpacked = with_many(0).stdin(&archive).records(&run);
        assert_eq!(paths(&unpacked), ["shard/0001.jpg", "shard/0002.left.jpg"]);
        assert_eq!(
            (&unpacked[0]["__key__"], &unpacked[1]["__key__"]),
            (&"shard/0001".into(), &"shard/0002".into())
        );
        assert!(unpacked.iter().all(|record| record["labels"] == named[0]["labels"]));
    }
}

#[cfg(unix)]
#[test]
fn cyclic_links_are_skipped_and_counted() {
    let desk = with_many(2);
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, desk.path(name)).unwrap();
    link(".", "many/self");
    link("../many", "many/back");
    link("nowhere.jpg", "many/gone.jpg");
    let run = arguments(&[
        &["classify", "many", "--follow", "--format", "{path}: {error}"],
        &LABELS,
        &SMALL,
    ]);
    assert_snapshot!(desk.run(&run), @r"
    exit code 1
    --- stdout
    many/00000.ppm: 
    many/00001.ppm: 
    many/gone.jpg: cannot read `many/gone.jpg`: No such file or directory
    --- stderr
    error: cannot read `many/gone.jpg`: No such file or directory
    note: 2 done, 1 failed, [RATE] images/s
    note: skipped as a folder that was reached before: 2 (the first: `many/back`)
    ");
}

#[cfg(feature = "parquet")]
#[test]
fn a_parquet_file_has_the_numbers_and_metadata() {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float32Type;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let desk = with_many(3).file("many/00001.ppm", "broken");
    let run = arguments(&[&["classify", "many", "-q", "--embeddings"], &LABELS, &SMALL]);
    let records = desk.records(&[&run[..], &["--format", "ndjson"]].concat());
    desk.output(&[&run[..], &["--output", "out.parquet"]].concat());
    let file = fs::File::open(desk.path("out.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let notes = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let note = |key: &str| {
        notes
            .iter()
            .find(|note| note.key == key)
            .unwrap()
            .value
            .clone()
            .unwrap()
    };
    assert_eq!(note("longclip.model"), "small.safetensors");
    assert_eq!(note("longclip.version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(note("longclip.labels"), r#"["a cat","a dog, asleep"]"#);

    let rows = reader.build().unwrap().next().unwrap().unwrap();
    assert_eq!(rows.num_rows(), 3);
    let labels = rows.column_by_name("labels").unwrap().as_list::<i32>();
    let vectors = rows.column_by_name("embedding").unwrap().as_fixed_size_list();
    let errors = rows.column_by_name("error").unwrap().as_string::<i32>();
    for (row, record) in records.iter().enumerate() {
        assert_eq!(
            rows.column_by_name("path").unwrap().as_string::<i32>().value(row),
            record["path"]
        );
        if let Some(error) = record["error"].as_str() {
            assert!(labels.is_null(row) && vectors.is_null(row));
            assert_eq!(errors.value(row), error);
            continue;
        }
        let likeliest = labels.value(row);
        let likeliest = likeliest.as_struct();
        assert_eq!(
            likeliest.column_by_name("label").unwrap().as_string::<i32>().value(0),
            record["labels"][0]["label"]
        );
        for number in ["probability", "logit", "cosine"] {
            let value = likeliest
                .column_by_name(number)
                .unwrap()
                .as_primitive::<Float32Type>()
                .value(0);
            assert_eq!(value, record["labels"][0][number].as_f64().unwrap() as f32, "{number}");
        }
        let first = vectors.value(row).as_primitive::<Float32Type>().value(0);
        assert_eq!(first, record["embedding"][0].as_f64().unwrap() as f32);
    }
}

#[test]
fn the_format_follows_from_the_file_extension() {
    let desk = with_many(5).file("many/00003.ppm", "broken");
    for (name, begins) in [
        ("a.json", &b"[\n{"[..]),
        ("a.ndjson", b"{\"path\":"),
        ("a.jsonl", b"{\"path\":"),
        ("a.csv", b"path,rank,label,"),
        ("a.tsv", b"path\trank\tlabel\t"),
        ("a.html", b"<!doctype html>"),
        #[cfg(feature = "parquet")]
        ("a.parquet", b"PAR1"),
    ] {
        let output = desk.output(&arguments(&[&["classify", "many", "--output", name], &LABELS, &SMALL]));
        assert_eq!(
            output.status.code(),
            Some(1),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.stdout.is_empty());
        assert!(fs::read(desk.path(name)).unwrap().starts_with(begins), "{name}");
        assert!(!desk.path(&format!("{name}.partial")).exists());
    }
    assert_eq!(text(&desk, "a.ndjson"), text(&desk, "a.jsonl"));
    assert_eq!(text(&desk, "a.html").matches("class=\"image\">").count(), 5);
    assert_eq!(text(&desk, "a.html").matches("\"photo\":\"").count(), 4);
}

#[test]
fn embeddings_in_records_equal_those_of_embed() {
    let desk = with_many(2);
    let vectors = desk.records(&arguments(&[&["embed", "many"], &SMALL]));
    let both = desk.records(&arguments(&[
        &["classify", "many", "--embeddings", "--format", "ndjson"],
        &LABELS,
        &SMALL,
    ]));
    for (vector, both) in vectors.iter().zip(&both) {
        assert_eq!(vector["embedding"], both["embedding"]);
        assert_eq!(both["labels"].as_array().unwrap().len(), 2);
    }
    desk.output(&arguments(&[
        &["embed", "many", "many/00000.ppm", "--output", "v.npy"],
        &SMALL,
    ]));
    let npy = fs::read(desk.path("v.npy")).unwrap();
    let last = f32::from_le_bytes(npy[npy.len() - 4..].try_into().unwrap());
    let expected = vectors[0]["embedding"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .as_f64()
        .unwrap();
    assert!((f64::from(last) - expected).abs() < 1e-6);
}

#[test]
fn each_line_of_a_file_of_texts_has_its_row() {
    let desk = with_many(0).file("texts", "a dog\n\na cat\n");
    let records = desk.records(&arguments(&[
        &["embed", "--texts-file", "texts", "--text", "a bird"],
        &SMALL,
    ]));
    let texts: Vec<&str> = records.iter().map(|record| record["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["a bird", "a dog", "", "a cat"]);
}

#[test]
fn conflicting_flags_are_refused_before_anything_is_loaded() {
    let desk = with_many(1);
    let refusal = |more: &[&str]| {
        let output = desk.output(&[&["classify", "many", "--label", "a", "--model", "not there"], more].concat());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
        let said = String::from_utf8(output.stderr).unwrap();
        said.lines()
            .take(2)
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end()
            .to_owned()
    };
    let said = [
        &["--resume"][..],
        &["--format", "npy"],
        &["--format", "csv", "--embeddings"],
        &["--format", "json", "--wide"],
        &["--format", "csv", "--wide", "--top-k", "1"],
        &["--output", "out.xyz"],
        &["--format", "{nonsense}"],
        &["--files-from", "-", "-"],
        &["-0"],
    ]
    .map(refusal);
    assert_snapshot!(said.join("\n\n"), @r"
    error: the following required arguments were not provided:
      --output <FILE>

    error: invalid value 'npy' for '--format <FORMAT>': it can't hold labels; expected one of table, json, ndjson, csv, tsv, parquet, arrow, html, exiftool, or a template such as '{path} {label}'

    error: the format csv can't hold vectors in addition to labels
    hint: these have: json, ndjson, parquet

    error: `--wide` changes nothing in the format json
    hint: it is for csv, tsv, parquet

    error: `--wide` has a column for each label, so all images need the same labels, without `--top-k`
    hint: leave out `--wide`

    error: `out.xyz` does not end in the name of a format
    hint: end it in .ndjson, .csv, .parquet or .html, or choose a format: `--format ndjson`

    error: invalid value '{nonsense}' for '--format <FORMAT>': the template `{nonsense}` can't be used: `nonsense` is not a value; values are {path}, {label}, {labels}, {score}, {logit}, {cosine}, {group}, {group_score}, {error} and {field.NAME}; {label.2} is the second label, {score:.3} has three decimals

    error: 2 inputs read stdin, which can be read only once
    hint: give all but one of them a file

    error: the following required arguments were not provided:
      --files-from <FILE>
    ");
}
