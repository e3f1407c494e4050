//! `longclip classify` says which label fits an image.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use insta::assert_snapshot;

use crate::fixture::{Desk, data};

/// Arguments that choose the small generated model, whose numbers do not change.
const SMALL: [&str; 2] = ["--model", "small.safetensors"];

fn classify(desk: &Desk, arguments: &[&str]) -> String {
    desk.run(&[&["classify"], arguments, &SMALL].concat())
}

#[test]
fn the_table_shows_the_labels_of_each_image_by_probability() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(classify(&desk, &["cat.jpg", "coffee.jpg", "--labels", "A cat jumping.", "A cat sleeping.", "a cup of coffee"]), @r"
    exit code 0
    --- stdout
    cat.jpg
        95.1%  A cat sleeping.
         4.9%  A cat jumping.
         0.0%  a cup of coffee

    coffee.jpg
        93.4%  A cat sleeping.
         6.6%  A cat jumping.
         0.0%  a cup of coffee
    --- stderr
    ");
}

#[test]
fn ndjson_has_one_record_per_image_in_the_given_order() {
    let desk = Desk::with_pictures().and_small_model();
    let records = desk.records(&[
        "classify",
        "coffee.jpg",
        "cat.jpg",
        "coffee.jpg",
        "--labels",
        "a cat",
        "a dog, asleep",
        "--format",
        "ndjson",
        "--model",
        "small.safetensors",
    ]);
    let paths: Vec<&str> = records.iter().map(|record| record["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["coffee.jpg", "cat.jpg", "coffee.jpg"]);
    assert_eq!(records[0], records[2]);
    for record in &records {
        let labels = record["labels"].as_array().unwrap();
        let number = |i: usize, field: &str| labels[i][field].as_f64().unwrap();
        assert_eq!(labels.len(), 2);
        assert!(number(0, "probability") >= number(1, "probability"));
        assert!((number(0, "probability") + number(1, "probability") - 1.0).abs() < 1e-6);
        for i in 0..2 {
            // The generated model's logit scale is exp(4.6052).
            assert!((number(i, "logit") / number(i, "cosine") - 100.003).abs() < 0.01);
        }
    }
}

#[test]
fn json_is_one_array() {
    let desk = Desk::with_pictures().and_small_model();
    let output = desk.output(&[
        "classify",
        "cat.jpg",
        "nothing.jpg",
        "--labels",
        "a cat",
        "--format",
        "json",
        "--model",
        "small.safetensors",
    ]);
    let records: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(records[0]["labels"][0]["label"], "a cat");
    assert_eq!(records[0]["labels"][0]["probability"], 1.0);
    assert!(records[1]["error"].as_str().unwrap().contains("nothing.jpg"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn top_k_keeps_probabilities_over_all_labels() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(classify(&desk, &["cat.jpg", "--top-k", "1", "--labels", "A cat jumping.", "A cat sleeping.", "a cup of coffee"]), @r"
    exit code 0
    --- stdout
    cat.jpg
        95.1%  A cat sleeping.
    --- stderr
    ");
}

#[test]
fn labels_of_all_flags_are_combined_and_keep_their_commas() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("labels.txt", "red, green and blue\n");
    assert_snapshot!(classify(&desk, &[
        "cat.jpg", "--label", "one, two", "--labels", "a, b", "c", "--label", "three; four", "--labels-file", "labels.txt",
    ]), @r"
    exit code 0
    --- stdout
    cat.jpg
       100.0%  a, b
         0.0%  c
         0.0%  red, green and blue
         0.0%  three; four
         0.0%  one, two
    --- stderr
    ");
}

#[test]
fn raw_dot_scores_like_upstreams_demo() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(classify(&desk, &["cat.jpg", "--raw-dot", "--labels", "a cat", "a dog"]), @r"
    exit code 0
    --- stdout
    cat.jpg
        97.8%  a cat
         2.2%  a dog
    --- stderr
    ");
}

#[test]
fn unreadable_images_have_a_reason_and_the_others_are_done() {
    let cat = std::fs::read(crate::fixture::repository().join("img/cat.jpg")).unwrap();
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("truncated.jpg", &cat[..10_000])
        .file("text.jpg", "This is not a picture.\n")
        .file("empty.png", "");
    assert_snapshot!(classify(&desk, &[
        "truncated.jpg", "text.jpg", "empty.png", "missing.jpg", "cat.jpg", "--labels", "a cat",
    ]), @r"
    exit code 1
    --- stdout
    truncated.jpg
      failed: cannot use the image `truncated.jpg`: the file is cut short: its end is missing; copy or fetch it again

    text.jpg
      failed: cannot use the image `text.jpg`: it is text, not an image that can be decoded; give an image: jpeg, png, webp, gif, bmp, tiff, ico, pnm, qoi, tga or hdr

    empty.png
      failed: cannot use the image `empty.png`: the file is empty; copy or fetch it again

    missing.jpg
      failed: cannot read `missing.jpg`: No such file or directory

    cat.jpg
       100.0%  a cat
    --- stderr
    warning: label `a cat` is the only one, so its probability is always 100%; give others, or use `--reject` or `--score independent`
    error: cannot use the image `truncated.jpg`: the file is cut short: its end is missing
    hint: copy or fetch it again
    error: cannot use the image `text.jpg`: it is text, not an image that can be decoded
    hint: give an image: jpeg, png, webp, gif, bmp, tiff, ico, pnm, qoi, tga or hdr
    error: cannot use the image `empty.png`: the file is empty
    hint: copy or fetch it again
    error: cannot read `missing.jpg`: No such file or directory
    note: 1 done, 4 failed, [RATE] images/s
    ");
}

#[test]
fn records_of_failed_images_keep_their_place() {
    let desk = Desk::with_pictures().and_small_model();
    let records = desk.records(&[
        "classify",
        "cat.jpg",
        "missing.jpg",
        "coffee.jpg",
        "-q",
        "--labels",
        "a cat",
        "--format",
        "ndjson",
        "--model",
        "small.safetensors",
    ]);
    assert_eq!(records.len(), 3);
    assert!(records[1].get("labels").is_none());
    assert!(
        records[1]["error"]
            .as_str()
            .unwrap()
            .starts_with("cannot read `missing.jpg`")
    );
}

#[test]
fn an_empty_label_is_refused_with_its_position() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(classify(&desk, &["cat.jpg", "--labels", "a cat", " "]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: label 2 is empty
    hint: remove it, or fill it in
    ");
}

#[test]
fn missing_labels_or_images_are_errors_with_a_hint() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(classify(&desk, &["cat.jpg"]), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: no labels given
    hint: list what the image may show: `--labels "a cat" "a dog"`, or `--labels-file FILE`
    "#);
    assert_snapshot!(classify(&desk, &["--label", "a cat"]), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: no images given
    hint: name them first: `longclip classify photo.jpg --labels "a cat" "a dog"`
    "#);
}

#[test]
fn an_image_after_labels_is_never_taken_as_a_label_silently() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(classify(&desk, &["--labels", "a cat", "a dog", "cat.jpg"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no images given; `--labels` took `cat.jpg` as a label, since it takes everything after it
    hint: put images first: `longclip classify cat.jpg --labels ...`, or name each label with `--label`
    ");
    assert_snapshot!(classify(&desk, &["coffee.jpg", "--labels", "a cat", "cat.jpg"]), @r"
    exit code 0
    --- stdout
    coffee.jpg
       100.0%  a cat
         0.0%  cat.jpg
    --- stderr
    warning: the label `cat.jpg` looks like an image: put images before `--labels`, which takes everything after it
    ");
}

#[test]
fn a_label_of_300_tokens_is_truncated_with_a_warning() {
    let label = "cat ".repeat(246) + &"and this is lost ".repeat(13);
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(classify(&desk, &["cat.jpg", "--label", "a dog", "--label", &label]).replace(label.trim(), "[LABEL]"), @r"
    exit code 0
    --- stdout
    cat.jpg
        99.9%  [LABEL]
         0.1%  a dog
    --- stderr
    warning: label `cat cat cat cat cat cat cat cat cat cat …` has 300 tokens; this model reads 248: the last 52 are cut off, from `and this is lost and this is lost and th…`
    ");
    assert_snapshot!(classify(&desk, &["-q", "cat.jpg", "--top-k", "1", "--label", "a dog", "--label", &label]).replace(label.trim(), "[LABEL]"), @r"
    exit code 0
    --- stdout
    cat.jpg
        99.9%  [LABEL]
    --- stderr
    ");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let desk = Desk::with_pictures().and_small_model();
    let many = ["cat.jpg"; 40];
    let arguments = [
        &["classify"],
        &many[..],
        &["--labels", "a cat", "a dog", "--format", "ndjson"],
        &SMALL,
    ]
    .concat();
    let mut command = desk.command(&arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert!(line.starts_with("{\"path\":\"cat.jpg\",\"labels\""), "{line}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_pipe_gets_no_bars_and_no_colours() {
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "xterm-256color")] {
        let desk = Desk::with_pictures().and_small_model().variable(name, value);
        let shown = classify(&desk, &["cat.jpg", "missing.jpg", "--labels", "a cat", "a dog"]);
        assert!(!shown.contains(['\u{1b}', '█', '▏']), "{shown}");
    }
}

#[test]
fn exif_rotates_an_image_unless_no_exif_is_given() {
    let desk = Desk::new().and_small_model();
    let picture = data("preprocess/exif-6-240x160.jpg");
    let cosine = |more: &[&str]| {
        let arguments = ["classify", &picture, "--labels", "a cat", "--format", "ndjson"];
        let records = desk.records(&[&arguments, more, &SMALL].concat());
        records[0]["labels"][0]["cosine"].as_f64().unwrap()
    };
    assert!((cosine(&[]) - cosine(&["--no-exif"])).abs() > 1e-3);
}

#[test]
fn an_image_above_the_pixel_limit_is_refused_with_both_numbers() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(classify(&desk, &["cat.jpg", "--labels", "a cat", "--max-pixels", "1000"]), @r"
    exit code 2
    --- stdout
    cat.jpg
      failed: cannot use the image `cat.jpg`: it has 451x300 = 135300 pixels; at most 1000 are decoded; scale it down first, or raise the limit with `--max-pixels`
    --- stderr
    warning: label `a cat` is the only one, so its probability is always 100%; give others, or use `--reject` or `--score independent`
    error: cannot use the image `cat.jpg`: it has 451x300 = 135300 pixels; at most 1000 are decoded
    hint: scale it down first, or raise the limit with `--max-pixels`
    ");
}

#[test]
fn uses_the_built_in_model_by_default_without_a_note_in_a_pipe() {
    let desk = Desk::with_pictures();
    let shown = desk.run(&["classify", "cat.jpg", "--labels", "a cat"]);
    assert_snapshot!(shown, @r"
    exit code 0
    --- stdout
    cat.jpg
       100.0%  a cat
    --- stderr
    warning: label `a cat` is the only one, so its probability is always 100%; give others, or use `--reject` or `--score independent`
    ");
}

#[test]
fn the_built_in_model_recognises_the_cup_of_coffee() {
    let desk = Desk::with_pictures();
    let labels = ["a dog", "a cup of coffee", "an astronaut", "a cat"];
    let arguments = [
        "classify",
        "cat.jpg",
        "coffee.jpg",
        "astronaut.jpg",
        "--model",
        "nano",
        "--format",
        "ndjson",
        "--labels",
    ];
    let records = desk.records(&[&arguments[..], &labels].concat());
    for record in &records {
        println!("{record}");
    }
    assert_eq!(records[1]["labels"][0]["label"], "a cup of coffee");
}

#[test]
fn wrong_flags_are_errors_and_print_nothing_on_stdout() {
    let desk = Desk::with_pictures().and_small_model();
    for wrong in [
        &["--top-k", "0"][..],
        &["--format", "xml"],
        &["--device", "tpu"],
        &["--threads", "0"],
        &["-q", "-v"],
    ] {
        let output = desk.output(&[&["classify", "cat.jpg", "--label", "a cat"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(wrong[0]), "{stderr}");
    }
}
