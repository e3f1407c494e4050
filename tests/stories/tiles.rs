//! `--fit tiles`: what is at the ends of a panorama, and what is small in a large photo.

use std::collections::HashMap;
use std::fs;

use insta::assert_snapshot;
use longclip::preprocess::{Limits, Orientation, Picture, decode};

use crate::fixture::{Desk, repository};
use crate::many::{LABELS, SMALL, arguments};

/// A binary pixmap of `width` columns and `height` rows.
fn pixmap(width: usize, height: usize, rgb: &[u8]) -> Vec<u8> {
    [format!("P6 {width} {height} 255\n").as_bytes(), rgb].concat()
}

/// Columns `from..to` of an image, as a pixmap.
fn columns(picture: &Picture, from: usize, to: usize) -> Vec<u8> {
    let rgb = picture.rgb();
    let rows = rgb.chunks_exact(picture.width_px() * 3);
    let cut: Vec<u8> = rows.flat_map(|row| &row[from * 3..to * 3]).copied().collect();
    pixmap(to - from, picture.height_px(), &cut)
}

fn photo(name: &str) -> Picture {
    let bytes = fs::read(repository().join("img").join(name)).unwrap();
    decode(name, &bytes, Orientation::Upright, &Limits::default()).unwrap()
}

/// The centres of two photos with a clear sky between them, 300 pixels each.
fn panorama(left: &str, right: &str) -> Vec<u8> {
    const SIDE: usize = 300;
    let ends = [left, right].map(photo);
    let row = |photo: &Picture, y: usize| -> Vec<u8> {
        let (left, top) = ((photo.width_px() - SIDE) / 2, (photo.height_px() - SIDE) / 2);
        let start = ((top + y) * photo.width_px() + left) * 3;
        photo.rgb()[start..start + SIDE * 3].to_vec()
    };
    let sky = |y: usize| [(90, 200), (150, 220), (230, 240)].map(|(top, below)| (top + (below - top) * y / SIDE) as u8);
    let rows = (0..SIDE).flat_map(|y| [row(&ends[0], y), sky(y).repeat(SIDE), row(&ends[1], y)].concat());
    pixmap(3 * SIDE, SIDE, &rows.collect::<Vec<u8>>())
}

/// `wide.ppm`, 90 x 30 pixels, and its four tiles, cut by hand.
fn desk() -> Desk {
    let rgb: Vec<u8> = (0..90 * 30 * 3)
        .map(|i: usize| (i * 7 + i / 270 * 31 + i * i / 999) as u8)
        .collect();
    let wide = pixmap(90, 30, &rgb);
    let picture = decode("wide", &wide, Orientation::Upright, &Limits::default()).unwrap();
    let mut desk = Desk::with_pictures()
        .and_small_model()
        .folder("cut")
        .file("wide.ppm", wide);
    for left in [0, 20, 40, 60] {
        desk = desk.file(&format!("cut/{left}.ppm"), columns(&picture, left, left + 30));
    }
    desk
}

/// A number of each label, by its name, of each record.
fn numbers(records: &[serde_json::Value], number: &str) -> Vec<HashMap<String, f64>> {
    let of_record = |record: &serde_json::Value| -> HashMap<String, f64> {
        let labels = record["labels"].as_array().unwrap();
        let named = labels
            .iter()
            .map(|label| (label["label"].as_str().unwrap(), label[number].as_f64().unwrap()));
        named.map(|(name, number)| (name.to_owned(), number)).collect()
    };
    records.iter().map(of_record).collect()
}

fn classified(desk: &Desk, input: &str, more: &[&str]) -> Vec<serde_json::Value> {
    desk.records(&arguments(&[
        &["classify", input, "--format", "ndjson"],
        &LABELS,
        &SMALL,
        more,
    ]))
}

#[test]
fn scores_are_those_of_tiles_that_were_cut_by_hand() {
    let desk = desk();
    for score in [
        &["--score", "independent"][..],
        &["--score", "softmax", "--temperature", "2"],
    ] {
        let by_hand = numbers(&classified(&desk, "cut", score), "logit");
        assert_eq!(by_hand.len(), 4);
        for (fit, pool) in [
            (
                "tiles",
                (|logits| logits.into_iter().fold(f64::MIN, f64::max)) as fn(Vec<f64>) -> f64,
            ),
            ("tiles-mean", |logits| logits.iter().sum::<f64>() / 4.0),
        ] {
            let records = classified(&desk, "wide.ppm", &[score, &["--fit", fit]].concat());
            let [logits] = &numbers(&records, "logit")[..] else {
                panic!("one record per image: {records:?}");
            };
            let [probabilities] = &numbers(&records, "probability")[..] else {
                unreachable!("the same records");
            };
            let sum: f64 = logits.values().map(|logit| logit.exp()).sum();
            for (label, logit) in logits {
                let expected = pool(by_hand.iter().map(|tile| tile[label]).collect());
                assert!(
                    (logit - expected).abs() < 1e-4,
                    "{score:?} {fit} {label}: {logit}, not {expected}"
                );
                let probability = match score[1] {
                    "softmax" => logit.exp() / sum,
                    _ => 1.0 / (1.0 + (-logit).exp()),
                };
                assert!(
                    (probabilities[label] - probability).abs() < 1e-6,
                    "{score:?} {fit} {label}"
                );
            }
        }
    }
    let whole = classified(&desk, "cut/0.ppm", &[]);
    assert_eq!(
        classified(&desk, "cut/0.ppm", &["--fit", "tiles"]),
        whole,
        "a small square is one tile"
    );
}

