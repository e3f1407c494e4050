//! `longclip train`: training a model, interrupting it, resuming it, and using the result.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fixture::Desk;

/// Colours of the images, different enough to be distinguished.
pub(crate) const COLOURS: [(&str, [u8; 3]); 8] = [
    ("red", [220, 20, 20]),
    ("green", [20, 200, 40]),
    ("blue", [30, 40, 220]),
    ("yellow", [240, 230, 30]),
    ("black", [10, 10, 10]),
    ("white", [245, 245, 245]),
    ("purple", [140, 20, 160]),
    ("orange", [250, 140, 10]),
];

/// A working folder with an image of each colour in `colours/`, their captions in `captions.ndjson`, and `config.json` for a
/// model with one block per tower.
pub(crate) fn desk() -> Desk {
    let desk = Desk::new().folder("colours");
    let mut records = String::new();
    for (name, colour) in COLOURS {
        let mut picture = b"P6 16 16 255\n".to_vec();
        picture.extend(colour.repeat(256));
        fs::write(desk.path(&format!("colours/{name}.ppm")), picture).unwrap();
        let long =
            format!("A {name} square. All of it is {name}, from the top to the bottom, and nothing else is there.");
        let record = json!({ "path": format!("colours/{name}.ppm"), "long": long, "class": name });
        records.push_str(&format!("{record}\n"));
    }
    let config = json!({
        "embed_dim": 32,
        "vision_cfg": { "image_size": 16, "layers": 1, "width": 64, "patch_size": 8 },
        "text_cfg": { "context_length": 32, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1 },
    });
    desk.file("captions.ndjson", records)
        .file("config.json", config.to_string())
}

/// Arguments of a training of the small model, without its settings.
pub(crate) fn beginning<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let always = [
        "train",
        "--init",
        "config.json",
        "--data",
        "captions.ndjson",
        "--out",
        out,
        "--warmup",
        "5",
    ];
    [&always, more].concat()
}

/// Arguments of a training of the small model.
pub(crate) fn arguments<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let settings = ["--lr", "1e-3", "--components", "2", "--logit-scale", "3"];
    beginning(out, &[&settings, more].concat())
}

#[track_caller]
pub(crate) fn train(desk: &Desk, out: &str, more: &[&str]) -> String {
    let output = desk.output(&arguments(out, more));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    stderr
}

/// Starts a training with `-v` and waits until it has reached a step. Returns the process and its later lines.
#[track_caller]
fn trained_up_to(desk: &Desk, out: &str, more: &[&str], step: u64) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = desk
        .command(&arguments(out, more))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let wanted = format!("step {step}:");
    assert!(
        lines.any(|line| line.starts_with(&wanted)),
        "the training did not reach step {step}"
    );
    (child, lines)
}

