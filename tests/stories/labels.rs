//! Where labels come from: a file as any editor writes it, or stdin.

use insta::assert_snapshot;

use crate::fixture::Desk;

/// The labels of a run, sorted, as they were taken.
fn labels_of(desk: &Desk, arguments: &[&str]) -> Vec<String> {
    let run = [
        "classify",
        "cat.jpg",
        "--model",
        "small.safetensors",
        "--format",
        "ndjson",
    ];
    let records = desk.records(&[&run, arguments].concat());
    let labels = records[0]["labels"].as_array().unwrap().iter();
    let mut labels: Vec<String> = labels
        .map(|label| label["label"].as_str().unwrap().to_owned())
        .collect();
    labels.sort();
    labels
}

const FROM_FILE: [&str; 2] = ["--labels-file", "labels.txt"];

#[test]
fn a_file_of_windows_and_one_of_unix_give_the_same_labels() {
    for text in [
        "a cat\na dog, asleep\n",
        "\u{feff}a cat\r\na dog, asleep",
        "a cat\r\n\r\n  a dog, asleep  \r\n",
    ] {
        let desk = Desk::with_pictures().and_small_model().file("labels.txt", text);
        assert_eq!(labels_of(&desk, &FROM_FILE), ["a cat", "a dog, asleep"], "{text:?}");
    }
}

#[test]
fn a_dash_reads_stdin() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .stdin("\u{feff}a cat\r\na dog\n".as_bytes());
    assert_eq!(
        labels_of(&desk, &["--labels-file", "-", "--label", "a bird"]),
        ["a bird", "a cat", "a dog"]
    );
}

fn refused(desk: &Desk) -> String {
    desk.run(&[
        "classify",
        "cat.jpg",
        "--model",
        "small.safetensors",
        "--labels-file",
        "labels.txt",
    ])
}

#[test]
fn a_file_without_labels_is_refused() {
    let desk = Desk::with_pictures().and_small_model();
    assert_snapshot!(refused(&desk), @r"
    exit code 2
    --- stdout
    --- stderr
    error: cannot read `labels.txt`: No such file or directory (os error 2)
    ");
    let desk = desk.file("labels.txt", "\n \r\n");
    assert_snapshot!(refused(&desk), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: no labels given
    hint: say what the picture may show: `--labels "a cat" "a dog"`, or `--labels-file FILE`
    "#);
}

#[test]
fn a_file_that_is_not_text_is_refused() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("labels.txt", b"a caf\xe9\n");
    assert_snapshot!(refused(&desk), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `labels.txt` line 1 is not UTF-8 text
    hint: save the file as UTF-8, one label a line
    ");
}