#[test]
fn a_batch_and_the_images_around_it_change_nothing() {
    let desk = desk();
    fs::copy(desk.path("wide.ppm"), desk.path("cut/wide.ppm")).unwrap();
    fs::write(desk.path("cut/broken.ppm"), "P6 9 9 255\n").unwrap();
    let alone = classified(&desk, "wide.ppm", &["--fit", "tiles"]);
    for batch in ["1", "3", "64"] {
        let together = classified(&desk, "cut", &["--fit", "tiles", "--batch", batch]);
        assert_eq!(together.len(), 6);
        assert_eq!(together[5]["labels"], alone[0]["labels"], "batch {batch}");
        assert!(together[4]["error"].is_string(), "{:?}", together[4]);
    }
}

#[test]
fn things_at_the_ends_of_a_panorama_are_found() {
    let desk = Desk::new().file("panorama.ppm", panorama("coffee.jpg", "cat.jpg"));
    let labels = ["a cup of coffee", "a cat", "a forest", "a train"];
    let found = |fit: &str| -> HashMap<String, f64> {
        let classify = ["classify", "panorama.ppm", "--fit", fit, "--score", "independent"];
        let records = desk.records(&arguments(&[&classify, &["--format", "ndjson", "--labels"], &labels]));
        numbers(&records, "probability").remove(0)
    };
    let (crop, tiles) = (found("crop"), found("tiles"));
    for (i, label) in labels.into_iter().enumerate() {
        assert!(crop[label] < 0.5, "{label} is not in the centre: {crop:?}");
        assert_eq!(tiles[label] > 0.5, i < 2, "{label}: {tiles:?}");
    }
}

#[test]
fn each_command_that_scores_images_can_use_tiles() {
    let desk = desk()
        .file("words.txt", "cat\ndog\n")
        .file("pairs.ndjson", "{\"path\": \"wide.ppm\", \"text\": \"a cat\"}\n");
    let pairs = |fit: &str| {
        let records = desk.records(&arguments(&[&["score", "pairs.ndjson", "--fit", fit], &SMALL]));
        records[0]["labels"][0]["cosine"].as_f64().unwrap()
    };
    let by_hand = |label: &str| {
        let records = desk.records(&arguments(&[
            &["classify", "cut", "--score", "cosine", "--format", "ndjson"],
            &LABELS,
            &SMALL,
        ]));
        let cosines = numbers(&records, "cosine");
        cosines.iter().map(|tile| tile[label]).fold(f64::MIN, f64::max)
    };
    assert!((pairs("tiles") - by_hand("a cat")).abs() < 1e-6);
    assert!(pairs("tiles-mean") < pairs("tiles"));
    let tag = [
        "tag",
        "wide.ppm",
        "cut",
        "--vocabulary",
        "words.txt",
        "--threshold",
        "1e-300",
        "--fit",
        "tiles",
    ];
    let tagged = desk.records(&arguments(&[&tag, &["--format", "ndjson"], &SMALL]));
    assert_eq!(tagged.len(), 5);
    let sort = ["sort", "wide.ppm", "--into", "sorted", "--copy", "--fit", "tiles"];
    assert_eq!(
        desk.output(&arguments(&[&sort, &LABELS, &SMALL])).status.code(),
        Some(0)
    );
}

#[test]
fn the_parts_of_a_result_need_the_same_tiles() {
    let desk = desk();
    let shard = |fit: &str, i: &str| {
        let run = [
            "classify", "cut", "wide.ppm", "-q", "-o", "out/", "--shard", i, "--fit", fit,
        ];
        desk.output(&arguments(&[&run, &LABELS, &SMALL]))
    };
    assert_eq!(shard("tiles", "0/2").status.code(), Some(0));
    let other = shard("tiles-mean", "1/2");
    assert_eq!(other.status.code(), Some(2));
    let stderr = String::from_utf8(other.stderr).unwrap();
    assert!(stderr.contains("fit"), "{stderr}");
    let base = arguments(&[
        &["classify", "cut", "wide.ppm", "-q", "-o", "all.ndjson"],
        &LABELS,
        &SMALL,
    ]);
    let fit = |fit: &'static str| [&base[..], &["--fit", fit]].concat();
    assert_eq!(desk.output(&fit("tiles")).status.code(), Some(0));
    let resumed = |how: &'static str| desk.output(&[&fit(how)[..], &["--resume"]].concat()).status.code();
    assert_eq!((resumed("tiles"), resumed("crop")), (Some(0), Some(2)));
}

#[test]
fn what_needs_one_embedding_per_image_refuses_tiles() {
    let desk = desk();
    let tiles = ["--fit", "tiles"];
    assert_snapshot!(desk.run(&arguments(&[&["embed", "wide.ppm"], &tiles, &SMALL])), @"
    exit code 2
    --- stdout
    --- stderr
    error: invalid value 'tiles' for '--fit <HOW>'
      [possible values: crop, pad, squash]

    For more information, try '--help'.
    ");
    let refused: [&[&str]; 7] = [
        &["embed", "wide.ppm"],
        &["search", "build", "cut", "-o", "index.parquet"],
        &["search", "cut", "a cat"],
        &["eval", "zeroshot", "--data", "cut"],
        &["eval", "retrieval", "--data", "pairs.ndjson"],
        &[
            "classify",
            "wide.ppm",
            "--label",
            "a cat",
            "--embeddings",
            "--format",
            "ndjson",
        ],
        &["classify", "wide.ppm", "--label", "a cat", "--explain", "seen.png"],
    ];
    for command in refused {
        let said = desk.run(&arguments(&[command, &tiles, &SMALL]));
        assert!(
            said.starts_with("exit code 2")
                && (said.contains("and `--fit tiles`") || said.contains("crop, pad, squash]")),
            "{command:?}: {said}"
        );
    }
    assert!(!desk.path("index.parquet").exists());
}
