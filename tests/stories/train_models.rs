//! What a training makes of a model: stretched tables, frozen tensors, losses at their minimum.

use std::fs;

use serde_json::{Value, json};

use crate::short_clip::short_clip;
use crate::train::{COLOURS, beginning, desk, metrics, numbers, train};

/// The minimum of a label-smoothed cross entropy over `n`, which is the entropy of its target.
fn floor(n: usize, smoothing: f64) -> f64 {
    let wrong = smoothing / n as f64;
    let right = 1.0 - smoothing + wrong;
    -(right * right.ln() + (n - 1) as f64 * wrong * wrong.ln())
}

#[test]
fn both_losses_reach_their_minimum_on_a_small_set() {
    // With as many components as samples, matching removes nothing, and both losses have the same minimum.
    check_floor("8", "300", [1.01, 1.01]);
    // Six components do not distinguish eight captions as well.
    check_floor("6", "800", [1.01, 1.1]);
}

/// Trains on all eight samples at once, and checks that the losses, long and short, are below these multiples of their
/// minimum.
#[track_caller]
fn check_floor(components: &str, steps: &str, times: [f64; 2]) {
    let desk = desk();
    let settings = ["--batch", "8", "--weight-decay", "0", "--lr", "3e-3", "-q"];
    let more = [&settings[..], &["--components", components, "--steps", steps]].concat();
    let output = desk.output(&beginning("run", &more));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = metrics(&desk, "run");
    let last = lines.last().unwrap();
    let floor = floor(8, 0.1);
    for (loss, times) in ["loss_long", "loss_short"].into_iter().zip(times) {
        let found = last[loss].as_f64().unwrap();
        println!("{components} components: {loss} {found:.5}, minimum {floor:.5}");
        assert!(
            found >= floor - 1e-6 && found < times * floor,
            "{components} components: {loss} is {found}, its minimum {floor}"
        );
    }
}

#[test]
fn a_77_token_base_is_stretched_and_frozen_tensors_stay() {
    let desk = desk().folder("base");
    let base = "base/base.safetensors";
    fs::write(desk.path(base), short_clip(longclip::nano::safetensors())).unwrap();
    let always = [
        "train",
        "--base",
        base,
        "--data",
        "captions.ndjson",
        "--batch",
        "4",
        "--steps",
        "1",
        "--warmup",
        "0",
        "-q",
    ];
    let frozen = ["--freeze", "visual.,token_embedding,logit_scale", "--micro-batch", "2"];
    let run = |out, more: &[&str]| {
        let output = desk.output(&[&always[..], &frozen, &["--out", out], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run("long", &[]);
    run("short", &["--no-stretch", "--no-pcm"]);
    assert_eq!(metrics(&desk, "short")[0]["loss_short"], json!(0.0));
    let tensors = |out: &str| {
        let bytes = fs::read(desk.path(out).join("last.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let shape = |name: &str| file.tensor(name).ok().map(|tensor| tensor.shape().to_vec());
        (shape("positional_embedding"), shape("positional_embedding_res"))
    };
    let scale = |file: &[u8]| {
        let file = safetensors::SafeTensors::deserialize(file).unwrap();
        file.tensor("logit_scale").unwrap().data().to_vec()
    };
    let last = fs::read(desk.path("long/last.safetensors")).unwrap();
    assert_eq!(
        scale(&last),
        scale(&fs::read(desk.path(base)).unwrap()),
        "a frozen scale is the base's"
    );
    assert_eq!(tensors("long"), (Some(vec![248, 192]), Some(vec![248, 192])));
    assert_eq!(tensors("short"), (Some(vec![77, 192]), None));
    // The image tower is frozen, so the embedding of an image is the base's.
    let embedding = |model: &str| desk.records(&["embed", "colours/red.ppm", "--model", model])[0]["embedding"].clone();
    assert_eq!(embedding("long/last.safetensors"), embedding(base));
}

#[test]
fn widths_that_are_not_a_multiple_of_64_keep_their_number_of_heads() {
    let desk = desk();
    let mut config: Value = serde_json::from_slice(&fs::read(desk.path("config.json")).unwrap()).unwrap();
    config["vision_cfg"]["width"] = json!(160);
    config["vision_cfg"]["head_width"] = json!(80);
    config["text_cfg"]["width"] = json!(96);
    fs::write(desk.path("config.json"), config.to_string()).unwrap();
    train(&desk, "run", &["--steps", "2", "--batch", "4"]);
    let model = ["--model", "run/last.safetensors", "--labels", "red", "green"];
    let record = desk.records(&[&["classify", "colours/red.ppm", "--format", "ndjson"], &model[..]].concat());
    assert_eq!(record[0]["labels"].as_array().unwrap().len(), 2);
}

#[test]
fn a_training_with_zero_steps_writes_its_initial_weights() {
    let desk = desk();
    train(&desk, "run", &["--steps", "0", "--batch", "4"]);
    let said = train(&desk, "run", &["--steps", "2", "--batch", "4", "--resume"]);
    assert!(said.contains("holds no step of a training to resume"), "{said}");
    train(&desk, "other", &["--steps", "2", "--batch", "4"]);
    assert_eq!(numbers(&desk, "run"), numbers(&desk, "other"));
    let said = train(&desk, "run", &["--steps", "1", "--batch", "4", "--resume"]);
    assert!(said.contains("has its 1 step already, 2 are done"), "{said}");
}

#[test]
fn class_folders_train_a_classifier_from_scratch() {
    let desk = desk();
    for (name, _) in COLOURS {
        fs::create_dir_all(desk.path("classes").join(name)).unwrap();
        let (from, to) = (format!("colours/{name}.ppm"), format!("classes/{name}/0.ppm"));
        fs::copy(desk.path(&from), desk.path(&to)).unwrap();
    }
    let more = [
        "train",
        "--init",
        "config.json",
        "--data",
        "classes",
        "--val-data",
        "classes",
        "--out",
        "run",
        "--steps",
        "60",
        "--batch",
        "8",
        "--components",
        "8",
        "--lr",
        "3e-3",
        "--warmup",
        "5",
        "-q",
    ];
    let output = desk.output(&more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = metrics(&desk, "run");
    assert!(
        lines[0]["val_top1"].as_f64().unwrap() < 0.6,
        "the initial weights know nothing"
    );
    assert_eq!(lines.last().unwrap()["val_top1"], json!(1.0));
}
