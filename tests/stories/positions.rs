//! A file with several tables of text positions: which of them is read, converted and compared.

use insta::assert_snapshot;
use serde_json::Value;

use crate::fixture::Desk;
use crate::zeroshot::{desk, measured};

/// A text with more than 20 tokens: Long-CLIP's two tables differ only after the first 20 rows.
const LONG: &str = "a small grey cat with green eyes that sleeps on a wooden table next to a red cup, two plates, \
                    some flowers and an open book in the morning light";

fn embedding(desk: &Desk, model: &str, more: &[&str]) -> Value {
    let embed = ["embed", "--text", LONG, "--model", model];
    desk.records(&[&embed[..], more].concat())[0]["embedding"].clone()
}

#[test]
fn a_converted_file_holds_the_table_that_was_chosen() {
    let desk = Desk::new().and_small_model();
    let of_source = |more: &[&str]| embedding(&desk, "small.safetensors", more);
    let (joined, first) = (of_source(&[]), of_source(&["--positions", "first"]));
    assert_ne!(joined, first);
    for (target, output) in [
        ("safetensors", "first.safetensors"),
        ("hf", "hf"),
        ("openclip", "openclip"),
    ] {
        let convert = ["model", "convert", "small.safetensors", "--to", target, "-o", output];
        let chosen = desk.run(&[&convert[..], &["--positions", "first"]].concat());
        assert!(chosen.starts_with("exit code 0"), "{chosen}");
        assert_eq!(embedding(&desk, output, &[]), first, "{target}");
        let as_usual = desk.run(&[&convert[..], &["--force"]].concat());
        assert!(as_usual.starts_with("exit code 0"), "{as_usual}");
        assert_eq!(embedding(&desk, output, &[]), joined, "{target}");
    }
}

#[test]
fn a_table_that_a_file_does_not_have_is_not_converted() {
    let desk = Desk::new().and_small_model();
    let convert = ["model", "convert", "small.safetensors", "--to", "hf", "-o", "hf"];
    assert_snapshot!(desk.run(&[&convert[..], &["--positions", "short"]].concat()), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `small.safetensors` is not an FG-CLIP, which has a table of text positions for short texts
    hint: leave the choice out
    ");
    assert!(!desk.path("hf").exists());
}

#[test]
fn two_tables_of_one_file_are_compared_as_two_models() {
    let desk = desk();
    let template = LONG.replace("cat", "{}");
    let first = ["--template", &template, "--positions", "first"];
    let compare = ["--compare", "small.safetensors", "--resamples", "100"];
    let both = measured(&desk, &[&first[..], &compare].concat());
    assert_eq!(both["metrics"]["acc1"], measured(&desk, &first)["metrics"]["acc1"]);
    assert_eq!(
        both["compare"]["metrics"]["acc1"],
        measured(&desk, &first[..2])["metrics"]["acc1"]
    );
    let run = [
        "eval",
        "zeroshot",
        "--model",
        "small.safetensors",
        "--data",
        "photos",
        "-q",
    ];
    let table = desk.run(&[&run[..], &first, &compare].concat());
    let names = "small.safetensors, first positions  small.safetensors, joined positions  difference";
    assert!(table.contains(names), "{table}");
}

#[test]
fn the_same_table_of_one_file_is_not_compared_with_itself() {
    let desk = desk();
    assert_snapshot!(desk.run(&[
        "eval", "zeroshot", "--model", "small.safetensors", "--data", "photos", "--compare", "small.safetensors",
    ]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: the model is compared with itself
    hint: name another by `--compare`, or another number type by `--compare-dtype`
    ");
}
