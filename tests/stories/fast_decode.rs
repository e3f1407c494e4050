//! `--fast-decode` reads large JPEGs smaller: scores change a little, and only if it is asked for.

use insta::assert_snapshot;

use crate::fixture::Desk;
use crate::many::{LABELS, arguments, text};

const PHOTOS: [&str; 3] = ["cat.jpg", "coffee.jpg", "astronaut.jpg"];
const NANO: [&str; 3] = ["--model", "nano", "-q"];

#[test]
fn scores_change_a_little_and_only_with_the_flag() {
    let desk = Desk::with_pictures();
    let probabilities = |more: &[&str]| -> Vec<f64> {
        let run = [
            &["classify"],
            &PHOTOS[..],
            &LABELS,
            &NANO,
            &["--format", "ndjson"],
            more,
        ]
        .concat();
        let records = desk.records(&run);
        let of = |record: &serde_json::Value| {
            let labels = record["labels"].as_array().unwrap();
            let cat = labels.iter().find(|label| label["label"] == "a cat").unwrap();
            cat["probability"].as_f64().unwrap()
        };
        records.iter().map(of).collect()
    };
    let (whole, fast) = (probabilities(&[]), probabilities(&["--fast-decode"]));
    for (photo, (whole, fast)) in PHOTOS.iter().zip(whole.iter().zip(&fast)) {
        println!("{photo}: {whole} and {fast}");
        assert!(
            whole != fast && (whole - fast).abs() < 0.05,
            "{photo}: {whole} and {fast}"
        );
    }
}

#[test]
fn results_are_not_continued_with_photos_that_are_read_otherwise() {
    let desk = Desk::with_pictures();
    let run = |more: &[&str]| desk.run(&[&["classify"], &PHOTOS[..], &LABELS, &NANO, more].concat());
    run(&["--output", "out.ndjson"]);
    let before = text(&desk, "out.ndjson");
    let resumed = run(&["--output", "out.ndjson", "--resume", "--fast-decode"]);
    assert!(resumed.contains("exit code 2"), "{resumed}");
    assert!(resumed.contains("can't be resumed: the record of `"), "{resumed}");
    assert_eq!(text(&desk, "out.ndjson"), before);

    run(&["--shard", "0/2", "--output", "out/"]);
    assert_snapshot!(run(&["--shard", "1/2", "--output", "out/", "--fast-decode"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `out/` holds shards made with other settings: `fast_decode` was not given there and is `true` here
    hint: give what `out/_longclip.json` says, or name another folder
    ");
}

#[cfg(feature = "parquet")]
#[test]
fn an_index_remembers_how_its_photos_were_read() {
    let desk = Desk::with_pictures();
    let build = [
        "search",
        "build",
        "cat.jpg",
        "coffee.jpg",
        "-o",
        "i.parquet",
        "--model",
        "nano",
        "-q",
    ];
    desk.run(&arguments(&[&build, &["--fast-decode"]]));
    assert_snapshot!(desk.run(&build), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `i.parquet` has images rotated as their EXIF data says, decoded at a reduced size, and these would be rotated as their EXIF data says
    hint: turn, fit and decode images as the index does, or build another index
    ");
    // A query reads its own images as the index does: the same photo is as near as it can be.
    let query = [
        "search",
        "query",
        "i.parquet",
        "--image",
        "cat.jpg",
        "--top-k",
        "1",
        "--format",
        "ndjson",
        "-q",
    ];
    let hit = &desk.records(&query)[0];
    println!("{hit}");
    assert!(hit["cosine"].as_f64().unwrap() > 0.99999, "{hit}");
}

#[test]
fn it_is_not_for_heat_maps() {
    let desk = Desk::with_pictures();
    let run = ["classify", "cat.jpg", "--explain", "seen.png", "--fast-decode"];
    assert_snapshot!(desk.run(&arguments(&[&run, &LABELS, &NANO])), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `--explain` paints photos at their full size, and `--fast-decode` reads them smaller
    hint: leave out one of them
    ");
}