pub(crate) fn metrics(desk: &Desk, out: &str) -> Vec<Value> {
    let text = fs::read_to_string(desk.path(out).join("metrics.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers of all steps without their times.
pub(crate) fn numbers(desk: &Desk, out: &str) -> Vec<Value> {
    let mut lines = metrics(desk, out);
    for line in &mut lines {
        for time in ["images_per_s", "step_ms", "data_wait_ms"] {
            line.as_object_mut().unwrap().remove(time);
        }
    }
    lines
}

pub(crate) fn refusal(desk: &Desk, arguments: &[&str]) -> String {
    let output = desk.output(arguments);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    stderr.replace(desk.path("").to_str().unwrap(), "")
}

#[test]
fn writes_a_model_curves_and_one_line_per_step() {
    let desk = desk();
    let more = [
        "--steps",
        "6",
        "--batch",
        "4",
        "--val-data",
        "captions.ndjson",
        "--validate-every",
        "3",
        "--ema",
        "0.5",
    ];
    let said = train(&desk, "run", &more);
    for part in [
        "6 steps of 4",
        "validated step 3 on 8 images",
        "zero-shot top-1",
        "waiting for data",
        "best.safetensors",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let lines = metrics(&desk, "run");
    assert_eq!(lines.len(), 7, "one line before the first step, and one per step");
    assert_eq!((&lines[0]["step"], &lines[6]["step"]), (&json!(0), &json!(6)));
    let fields = [
        "lr",
        "loss_long",
        "loss_short",
        "grad_norm",
        "images_per_s",
        "data_wait_ms",
    ];
    assert!(
        lines[1..]
            .iter()
            .all(|line| fields.iter().all(|field| line[field].is_number()))
    );
    let validated: Vec<usize> = (0..7).filter(|i| lines[*i]["val_long_i2t_r1"].is_number()).collect();
    assert_eq!(validated, [0, 3, 6]);
    let page = fs::read_to_string(desk.path("run/loss.html")).unwrap();
    assert!(page.contains("<polyline") && !page.contains("http:") && !page.contains("https:"));
    assert!(page.contains("<dt>command</dt><dd>longclip train"), "{page}");

    for model in ["run/last.safetensors", "run/best.safetensors"] {
        let labels = ["--labels", "A red square.", "A blue square."];
        let record = desk.records(
            &[
                &["classify", "colours/red.ppm", "--model", model, "--format", "ndjson"],
                &labels[..],
            ]
            .concat(),
        );
        assert_eq!(record[0]["labels"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn a_killed_and_resumed_training_takes_the_same_steps() {
    let desk = desk();
    let always = ["--steps", "24", "--batch", "3", "--save-every", "5", "-v"];
    // Settings for everything that the state must contain, or that changes how a step is computed.
    let averaged = ["--ema", "0.9", "--val-data", "captions.ndjson", "--validate-every", "4"];
    let in_parts = [
        "--micro-batch",
        "2",
        "--grad-checkpointing",
        "--freeze",
        "visual., logit_scale",
    ];
    let settings = [&always[..], &averaged, &in_parts].concat();
    train(&desk, "whole", &settings);
    let resumed = [&settings[..], &["--resume"]].concat();
    for moment in [2, 9, 14, 15, 21] {
        let (mut child, _lines) = trained_up_to(&desk, "killed", &resumed, moment);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let said = train(&desk, "killed", &resumed);
    assert!(said.contains("resuming after step 20"), "{said}");
    assert_eq!(numbers(&desk, "killed"), numbers(&desk, "whole"));
    for kept in ["last.safetensors", "best.safetensors", "skipped.ndjson"] {
        let weights = |out: &str| fs::read(desk.path(out).join(kept)).unwrap();
        assert!(weights("killed") == weights("whole"), "{kept} is the same to the bit");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_a_later_run_resumes() {
    let desk = desk();
    let settings = ["--steps", "100000", "--batch", "3", "--save-every", "100000", "-v"];
    let (mut child, lines) = trained_up_to(&desk, "run", &settings, 7);
    let pid = i32::try_from(child.id()).unwrap();
    let asked = std::process::Command::new("kill")
        .args(["-INT", &pid.to_string()])
        .status()
        .unwrap();
    assert!(asked.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(
        rest.iter().any(|line| line.contains("Ctrl-C again ends at once")),
        "{rest:?}"
    );
    assert!(
        rest.iter().any(|line| line.contains("`--resume` continues")),
        "{rest:?}"
    );
    let done = metrics(&desk, "run").len() as u64;
    let more = (done + 2).to_string();
    let said = train(&desk, "run", &["--steps", &more, "--batch", "3", "--resume"]);
    assert!(said.contains(&format!("resuming after step {done}")), "{said}");
    assert_eq!(metrics(&desk, "run").len() as u64, done + 2);
}

#[test]
fn unusable_samples_are_skipped_counted_and_listed() {
    let desk = desk();
    let mut records = fs::read_to_string(desk.path("captions.ndjson")).unwrap();
    records.push_str(
        "{\"path\":\"gone.jpg\",\"long\":\"x\"}\n{\"path\":\"config.json\",\"long\":\"no picture\"}\nnot json\n",
    );
    fs::write(desk.path("captions.ndjson"), records).unwrap();
    let said = train(&desk, "run", &["--steps", "6", "--batch", "4"]);
    assert!(said.contains("3 samples could not be used"), "{said}");
    let listed = fs::read_to_string(desk.path("run/skipped.ndjson")).unwrap();
    let mut samples: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    samples.sort_by_key(|sample| sample["sample"].to_string());
    let named: Vec<&str> = samples
        .iter()
        .map(|sample| sample["sample"].as_str().unwrap())
        .collect();
    assert_eq!(
        named,
        [
            "captions.ndjson line 10",
            "captions.ndjson line 11",
            "captions.ndjson line 9"
        ]
    );
    assert!(samples[2]["error"].as_str().unwrap().contains("gone.jpg"));

    let only_bad = "{\"path\":\"gone.jpg\",\"long\":\"x\"}\n".repeat(4);
    let desk = desk.file("bad.ndjson", only_bad);
    let refused = refusal(
        &desk,
        &[
            "train",
            "--init",
            "config.json",
            "--data",
            "bad.ndjson",
            "--out",
            "bad",
            "--batch",
            "4",
            "-q",
        ],
    );
    assert!(
        refused.contains("the data has 0 usable samples, but a batch needs 4"),
        "{refused}"
    );
}

#[test]
fn a_run_folder_is_not_changed_by_another_training() {
    let desk = desk();
    train(&desk, "run", &["--steps", "2", "--batch", "4"]);
    let with = |more: &[&str]| refusal(&desk, &arguments("run", &[&["--steps", "2", "-q"], more].concat()));
    assert_snapshot!(with(&["--batch", "4"]), @r"
    error: `run` already has a training
    hint: `--resume` continues it, `--force` replaces it, or use another folder
    ");
    assert_snapshot!(with(&["--batch", "5", "--seed", "9", "--resume"]), @r"
    error: `run/state.safetensors` can't be resumed: `batch` was 4 and is 5; `seed` was 0 and is 9
    hint: resume with the data and the settings that the training began with, or use another folder
    ");
    // The same number of records, with other lengths.
    let captions = fs::read_to_string(desk.path("captions.ndjson")).unwrap();
    fs::write(
        desk.path("captions.ndjson"),
        captions.replace("All of it", "Everything"),
    )
    .unwrap();
    assert_snapshot!(with(&["--batch", "4", "--val-data", "captions.ndjson", "--resume"]), @r"
    error: `run/state.safetensors` can't be resumed: the training data has changed; there was no validation data
    hint: resume with the data and the settings that the training began with, or use another folder
    ");
    fs::write(desk.path("captions.ndjson"), captions).unwrap();
    // A finished training is not changed.
    let before = numbers(&desk, "run");
    train(&desk, "run", &["--steps", "2", "--batch", "4", "--resume"]);
    assert_eq!(numbers(&desk, "run"), before);
}

#[test]
fn files_that_no_training_wrote_are_not_overwritten() {
    let desk = desk();
    let config = fs::read(desk.path("config.json")).unwrap();
    let with = |out| refusal(&desk, &arguments(out, &["--steps", "1", "--batch", "4", "-q"]));
    assert_snapshot!(with("."), @r"
    error: `--out ./config.json` would overwrite the config
    hint: name another file: what a run reads is never written
    ");
    assert_eq!(fs::read(desk.path("config.json")).unwrap(), config);
    let desk = desk.folder("records");
    fs::copy(desk.path("captions.ndjson"), desk.path("records/metrics.ndjson")).unwrap();
    let refused = refusal(&desk, &arguments("records", &["--steps", "1", "--batch", "4", "-q"]));
    assert!(
        refused.contains("`records/metrics.ndjson` would be overwritten"),
        "{refused}"
    );
}

#[test]
fn nothing_remains_of_a_training_that_never_saved() {
    let desk = desk();
    let settings = ["--steps", "100000", "--save-every", "100000", "--batch", "4", "-v"];
    let validated = [&settings[..], &["--val-data", "captions.ndjson"]].concat();
    let (mut child, _lines) = trained_up_to(&desk, "run", &validated, 3);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(desk.path("run/best.safetensors").exists());
    train(&desk, "run", &["--steps", "2", "--batch", "4", "--seed", "7"]);
    assert_eq!(metrics(&desk, "run").len(), 2);
    assert!(
        !desk.path("run/best.safetensors").exists(),
        "the best weights were those of the earlier training"
    );
}

#[test]
fn impossible_settings_are_refused_with_a_reason() {
    let desk = desk();
    let with = |more: &[&str]| refusal(&desk, &arguments("run", &[&["-q"], more].concat()));
    assert_snapshot!(with(&["--batch", "9"]), @r"
    error: the data has 8 samples, and a batch takes 9
    hint: give more data, or a smaller `--batch`
    ");
    assert_snapshot!(with(&["--batch", "4", "--validate-every", "2"]), @r"
    error: `--validate-every` without data to validate on
    hint: name some by `--val-data`
    ");
    assert_snapshot!(with(&["--batch", "4", "--freeze", "vision."]), @r"
    error: no tensor's name begins with `vision.`
    hint: names are upstream's: `visual.`, `transformer.resblocks.0.`, `token_embedding`, `logit_scale`
    ");
    assert!(!desk.path("run/state.safetensors").exists());
}
