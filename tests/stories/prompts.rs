//! How the texts of a label become its embedding: prompts, long texts, and the cache of labels.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::Value;

use crate::fixture::Desk;

/// Embeddings of texts or images, by text or path.
fn embedded(desk: &Desk, arguments: &[&str]) -> BTreeMap<String, Vec<f64>> {
    let records = desk.records(&[&["embed", "--model", "nano"], arguments].concat());
    let named = records.iter().map(|record| {
        let name = record.get("text").or_else(|| record.get("path")).unwrap();
        let values = record["embedding"].as_array().unwrap().iter();
        (
            name.as_str().unwrap().to_owned(),
            values.map(|value| value.as_f64().unwrap()).collect(),
        )
    });
    named.collect()
}

fn unit(row: &[f64]) -> Vec<f64> {
    let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
    row.iter().map(|v| v / length).collect()
}

/// Upstream's zero-shot classifier (`eval/classification/imagenet/imagenet.py`): the features of each prompt are scaled
/// to unit length, averaged, and scaled to unit length again.
fn classifier(rows: &[&Vec<f64>]) -> Vec<f64> {
    let units: Vec<Vec<f64>> = rows.iter().map(|row| unit(row)).collect();
    let mean: Vec<f64> = (0..units[0].len())
        .map(|i| units.iter().map(|row| row[i]).sum::<f64>() / units.len() as f64)
        .collect();
    unit(&mean)
}

pub(crate) fn cosine_of(record: &Value, label: &str) -> f64 {
    let labels = record["labels"].as_array().unwrap();
    let found = labels.iter().find(|other| other["label"] == label).unwrap();
    found["cosine"].as_f64().unwrap()
}

#[test]
fn several_prompts_are_averaged_as_in_upstreams_classifier() {
    let prompts = [
        "a tabby",
        "a cat asleep on a sofa",
        "cats",
        "a photo of a dog.",
        "a drawing of a dog.",
    ];
    let desk = Desk::with_pictures().file(
        "labels.json",
        "{\"cat\": [\"a tabby\", \"a cat asleep on a sofa\", \"cats\"], \"dog\": {}}",
    );
    let arguments = [
        "classify",
        "cat.jpg",
        "--labels-file",
        "labels.json",
        "--template",
        "a photo of a {}.",
        "--template",
        "a drawing of a {}.",
        "--model",
        "nano",
        "--format",
        "ndjson",
    ];
    let records = desk.records(&arguments);
    let texts: Vec<&str> = prompts.iter().flat_map(|prompt| ["--text", prompt]).collect();
    let texts = embedded(&desk, &texts);
    let image = unit(&embedded(&desk, &["cat.jpg"])["cat.jpg"]);
    for (label, prompts) in [("cat", &prompts[..3]), ("dog", &prompts[3..])] {
        let rows: Vec<&Vec<f64>> = prompts.iter().map(|prompt| &texts[*prompt]).collect();
        let expected: f64 = classifier(&rows).iter().zip(&image).map(|(a, b)| a * b).sum();
        let found = cosine_of(&records[0], label);
        assert!((found - expected).abs() < 1e-6, "{label}: {found} for {expected}");
    }
    let nearest = desk.records(&[&arguments[..], &["--combine", "max"]].concat());
    let cosines = prompts[..3].iter().map(|prompt| {
        let row = unit(&texts[*prompt]);
        row.iter().zip(&image).map(|(a, b)| a * b).sum::<f64>()
    });
    let expected = cosines.fold(f64::NEG_INFINITY, f64::max);
    assert!((cosine_of(&nearest[0], "cat") - expected).abs() < 1e-6);
}

