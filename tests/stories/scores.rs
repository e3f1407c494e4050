//! Scores: checks each formula of `docs/scores.md` against the program's output, and which requests are refused.

use insta::assert_snapshot;
use serde_json::Value;

use crate::fixture::Desk;

/// Arguments of a run with the built-in model.
const START: [&str; 6] = ["classify", "cat.jpg", "--model", "nano", "--format", "ndjson"];
const LABELS: [&str; 4] = ["--labels", "a cat", "a dog", "a cup of coffee"];

fn record(desk: &Desk, more: &[&str]) -> Value {
    desk.records(&[&START[..], more, &LABELS].concat()).swap_remove(0)
}

/// A number of one label in a record.
#[track_caller]
fn number(record: &Value, label: &str, field: &str) -> f64 {
    let labels = record["labels"].as_array().unwrap();
    let found = labels.iter().find(|other| other["label"] == label).unwrap();
    found[field].as_f64().unwrap()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 2e-5 * expected.abs().max(1.0),
        "{found} for {expected}"
    );
}

const NAMES: [&str; 3] = ["a cat", "a dog", "a cup of coffee"];

/// The model's factor for cosines, `exp(logit_scale)`.
fn multiplier(desk: &Desk) -> f64 {
    let record = record(desk, &[]);
    number(&record, "a cat", "logit") / number(&record, "a cat", "cosine")
}

/// `ln(mean(exp(x)))` of an image's logits for these texts, from their cosines.
fn level(desk: &Desk, neutral: &[&str], multiplier: f64) -> f64 {
    let run = [&START[..], &["--score", "cosine", "--labels"], neutral].concat();
    let record = desk.records(&run).swap_remove(0);
    let sum: f64 = neutral
        .iter()
        .map(|text| (multiplier * number(&record, text, "cosine")).exp())
        .sum();
    (sum / neutral.len() as f64).ln()
}

#[test]
fn softmax_is_over_the_logits_divided_by_the_temperature() {
    let desk = Desk::with_pictures();
    let (own, flat) = (record(&desk, &[]), record(&desk, &["--temperature", "2.5"]));
    let sum: f64 = NAMES.iter().map(|name| number(&own, name, "logit").exp()).sum();
    let flat_sum: f64 = NAMES.iter().map(|name| (number(&own, name, "logit") / 2.5).exp()).sum();
    for name in NAMES {
        let logit = number(&own, name, "logit");
        near(number(&own, name, "probability"), logit.exp() / sum);
        near(number(&flat, name, "logit"), logit / 2.5);
        near(number(&flat, name, "probability"), (logit / 2.5).exp() / flat_sum);
        near(number(&flat, name, "cosine"), number(&own, name, "cosine"));
    }
}

#[test]
fn independent_labels_are_compared_with_neutral_prompts() {
    let neutral = ["a photo", "an image of a thing"];
    let desk = Desk::with_pictures().file("neutral.txt", neutral.join("\n"));
    let scale = multiplier(&desk);
    let level = level(&desk, &neutral, scale);
    let arguments = [
        "--score",
        "independent",
        "--neutral",
        "neutral.txt",
        "--temperature",
        "2",
    ];
    let found = record(&desk, &arguments);
    for name in NAMES {
        let logit = (scale * number(&found, name, "cosine") - level) / 2.0;
        near(number(&found, name, "logit"), logit);
        near(number(&found, name, "probability"), 1.0 / (1.0 + (-logit).exp()));
    }
    let alone = desk.records(&[&START[..], &arguments, &["--label", "a dog"]].concat());
    near(
        number(&alone[0], "a dog", "probability"),
        number(&found, "a dog", "probability"),
    );
}

#[test]
fn none_of_these_is_one_more_candidate_above_the_neutral_prompts() {
    let neutral = ["a photo", "an image of a thing"];
    let desk = Desk::with_pictures().file("neutral.txt", neutral.join("\n"));
    let level = level(&desk, &neutral, multiplier(&desk));
    for margin in [-1.5, 0.0, 40.0] {
        let reject = format!("--reject={margin}");
        let found = record(&desk, &[&reject, "--neutral", "neutral.txt"]);
        let none = number(&found, "none of these", "logit");
        near(none, level + margin);
        let sum: f64 = NAMES.iter().map(|name| number(&found, name, "logit").exp()).sum();
        near(
            number(&found, "none of these", "probability"),
            none.exp() / (none.exp() + sum),
        );
        let labels = found["labels"].as_array().unwrap();
        let place = labels
            .iter()
            .position(|label| label["label"] == "none of these")
            .unwrap();
        assert!(labels[place]["cosine"].is_null());
        let logits: Vec<f64> = labels.iter().map(|label| label["logit"].as_f64().unwrap()).collect();
        assert!(logits.is_sorted_by(|a, b| a >= b), "{logits:?}");
        assert!(margin < 40.0 || place == 0);
    }
}

