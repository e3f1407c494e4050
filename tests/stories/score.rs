//! `longclip score` on pairs of images and texts: the numbers, and that no pair is lost.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fixture::{Desk, data};

const SMALL: [&str; 3] = ["-q", "--model", "small.safetensors"];

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A desk with pairs, one of which can be used only in part or not at all for each reason.
fn damaged() -> Desk {
    let lines = [
        json!({"path": "cat.jpg", "text": "A cat."}).to_string(),
        json!({"path": "gone.jpg", "text": "A dog."}).to_string(),
        json!({"path": "coffee.jpg"}).to_string(),
        "not a record".to_owned(),
        json!({"path": "coffee.jpg", "text": ["A cup.", " "]}).to_string(),
        json!({"path": "coffee.jpg", "text": ["A cup.", "A cat."]}).to_string(),
    ];
    let desk = Desk::with_pictures().and_small_model();
    desk.file("pairs.ndjson", lines.join("\n"))
}

#[test]
fn a_text_has_the_cosine_and_the_logit_that_it_has_as_a_label() {
    let desk = Desk::new();
    let pairs = data("pairs/pairs.ndjson");
    let scored = desk.records(&["score", &pairs, "--model", "nano"]);
    assert_eq!(scored.len(), 3);
    for (record, line) in scored.iter().zip(fs::read_to_string(&pairs).unwrap().lines()) {
        let pair: Value = serde_json::from_str(line).unwrap();
        let (labels, texts) = (record["labels"].as_array().unwrap(), pair["text"].as_array().unwrap());
        assert_eq!(labels.len(), texts.len());
        for (label, given) in labels.iter().zip(texts) {
            assert_eq!(&label["label"], given);
            let classify = [
                "classify",
                text(&record["path"]),
                "--model",
                "nano",
                "-f",
                "ndjson",
                "-q",
            ];
            let alone = &desk.records(&[&classify[..], &["--label", text(given)]].concat())[0]["labels"][0];
            for number in ["cosine", "logit"] {
                let (here, there) = (label[number].as_f64().unwrap(), alone[number].as_f64().unwrap());
                assert!(
                    (here - there).abs() < 1e-5 * there.abs().max(1.0),
                    "{number}: {here} {there}"
                );
            }
            assert_eq!(label["probability"], Value::Null);
        }
    }
}

#[test]
fn every_line_has_its_record_in_its_place() {
    let desk = damaged();
    let output = desk.output(
        &[
            &["score", "pairs.ndjson", "--format", "{path}\t{label}\t{error}"],
            &SMALL[..],
        ]
        .concat(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert_snapshot!(String::from_utf8_lossy(&output.stdout), @r"
    cat.jpg	A cat.	
    gone.jpg		cannot read `gone.jpg`: No such file or directory
    pairs.ndjson line 3		cannot use the sample `pairs.ndjson line 3`: it has no caption, as `long`, `text`, `caption`, `captions`, `description`
    pairs.ndjson line 4		cannot use the sample `pairs.ndjson line 4`: it is not a JSON object: expected ident at column 2
    pairs.ndjson line 5		cannot use the sample `pairs.ndjson line 5`: it has no caption, or an empty one
    coffee.jpg	A cup.
    ");
}

#[test]
fn an_interrupted_run_is_continued_to_the_same_bytes() {
    let desk = damaged();
    let score =
        |rest: &[&str]| desk.output(&[&["score", "pairs.ndjson", "-o", "scores.ndjson"], &SMALL[..], rest].concat());
    score(&[]);
    let whole = fs::read(desk.path("scores.ndjson")).unwrap();
    for cut in [0, 40, whole.len() / 2, whole.len()] {
        fs::write(desk.path("scores.ndjson"), &whole[..cut]).unwrap();
        score(&["--resume"]);
        let resumed = fs::read(desk.path("scores.ndjson")).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&resumed),
            String::from_utf8_lossy(&whole),
            "cut at {cut}"
        );
    }
}

#[test]
fn pairs_in_a_tar_are_scored_in_its_order() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    };
    let desk = Desk::with_pictures().and_small_model();
    for (key, image, text) in [("b", "coffee.jpg", "A cup."), ("a", "cat.jpg", "A cat.")] {
        add(&format!("{key}.txt"), text.as_bytes());
        add(&format!("{key}.jpg"), &fs::read(desk.path(image)).unwrap());
    }
    add("alone.jpg", &fs::read(desk.path("cat.jpg")).unwrap());
    add("c.txt", b"A text without an image.");
    let desk = desk.file("pairs.tar", tar.into_inner().unwrap());
    let records = desk.records(&[&["score", "pairs.tar"], &SMALL[..]].concat());
    let labels: Vec<&str> = records[..2]
        .iter()
        .map(|record| text(&record["labels"][0]["label"]))
        .collect();
    assert_eq!(labels, ["A cup.", "A cat."]);
    assert!(records[2..].iter().all(|record| record["error"].is_string()));
    assert!(
        records[2..]
            .iter()
            .any(|record| text(&record["path"]).contains("alone")),
        "{records:?}"
    );
}

#[test]
fn texts_that_are_too_long_are_counted_read_in_parts_or_refused() {
    let long = format!("{} A cat.", "A long sentence about a cat. ".repeat(60));
    let lines = [&*long, "A cat."].map(|text| json!({"path": "cat.jpg", "text": text}).to_string());
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("pairs.ndjson", lines.join("\n"));
    let said = |how: &str| {
        let score = [
            "score",
            "pairs.ndjson",
            "--model",
            "small.safetensors",
            "-o",
            "out.csv",
            "--force",
        ];
        desk.run(&[&score[..], &["--long-text", how]].concat())
    };
    assert_snapshot!(said("truncate"), @r"
    exit code 0
    --- stdout
    --- stderr
    warning: 1 text has more than 248 tokens, of which only the first 248 were read; `--long-text chunk` reads all
    ");
    assert_snapshot!(said("chunk"), @r"
    exit code 0
    --- stdout
    --- stderr
    note: 1 text has more than 248 tokens, and was read in parts
    ");
    assert_snapshot!(said("error"), @r"
    exit code 1
    --- stdout
    --- stderr
    error: cannot use the sample `cat.jpg`: its text `A long sentence about a cat. A long sent…` has 425 tokens; this model reads at most 248
    ");
}

#[test]
fn data_is_not_overwritten_and_other_misuse_is_refused() {
    let desk = damaged();
    for output in ["pairs.ndjson", "cat.jpg"] {
        let before = fs::read(desk.path(output)).unwrap();
        let arguments = ["score", "pairs.ndjson", "-f", "ndjson", "-o", output, "--force"];
        assert_eq!(desk.output(&[&arguments[..], &SMALL].concat()).status.code(), Some(2));
        assert_eq!(fs::read(desk.path(output)).unwrap(), before);
    }
    let said = desk.run(&[&["score", "cat.jpg"], &SMALL[..]].concat());
    assert!(
        said.contains("error: `cat.jpg` is not a data set\nhint: a data set is one of: "),
        "{said}"
    );
}