#[test]
fn scores_do_not_depend_on_the_order_of_rows_in_a_file() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file(
            "forth.csv",
            "label,prompt,group\ncat,a cat,x\ndog,a dog,y\nbird,a bird,x\nox,,\n",
        )
        .file(
            "back.csv",
            "group,label,prompt\n,ox,\nx,bird,a bird\ny,dog,a dog\nx,cat,a cat\n",
        );
    let numbers = |file: &str| {
        let start = [
            "classify",
            "cat.jpg",
            "coffee.jpg",
            "--model",
            "small.safetensors",
            "--format",
            "ndjson",
        ];
        desk.records(&[&start[..], &["--group-by", "--labels-file", file]].concat())
    };
    assert_eq!(numbers("forth.csv"), numbers("back.csv"));
}

/// A label of about 300 words in short sentences.
fn long_label() -> String {
    ["The cat sat on a mat with a small dog. One."; 24].join(" ")
}

#[test]
fn a_long_label_is_truncated_refused_or_read_in_parts() {
    let label = long_label();
    let desk = Desk::with_pictures().and_small_model();
    let run = |how: &str| {
        let arguments = [
            "classify",
            "cat.jpg",
            "--model",
            "small.safetensors",
            "--label",
            &label,
            "--label",
            "a dog",
            "--long-text",
            how,
            "--format",
            "{path} {label.2}",
        ];
        desk.run(&arguments).replace(&label, "[LABEL]")
    };
    assert_snapshot!(["truncate", "chunk", "error"].map(run).join(""), @r"
    exit code 0
    --- stdout
    cat.jpg a dog
    --- stderr
    warning: label `The cat sat on a mat with a small dog. O…` has 314 tokens; this model reads 248: the last 66 are cut off, from `. the cat sat on a mat with a small dog.…`
    exit code 0
    --- stdout
    cat.jpg a dog
    --- stderr
    note: label `The cat sat on a mat with a small dog. O…` has 314 tokens; it is encoded in 2 parts, whose embeddings are averaged
    exit code 2
    --- stdout
    --- stderr
    error: label `The cat sat on a mat with a small dog. O…` has 314 tokens; this model reads at most 248
    hint: shorten it, or use `--long-text truncate` or `--long-text chunk`
    ");
    let cosine = |how: &str| {
        let run = [
            "classify",
            "cat.jpg",
            "--model",
            "small.safetensors",
            "--format",
            "ndjson",
            "--long-text",
            how,
        ];
        cosine_of(&desk.records(&[&run[..], &["--label", &label]].concat())[0], &label)
    };
    assert!((cosine("chunk") - cosine("truncate")).abs() > 1e-4);
}

#[test]
fn the_label_cache_is_where_the_environment_says_and_changes_no_number() {
    let desk = Desk::with_pictures().and_small_model().folder("cache");
    let cache = desk.path("cache");
    let desk = desk.variable("XDG_CACHE_HOME", cache.to_str().unwrap());
    let run = |more: &[&str]| {
        let start = [
            "classify",
            "cat.jpg",
            "--model",
            "small.safetensors",
            "--labels",
            "a cat",
            "a dog",
            "--templates",
        ];
        desk.run(&[&start[..], &["imagenet7", "--format", "ndjson"], more].concat())
    };
    let n_files = || walk(&cache);
    let without = run(&["--no-cache"]);
    assert_eq!(n_files(), 0);
    let first = run(&[]);
    let kept = n_files();
    assert!(kept > 0);
    let second = run(&[]);
    assert_eq!((&first, &second), (&without, &without));
    assert_eq!(n_files(), kept);
}

/// The number of files below a folder.
fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 })
        .sum()
}

#[test]
fn a_cache_that_cannot_be_written_is_only_a_note() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("cache", "a file, not a folder");
    let cache = desk.path("cache");
    let desk = desk.variable("XDG_CACHE_HOME", cache.to_str().unwrap());
    assert_snapshot!(desk.run(&["classify", "cat.jpg", "--model", "small.safetensors", "--labels", "a cat"]), @r"
    exit code 0
    --- stdout
    cat.jpg
       100.0%  a cat
    --- stderr
    note: the embeddings of the labels could not be cached for the next run: cannot write `[DESK]/cache/longclip/labels`: Not a directory
    warning: label `a cat` is the only one, so its probability is always 100%; give others, or use `--reject` or `--score independent`
    ");
}
