//! Whole checkpoints: every layout gives the same tensors, and every bad file is refused with its own message.

use std::path::{Path, PathBuf};

use super::*;
use crate::Error;

fn tiny(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/reference/model-tiny")
        .join(name);
    path.exists().then_some(path)
}

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path, &LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The largest difference to `longclip.safetensors` in any tensor.
#[track_caller]
fn check_same_tensors(name: &str, tolerance: f32) {
    let (Some(path), Some(oracle)) = (tiny(name), tiny("longclip.safetensors")) else {
        return;
    };
    let (found, expected) = (open(&path), open(&oracle));
    assert_eq!(found.sizes(), expected.sizes(), "{name}");
    for (tensor, _) in expected.sizes().tensors() {
        if tensor == "positional_embedding" {
            continue; // one merged table or two: compared below
        }
        let (a, b) = (found.values(&tensor).unwrap(), expected.values(&tensor).unwrap());
        check_close(&format!("{name} {tensor}"), &a, &b, tolerance);
    }
    check_close(
        name,
        &found.text_positions().unwrap(),
        &expected.text_positions().unwrap(),
        tolerance,
    );
}

#[track_caller]
fn check_close(what: &str, a: &[f32], b: &[f32], tolerance: f32) {
    assert_eq!(a.len(), b.len(), "{what}");
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: {worst} apart, {tolerance} allowed");
}

#[test]
fn every_safetensors_layout_gives_the_same_tensors() {
    for name in [
        "openclip.safetensors",
        "openclip-custom-text.safetensors",
        "hf.safetensors",
        "hf-nested.safetensors",
    ] {
        check_same_tensors(name, 0.0);
    }
    check_same_tensors("hf-sharded", 0.0);
    check_same_tensors("gmp.safetensors", 2e-7);
    check_same_tensors("longclip-bf16.safetensors", 0.016); // half a step of bf16 at logit_scale, 4.6
}

#[test]
fn torch_files_give_the_same_tensors() {
    for name in ["longclip.pt", "openclip-training.pt"] {
        check_same_tensors(name, 0.0);
    }
    check_same_tensors("longclip-f16.pt", 2e-3); // logit_scale alone is not exact in f16
    let (Some(scripted), Some(plain)) = (tiny("clip77-torchscript.pt"), tiny("clip77.safetensors")) else {
        return;
    };
    assert_eq!(
        open(&scripted).text_positions().unwrap(),
        open(&plain).text_positions().unwrap()
    );
}

#[test]
fn a_77_row_table_is_stretched_or_used_as_it_is() {
    let Some(path) = tiny("clip77.safetensors") else { return };
    assert_eq!(open(&path).sizes().context_length, 248);
    let as_stored = LoadOptions {
        stretching: None,
        ..LoadOptions::default()
    };
    let checkpoint = Checkpoint::open(&path, &as_stored).unwrap();
    assert_eq!(checkpoint.sizes().context_length, 77);
    assert_eq!(checkpoint.text_positions().unwrap().len(), 77 * 64);
}

#[test]
fn bad_files_are_refused_by_name_with_what_is_wrong() {
    #[track_caller]
    fn check(name: &str, says: &[&str]) {
        let Some(path) = tiny(&format!("bad/{name}")) else {
            return;
        };
        let refused = Checkpoint::open(&path, &LoadOptions::default()).and_then(|checkpoint| {
            checkpoint
                .tensors()
                .iter()
                .try_for_each(|(tensor, _)| checkpoint.values(tensor).map(|_| ()))
        });
        let message = refused.expect_err(name).to_string();
        for part in says.iter().chain(&[name]) {
            assert!(message.contains(part), "{name}: {message:?} does not say {part:?}");
        }
    }
    check("empty.safetensors", &["an empty file"]);
    check("huge-header.safetensors", &["10 bytes without a valid header"]);
    check("lfs-pointer.safetensors", &["Git LFS pointer"]);
    check("truncated.safetensors", &["cut short"]);
    check(
        "missing-tensor.safetensors",
        &["1 missing", "visual.transformer.resblocks.1.mlp.c_fc.bias", "[512]"],
    );
    check("html-instead-of-weights.pt", &["a web page"]);
    check("runs-code.pt", &["posix.system", "nothing of it was run"]);
    check("whole-object.pt", &["__main__.Tree"]);
    check("truncated.pt", &[]);
    check(
        "extra-tensor.safetensors",
        &["visual.transformer.resblocks.1.adapter.weight"],
    );
    check(
        "misshapen-tensor.safetensors",
        &["`visual.proj`, expected [128, 64], found [64, 64]"],
    );
    check("nan-weight.safetensors", &["`ln_final.bias` has NaN at element 0"]);
    check("text-tower-only.safetensors", &["no image tower"]);
}

#[test]
fn the_built_in_model_opens_and_its_token_rows_equal_the_whole_table() {
    let nano = Checkpoint::from_bytes("nano", crate::nano::safetensors(), &LoadOptions::default()).unwrap();
    assert_eq!((nano.sizes().context_length, nano.sizes().vocab_size), (248, 49408));
    let width = nano.sizes().text_width;
    let table = nano.values("token_embedding.weight").unwrap();
    let rows = nano.rows("token_embedding.weight", &[49407, 0]).unwrap();
    assert_eq!(rows[..width], table[49407 * width..]);
    assert_eq!(rows[width..], table[..width]);
}

#[test]
fn a_folder_without_weights_says_what_it_should_hold() {
    let folder = tempfile::tempdir().unwrap();
    let error = Checkpoint::open(folder.path(), &LoadOptions::default()).err().unwrap();
    assert!(matches!(error, Error::NotWeights { .. }), "{error}");
    for name in ["last.safetensors", "best.safetensors", "config.json"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let error = Checkpoint::open(folder.path(), &LoadOptions::default()).err().unwrap();
    let message = error.to_string();
    assert!(
        message.contains("`best.safetensors`, `last.safetensors`; name one of them"),
        "{message}"
    );
}

/// The cases of `stretch.json`, and the official model's table made again from its own 77 rows.
#[test]
fn stretching_gives_the_reference_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/reference");
    let Ok(text) = std::fs::read(folder.join("stretch.json")) else {
        return;
    };
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let table = |value: &serde_json::Value| -> Vec<f32> {
        let rows = value.as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32))
            .collect()
    };
    for case in json["cases"].as_array().unwrap() {
        let width = case["from"][0].as_array().unwrap().len();
        let stretched = Stretching::default().stretch(&table(&case["from"]), width);
        check_close("stretch.json", &stretched, &table(&case["to"]), 1e-6);
    }
    let file = open::tensors(&folder.join("real-longclip-b-positions.safetensors")).unwrap();
    let real = file.read("", &file.tensors["positional_embedding"]).unwrap();
    let learned: Vec<f32> = (0..20)
        .chain((20..248).step_by(4))
        .flat_map(|i| real[i * 512..][..512].to_vec())
        .collect();
    assert_eq!(learned.len(), 77 * 512);
    check_close(
        "official table",
        &Stretching::default().stretch(&learned, 512),
        &real,
        1e-4,
    );
}