#[test]
fn the_default_margin_accepts_the_cup_of_coffee_and_rejects_wrong_labels() {
    let desk = Desk::with_pictures();
    let start = ["classify", "coffee.jpg", "--model", "nano", "--format", "ndjson"];
    let best = |labels: &[&str]| {
        let run = [&start[..], &["--reject", "--labels"], labels].concat();
        desk.records(&run)[0]["labels"][0]["label"].as_str().unwrap().to_owned()
    };
    assert_eq!(best(&["a cup of coffee", "a dog"]), "a cup of coffee");
    assert_eq!(
        best(&["a photo of a dog", "a photo of a cup of coffee"]),
        "a photo of a cup of coffee"
    );
    assert_eq!(best(&["a ship", "a truck"]), "none of these");
}

#[test]
fn cosines_have_no_probability_in_any_format() {
    let desk = Desk::with_pictures().and_small_model();
    let shown = |format: &str| {
        desk.run(&[
            "classify",
            "cat.jpg",
            "--model",
            "small.safetensors",
            "--score",
            "cosine",
            "--format",
            format,
            "--labels",
            "a cat",
            "a dog",
        ])
    };
    let formats = [
        "table",
        "ndjson",
        "csv",
        "tsv",
        "{label} {score:.2} [{probability}] {cosine:.2}",
    ];
    assert_snapshot!(formats.map(shown).join(""), @r#"
    exit code 0
    --- stdout
    cat.jpg
       0.1162  a cat
       0.0643  a dog
    --- stderr
    exit code 0
    --- stdout
    {"path":"cat.jpg","labels":[{"label":"a cat","probability":null,"logit":null,"cosine":0.11619…},{"label":"a dog","probability":null,"logit":null,"cosine":0.06433…}]}
    --- stderr
    exit code 0
    --- stdout
    path,rank,label,probability,logit,cosine,error
    cat.jpg,1,a cat,,,0.11619…,
    cat.jpg,2,a dog,,,0.06433…,
    --- stderr
    exit code 0
    --- stdout
    path	rank	label	probability	logit	cosine	error
    cat.jpg	1	a cat			0.11619…	
    cat.jpg	2	a dog			0.06433…	
    --- stderr
    exit code 0
    --- stdout
    a cat 0.12 [] 0.12
    --- stderr
    "#);
}

#[test]
fn a_threshold_drops_labels_but_not_the_image() {
    let desk = Desk::with_pictures().and_small_model();
    let shown = |threshold: &str, format: &str| {
        desk.run(&[
            "classify",
            "cat.jpg",
            "--model",
            "small.safetensors",
            "--temperature",
            "100",
            "--threshold",
            threshold,
            "--format",
            format,
            "--labels",
            "a cat",
            "a dog",
            "a bird",
        ])
    };
    let both = [
        shown("0.33", "table"),
        shown("0.9", "table"),
        shown("0.9", "csv"),
        shown("0.9", "ndjson"),
    ];
    assert_snapshot!(both.join(""), @r#"
    exit code 0
    --- stdout
    cat.jpg
        34.0%  a cat
        33.7%  a bird
    --- stderr
    exit code 0
    --- stdout
    cat.jpg
      no label reaches the threshold
    --- stderr
    exit code 0
    --- stdout
    path,rank,label,probability,logit,cosine,error
    cat.jpg,,,,,,
    --- stderr
    exit code 0
    --- stdout
    {"path":"cat.jpg","labels":[]}
    --- stderr
    "#);
}

/// Labels with groups.
const ANIMALS: &str = "label,prompt,group\ncat,a cat,animal\ndog,a dog,animal\nmug,a cup of coffee,thing\nsky,,\n";

#[test]
fn groups_sum_the_probabilities_of_their_labels() {
    let desk = Desk::with_pictures().file("labels.csv", ANIMALS);
    let run = [
        "classify",
        "cat.jpg",
        "--model",
        "nano",
        "--temperature",
        "10",
        "--labels-file",
        "labels.csv",
        "--group-by",
        "--reject",
        "--format",
    ];
    let record = desk.records(&[&run[..], &["ndjson"]].concat()).swap_remove(0);
    let groups = record["groups"].as_array().unwrap();
    let probability = |name: &str| {
        let group = groups.iter().find(|group| group["group"] == name).unwrap();
        group["probability"].as_f64().unwrap()
    };
    let of_label = |label: &str| number(&record, label, "probability");
    near(probability("animal"), of_label("cat") + of_label("dog"));
    near(probability("thing"), of_label("mug"));
    near(probability("sky"), of_label("sky"));
    near(probability("none of these"), of_label("none of these"));
    near(
        groups.iter().map(|group| group["probability"].as_f64().unwrap()).sum(),
        1.0,
    );
    let best_only = desk.records(&[&run[..], &["ndjson", "--top-k", "1"]].concat());
    assert_eq!(
        best_only[0]["groups"], record["groups"],
        "sums include labels that are not shown"
    );

    let csv = String::from_utf8(desk.output(&[&run[..], &["csv"]].concat()).stdout).unwrap();
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(header[6..], ["group", "group_probability", "error"]);
    for line in lines {
        let row: Vec<&str> = line.split(',').collect();
        near(row[7].parse().unwrap(), probability(row[6]));
    }
    let wide = String::from_utf8(desk.output(&[&run[..], &["csv", "--wide"]].concat()).stdout).unwrap();
    assert_eq!(
        wide.lines().next().unwrap(),
        "path,cat,dog,mug,sky,none of these,group:animal,group:thing,group:sky,group:none of these,error"
    );
}

#[test]
fn the_table_shows_groups_as_a_second_block() {
    let desk = Desk::with_pictures().and_small_model().file("labels.csv", ANIMALS);
    assert_snapshot!(desk.run(&[
        "classify", "cat.jpg", "--model", "small.safetensors", "--labels-file", "labels.csv", "--group-by", "--temperature",
        "100",
    ]), @r"
    exit code 0
    --- stdout
    cat.jpg
        28.1%  cat
        26.6%  dog
        24.7%  mug
        20.6%  sky
      by group
        54.7%  animal
        24.7%  thing
        20.6%  sky
    --- stderr
    ");
}

#[test]
fn sort_uses_groups_reject_and_threshold() {
    let desk = Desk::with_pictures().file("labels.csv", ANIMALS);
    let sorted = |more: &[&str]| {
        let run = [
            "sort",
            "cat.jpg",
            "--into",
            "out",
            "--copy",
            "--dry-run",
            "--model",
            "nano",
            "--labels-file",
            "labels.csv",
        ];
        String::from_utf8(desk.output(&[&run, more].concat()).stdout).unwrap()
    };
    assert_eq!(sorted(&["--group-by"]), "cat.jpg -> out/animal/cat.jpg\n");
    assert_eq!(sorted(&["--reject=50"]), "cat.jpg -> out/none of these/cat.jpg\n");
    assert_eq!(
        sorted(&["--temperature", "1000", "--threshold", "0.5"]),
        "cat.jpg stays: no label reaches the threshold\n"
    );
}

#[test]
fn flags_without_effect_or_with_impossible_values_are_refused() {
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("neutral.txt", "a photo\n")
        .file("labels.csv", ANIMALS);
    let refused = |arguments: &[&str]| {
        let start = [
            "classify",
            "cat.jpg",
            "--model",
            "small.safetensors",
            "--labels",
            "a cat",
        ];
        let output = desk.output(&[&start, arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let all = [
        refused(&["--neutral", "neutral.txt"]),
        refused(&["--score", "cosine", "--temperature", "2"]),
        refused(&["--score", "independent", "--reject"]),
        refused(&["--score", "cosine", "--reject"]),
        refused(&["--threshold", "1.5"]),
        refused(&["--score", "cosine", "--threshold", "-2"]),
        refused(&["--score", "cosine", "--labels-file", "labels.csv", "--group-by"]),
        refused(&["--score", "raw-dot", "--templates", "imagenet7"]),
        refused(&["--reject", "--label", "none of these"]),
    ];
    assert_snapshot!(all.join(""), @r"
    error: `neutral` changes nothing: neutral prompts are for the score `independent` and for `reject`
    hint: leave it out, or add one of them
    error: `temperature` changes nothing: the score `cosine` has no logits to divide
    hint: leave it out, or choose another score
    error: `reject` is for the score `softmax`
    hint: a threshold of 0.5 leaves out labels that are not likelier than the neutral prompts
    error: `reject` is for the score `softmax`
    hint: use a threshold, or the score `softmax`
    error: a threshold of 1.5 keeps all labels or none: probabilities are from 0 to 1
    hint: give a number between them
    error: a threshold of -2 keeps all labels or none: cosines are from -1 to 1
    hint: give a number between them
    error: a group's score is the sum of probabilities of labels that exclude each other, and this score has none
    hint: leave out the groups, or use the score `softmax`
    error: the score `raw-dot` compares features as they are, and that of `a cat` is a mean
    hint: give a prompt a label, or combine prompts by `max`, or use another score
    error: the label `none of these` is what `reject` adds
    hint: leave it out, or leave out `reject`
    ");
    for wrong in [
        &["--temperature", "0"][..],
        &["--temperature", "-1"],
        &["--threshold", "nan"],
        &["--reject=x"],
        &["--raw-dot", "--score", "cosine"],
    ] {
        assert!(
            refused(wrong).contains(wrong[0].split('=').next().unwrap()),
            "{wrong:?}"
        );
    }
}
