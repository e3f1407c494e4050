//! Which captions a training takes, in which order, and what a resumed training compares.

use std::fs;

use super::*;
use crate::data::testing::{file, fixture, folder};
use crate::input::testing::archive_of;

fn options(templates: &[&str]) -> TrainingOptions {
    TrainingOptions {
        images: None,
        templates: templates.iter().map(|text| Template::new(text).unwrap()).collect(),
        scratch: std::env::temp_dir(),
    }
}

fn opened(paths: &[PathBuf]) -> TrainingSet {
    TrainingSet::open(paths, &options(&["a photo of a {}."])).unwrap()
}

/// Long caption, short caption and class.
fn captions(data: &TrainingSet, i: usize, draw: u64) -> (String, String, Option<String>) {
    let pair = data.read(i, draw).unwrap();
    (pair.long, pair.short, pair.class)
}

fn expected(long: &str, short: &str, class: Option<&str>) -> (String, String, Option<String>) {
    (long.to_owned(), short.to_owned(), class.map(str::to_owned))
}

#[test]
fn the_short_caption_is_the_datas_own_or_the_first_sentence() {
    let lines = r#"{"path":"a.jpg","long":"One. Two.","short":"Own.","class":"fire_truck"}
{"path":"a.jpg","text":["One thing. Two things.","No stop"]}
{"path":"a.jpg","caption":". A cat."}
{"path":"a.jpg","caption":["x"," "]}
{"path":".","caption":"x"}"#;
    let (_dir, path) = file("data.ndjson", lines);
    let data = opened(&[path]);
    assert_eq!(data.about(), "5 records");
    assert_eq!(captions(&data, 0, 0), expected("One. Two.", "Own.", Some("fire_truck")));
    assert_eq!(
        captions(&data, 1, 0),
        expected("One thing. Two things.", "One thing", None)
    );
    assert_eq!(captions(&data, 1, 3), expected("No stop", "No stop", None));
    assert_eq!(data.read(0, 0).unwrap().image, b"a.jpg");
    for (i, draw, said) in [
        (2, 0, "line 3`: its caption begins with no word"),
        (3, 1, "line 4`: its caption is empty"),
        (4, 0, "it is not a file"),
    ] {
        let problem = data.read(i, draw).unwrap_err().to_string();
        assert!(problem.contains(said), "{problem}");
    }
}

#[test]
fn captions_of_classes_are_made_by_templates_in_turn() {
    let (_dir, root) = folder(&["fire_truck/b.jpg", "cat/x/a.png"]);
    let two = options(&["a {}.", "the {}. Here."]);
    let data = TrainingSet::open(&[root], &two).unwrap();
    assert_eq!(captions(&data, 0, 0), expected("a cat.", "a cat.", Some("cat")));
    let truck = Some("fire truck");
    assert_eq!(captions(&data, 1, 0), expected("a fire truck.", "a fire truck.", truck));
    assert_eq!(
        captions(&data, 1, 1),
        expected("the fire truck. Here.", "the fire truck", truck)
    );
    let batch: Vec<u8> = [[0; 3073], [9; 3073]].concat();
    let (_dir, path) = file("data_batch_1.bin", batch);
    let data = TrainingSet::open(&[path], &two).unwrap();
    assert_eq!(captions(&data, 1, 0), expected("a truck.", "a truck.", Some("truck")));
}

#[test]
fn a_single_class_is_refused_unless_there_is_other_data() {
    let (_dir, root) = folder(&["cat/1.jpg", "cat/2.jpg"]);
    let error = TrainingSet::open(std::slice::from_ref(&root), &options(&["{}"]))
        .err()
        .unwrap();
    assert!(error.to_string().contains("images of one class only, `cat`"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("a folder next to it"));
    let (_other_dir, other) = folder(&["dog/1.jpg"]);
    assert_eq!(
        opened(&[root.clone(), other]).about(),
        "2 images of 1 class and 1 image of 1 class"
    );
    opened(&[root, fixture("pairs/pairs.ndjson")]);
}

/// A training that was begun by an earlier version is resumed only if these stay.
#[test]
fn digests_and_the_order_of_samples_never_change() {
    let records = "{\"path\":\"a.jpg\",\"long\":\"One. Two.\"}\n\n{\"path\":\"a.jpg\",\"text\":\"Three.\"}\n";
    let (_records_dir, records) = file("data.ndjson", records);
    assert_eq!(
        opened(std::slice::from_ref(&records)).digest(),
        "6870e39ebe97e44f7dc0bbfab8e868aa"
    );
    let (_classes_dir, classes) = folder(&["cat/1.jpg", "cat/2.jpg", "fire_truck/x/b.jpg"]);
    assert_eq!(opened(&[classes]).digest(), "9eadb6e7103f1acf0c56406fd1c7ed11");
    // Packed archives are unpacked into one file, whatever is named between them.
    let (_tars_dir, root) = folder(&[]);
    let packed = |name: &str, members: &[(&str, &[u8])]| {
        fs::write(root.join(name), zstd::encode_all(&archive_of(members)[..], 1).unwrap()).unwrap();
        root.join(name)
    };
    let first = packed("a.tar.zst", &[("1.jpg", b"1"), ("1.txt", b"x")]);
    let second = packed("b.tar.zst", &[("2.jpg", b"22"), ("2.txt", b"two")]);
    assert_eq!(
        opened(&[first.clone(), second.clone()]).digest(),
        "7f08b345430f180f13775fa4976c49a2"
    );
    let mixed = opened(&[first, records, second]);
    assert_eq!(mixed.about(), "2 records and 2 samples of 2 tars");
    let longs: Vec<String> = (0..4).map(|i| mixed.read(i, 0).unwrap().long).collect();
    assert_eq!(longs, ["One. Two.", "Three.", "x", "two"]);
}
