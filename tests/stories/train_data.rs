//! `longclip train --data` reports data that is not what it should be.

use std::fs;

use insta::assert_snapshot;

use crate::fixture::Desk;

/// A working folder with an image under each of these names.
fn desk(pictures: &[&str]) -> Desk {
    let desk = Desk::new();
    for name in pictures {
        let path = desk.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut picture = b"P6 16 16 255\n".to_vec();
        picture.extend([120, 80, 40].repeat(256));
        fs::write(path, picture).unwrap();
    }
    desk
}

/// Trains on `data`; returns stderr and the exit code.
fn train(desk: &Desk, data: &str) -> (String, Option<i32>) {
    let arguments = [
        "train", "--base", "nano", "--data", data, "--batch", "2", "--steps", "1", "--warmup", "0", "--freeze",
        "visual.", "--out", "run",
    ];
    let output = desk.output(&arguments);
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[track_caller]
fn refusal(desk: &Desk, data: &str) -> String {
    let (said, code) = train(desk, data);
    assert_eq!(code, Some(2), "{said}");
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("warning: the base's"))
        .collect();
    lines.join("\n")
}

#[test]
fn folders_that_could_be_read_in_two_ways_are_refused() {
    let sets = desk(&["both/train/cat/1.ppm", "both/train/dog/1.ppm", "both/val/cat/1.ppm"]);
    assert_snapshot!(refusal(&sets, "both"), @r"
    error: `both/train` has no image of its own but folders of images (`cat`, `dog`): it looks like a set of classes, not like a class
    hint: name the folder whose folders are the classes: `both/train` to train on and `both/val` to validate on; a class has its images right in its folder
    ");
    let stray = desk(&["classes/cat/1.ppm", "classes/dog/1.ppm"]).file("classes/backup.tar", "");
    assert_snapshot!(refusal(&stray, "classes"), @r"
    error: `classes` holds WebDataset tars (`backup.tar`) and class folders (`cat`): only one of them can be meant
    hint: name the data itself, such as `classes/backup.tar`, or move the other data elsewhere
    ");
    assert_snapshot!(refusal(&desk(&["classes/cat/1.ppm", "classes/cat/2.ppm"]), "classes"), @r"
    error: `classes` has images of one class only, `cat`: there is nothing to distinguish it from
    hint: give each other class a folder next to it, and name the folder above them
    ");
}

#[test]
fn files_without_records_are_refused_with_a_hint() {
    let desk = Desk::new()
        .file(
            "pretty.ndjson",
            "{\n  \"path\": \"a.jpg\",\n  \"long\": \"A cat.\"\n}\n".repeat(40),
        )
        .file("empty.ndjson", "");
    assert_snapshot!(refusal(&desk, "pretty.ndjson"), @r#"
    error: found no sample in `pretty.ndjson`; the first problem is: cannot use the sample `pretty.ndjson line 1`: it spans several lines; write one record per line, or all of them as a JSON array
    hint: a data set is one of: CIFAR-10 or CIFAR-100 as they are distributed; a folder with `image` and `caption` in it, as in Urban1k; a WebDataset tar of images with `txt`, `cls` or `json` members, or a folder of such tars; a Parquet file, or a folder of them, with columns such as `image` or `path`, and `text` or `label`; an Arrow stream or file with such columns, or a folder of them; a folder with one folder of images per class; Karpathy's `dataset_*.json`; COCO's `captions_*.json`; Flickr30k's token file or `results.csv`; a csv or tsv with the columns `path` and `label`; ShareGPT4V json; records, one JSON object per line or an array of them: an image as `path`, its caption as `long` or `text`, its class as `label` or `class`
    "#);
    assert_snapshot!(refusal(&desk, "empty.ndjson"), @r#"
    error: `empty.ndjson` is empty
    hint: a data set is one of: CIFAR-10 or CIFAR-100 as they are distributed; a folder with `image` and `caption` in it, as in Urban1k; a WebDataset tar of images with `txt`, `cls` or `json` members, or a folder of such tars; a Parquet file, or a folder of them, with columns such as `image` or `path`, and `text` or `label`; an Arrow stream or file with such columns, or a folder of them; a folder with one folder of images per class; Karpathy's `dataset_*.json`; COCO's `captions_*.json`; Flickr30k's token file or `results.csv`; a csv or tsv with the columns `path` and `label`; ShareGPT4V json; records, one JSON object per line or an array of them: an image as `path`, its caption as `long` or `text`, its class as `label` or `class`
    "#);
}

#[test]
fn files_outside_the_class_folders_are_reported_and_listed() {
    let desk = desk(&["classes/cat/1.ppm", "classes/dog/1.ppm", "classes/loose.ppm"])
        .folder("classes/eel")
        .file("classes/cat/backup.tar", "");
    let (said, code) = train(&desk, "classes");
    assert_eq!(code, Some(0), "{said}");
    let listed = fs::read_to_string(desk.path("run/skipped.ndjson")).unwrap();
    for (name, problem) in [
        ("classes/loose.ppm", "it is not in the folder of a class"),
        ("classes/eel", "it is a folder without an image"),
        ("classes/cat/backup.tar", "it is not an image"),
    ] {
        assert!(said.contains(&format!("`{name}`: {problem}")), "{said}");
        assert!(listed.contains(name) && listed.contains(problem), "{listed}");
    }
}
