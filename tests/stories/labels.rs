//! Labels: from flags, files of any editor, or stdin, and what is said about them.

use insta::assert_snapshot;

use crate::fixture::Desk;
use crate::prompts::cosine_of;

/// The sorted labels of a run.
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
fn windows_and_unix_files_give_the_same_labels() {
    for text in [
        "a cat\na dog, asleep\n",
        "\u{feff}a cat\r\na dog, asleep",
        "a cat\r\n\r\n  a dog, asleep  \r\n",
        "# animals\na cat\n# not a label\na dog, asleep",
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
    error: cannot read `labels.txt`: No such file or directory
    ");
    let desk = desk.file("labels.txt", "\n \r\n");
    assert_snapshot!(refused(&desk), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `labels.txt` has no labels
    hint: write one per line, or give another file
    ");
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
    error: `labels.txt` line 1, column 6: byte 0xe9 is not UTF-8
    hint: save it as UTF-8, which text editors offer when saving
    ");
}

#[test]
fn errors_in_a_file_have_line_and_column() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("bad.json", "{\"a cat\": [\"a cat\"],\n \"a dog\" \"a dog\"}")
        .file("bad.csv", "label,prompt\n\na cat,\"a cat\na dog,a dog\n")
        .file("bad.tsv", "label\tcolour\na cat\tgrey\n")
        .file("templates.txt", "a photo of a {}.\n\na photo\n");
    let refused = |arguments: &[&str]| {
        let shown = desk.run(&[&["classify", "cat.jpg", "--model", "small.safetensors"], arguments].concat());
        let (code, stderr) = shown.split_once("--- stdout\n--- stderr\n").unwrap();
        assert_eq!(code, "exit code 2\n");
        stderr.to_owned()
    };
    let all = [
        refused(&["--labels-file", "bad.json"]),
        refused(&["--labels-file", "bad.csv"]),
        refused(&["--labels-file", "bad.tsv"]),
        refused(&["--label", "a cat", "--templates", "templates.txt"]),
        refused(&["--label", "a cat", "--templates", "imagenet8"]),
        refused(&["--label", "a cat", "--template", "a photo"]),
    ];
    assert_snapshot!(all.join(""), @r#"
    error: `bad.json` line 2, column 10: expected `:`
    hint: write `["a cat", "a dog"]`, or `{"cat": ["a photo of a cat"], "dog": "a dog"}`
    error: `bad.csv` line 3, column 2: the quote that opens here is never closed
    hint: close it, or write `""` for a literal quote inside quotes
    error: `bad.tsv` line 1, column 2: unknown column `colour`
    hint: the first row names the columns: `label,prompt,group`; `label` is required
    error: `templates.txt` line 3: the template `a photo` has no `{}` for the label
    hint: write `{}` where the label goes: `a photo of a {}.`
    error: `imagenet8` is neither a set of templates nor a file
    hint: the sets are `imagenet80` and `imagenet7`; a file has one template per line
    error: the template `a photo` has no `{}` for the label
    hint: write `{}` where the label goes: `a photo of a {}.`
    "#);
}

#[test]
fn options_without_effect_are_refused_or_give_a_warning() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("own.json", "{\"cat\": \"a cat\", \"dog\": \"a dog\"}");
    let said = |arguments: &[&str]| {
        let start = [
            "classify",
            "cat.jpg",
            "--model",
            "small.safetensors",
            "--labels-file",
            "own.json",
        ];
        let output = desk.output(&[&start, arguments].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        format!("{} {stderr}", output.status.code().unwrap())
    };
    let all = [
        said(&["--templates", "imagenet7"]),
        said(&["--combine", "max"]),
        said(&["--group-by"]),
        said(&["--template", "a {}", "--templates", "none"]),
    ];
    assert_snapshot!(all.join(""), @r#"
    0 warning: the templates have no effect: every label has its own prompts
    0 warning: combining prompts has no effect: no label has more than one
    2 error: `--group-by` changes nothing: no label has a group
    hint: give them in a label file: a column `group` in csv or tsv, or `{"cat": {"group": "animal"}}` in json
    2 error: `--templates none` and `--template` exclude each other
    hint: leave out one of them
    "#);
}

#[test]
fn an_image_after_group_by_is_not_taken_as_a_column() {
    let desk = Desk::with_pictures();
    assert_snapshot!(desk.run(&["classify", "--group-by", "cat.jpg", "--label", "a cat"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: no images given; `--group-by` took `cat.jpg` as the name of a column
    hint: put images first: `longclip classify cat.jpg --group-by ...`
    ");
}

#[test]
fn repeated_labels_are_merged_with_a_warning() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("labels.txt", "a dog\na cat\n");
    let shown = desk.run(&[
        "classify",
        "cat.jpg",
        "--model",
        "small.safetensors",
        "--labels",
        "a cat",
        "a bird",
        "--labels-file",
        "labels.txt",
        "--top-k",
        "1",
    ]);
    assert_snapshot!(shown, @r"
    exit code 0
    --- stdout
    cat.jpg
        67.1%  a cat
    --- stderr
    warning: label `a cat` is given more than once; it counts once
    ");
}

#[test]
fn a_record_may_use_labels_from_the_commands_files() {
    let desk = Desk::with_pictures()
        .file(
            "labels.json",
            "{\"pet\": [\"a cat\", \"a grey cat\"], \"drink\": \"a cup of coffee\"}",
        )
        .file(
            "in.ndjson",
            "{\"path\": \"cat.jpg\"}\n{\"path\": \"cat.jpg\", \"labels\": [\"pet\", \"a dog\"]}\n",
        );
    let records = desk.records(&[
        "classify",
        "--ndjson-from",
        "in.ndjson",
        "--labels-file",
        "labels.json",
        "--model",
        "nano",
        "--format",
        "ndjson",
    ]);
    assert_eq!(cosine_of(&records[0], "pet"), cosine_of(&records[1], "pet"));
    assert_eq!(records[1]["labels"].as_array().unwrap().len(), 2);
}

#[test]
fn one_label_alone_is_warned_of_and_refused_by_sort() {
    let desk = Desk::with_pictures().and_small_model();
    let said = |command: &[&str], more: &[&str]| {
        let output = desk.output(&[command, &["cat.jpg", "--model", "small.safetensors"], more].concat());
        format!(
            "{} {}",
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap()
        )
    };
    let classify = |more: &[&str]| said(&["classify"], more);
    let sort = |more: &[&str]| said(&["sort", "--into", "out", "--copy", "--dry-run"], more);
    let all = [
        classify(&["--label", "a cat"]),
        classify(&["--label", "a cat", "--label", "A cat"]),
        classify(&["--label", "a cat", "--score", "independent"]),
        classify(&["--label", "a cat", "--reject"]),
        classify(&["--labels", "a cat, a dog"]),
        sort(&["--label", "a cat", "--label", "A  CAT"]),
        sort(&["--label", "a cat", "--score", "independent"]),
        sort(&["--label", "a cat", "--threshold", "0.5"]),
        sort(&["--label", "a cat", "--score", "independent", "--threshold", "0.5"]),
        sort(&["--label", "a cat", "--reject"]),
        sort(&["--label", "a cat", "--force"]),
    ];
    assert_snapshot!(all.join(""), @r#"
    0 warning: label `a cat` is the only one, so its probability is always 100%; give others, or use `--reject` or `--score independent`
    0 warning: label `A cat` has the same tokens as `a cat`; it counts once
    warning: label `a cat` is the only one, so its probability is always 100%; give others, or use `--reject` or `--score independent`
    0 0 0 hint: `a cat, a dog` is one label; several are written as `--labels "a cat" "a dog"`, or one per line of a file
    warning: label `a cat, a dog` is the only one, so its probability is always 100%; give others, or use `--reject` or `--score independent`
    2 warning: label `A CAT` has the same tokens as `a cat`; it counts once
    error: every photo would go to `a cat`, the only label or group
    hint: give more labels, or leave out photos that it does not fit, with `--reject` or `--score independent --threshold 0.5`; `--force` sorts all of them
    2 error: every photo would go to `a cat`, the only label or group
    hint: give more labels, or leave out photos that it does not fit, with `--reject` or `--score independent --threshold 0.5`; `--force` sorts all of them
    2 error: every photo would go to `a cat`, the only label or group
    hint: give more labels, or leave out photos that it does not fit, with `--reject` or `--score independent --threshold 0.5`; `--force` sorts all of them
    0 0 0 
    "#);
}

#[test]
fn labels_that_the_model_reads_alike_count_once() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("labels.txt", "Cat\ncat\ncup of coffee\n")
        .file(
            "own.ndjson",
            "{\"path\":\"cat.jpg\",\"labels\":[\"dog\",\"Dog\",\"ox\"]}\n",
        );
    assert_eq!(labels_of(&desk, &FROM_FILE), ["Cat", "cup of coffee"]);
    let own = [
        "classify",
        "--ndjson-from",
        "own.ndjson",
        "--model",
        "small.safetensors",
        "--format",
        "{labels}",
    ];
    let output = desk.output(&own);
    assert_eq!(String::from_utf8(output.stdout).unwrap().split(", ").count(), 2);
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "warning: label `Dog` has the same tokens as `dog`; it counts once\n"
    );
}

#[test]
fn negation_in_labels_gives_one_hint() {
    let desk = Desk::with_pictures().and_small_model();
    let labels = ["--labels", "a room without people", "not a cat", "a dog"];
    let arguments = [&["classify", "cat.jpg", "--model", "small.safetensors"], &labels[..]].concat();
    let stderr = String::from_utf8(desk.output(&arguments).stderr).unwrap();
    assert_snapshot!(stderr, @"hint: `without` in `a room without people` changes little: CLIP models mostly ignore negation, so say what the image shows instead");
}

#[test]
fn content_says_what_a_label_file_is() {
    for (name, text) in [
        ("labels", "[\"a cat\", \"a dog\"]"),
        ("labels.txt", "{\"label\": \"a cat\"}\n{\"label\": \"a dog\"}\n"),
        ("labels.list", "a cat\ra dog\r"),
    ] {
        let desk = Desk::with_pictures().and_small_model().file(name, text);
        assert_eq!(labels_of(&desk, &["--labels-file", name]), ["a cat", "a dog"], "{text}");
    }
}
