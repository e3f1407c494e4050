//! The two-layer model gives the reference's features in every file format.

use std::path::Path;

#[cfg(feature = "cuda")]
use longclip::model::{DeviceChoice, NumberType};
use longclip::model::{LongClip, LongClipOptions};
use longclip::weights::LoadOptions;

use crate::recipe::{Positions, Stored, write_safetensors, write_torch};
use crate::reference::{
    Golden, check_features, check_relative, check_scores, check_values, open, open_with, shared, slices,
};

/// Runs `check` on the generated model in f32, in f16 and as a `.pt` file.
fn with_recipe_files(positions: Positions, check: impl Fn(&str, &Path, &Golden)) {
    let golden = Golden::read("model-tiny.json");
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    write_safetensors(&file("f32.safetensors"), &golden.config, positions, Stored::F32).unwrap();
    write_safetensors(&file("f16.safetensors"), &golden.config, positions, Stored::F16).unwrap();
    write_torch(&file("f32.pt"), &golden.config, positions).unwrap();
    for name in ["f32.safetensors", "f16.safetensors", "f32.pt"] {
        check(name, &file(name), &golden);
    }
}

/// Runs `check` on the reference's files, if they are on this machine.
fn with_reference_files(names: &[&str], check: impl Fn(&str, &Path, &Golden)) {
    let golden = Golden::read("model-tiny.json");
    for name in names {
        if let Some(path) = shared(&format!("model-tiny/{name}")) {
            check(name, &path, &golden);
        }
    }
}

/// Checks features of both towers, hidden states, logits and probabilities.
fn check_all(name: &str, path: &Path, golden: &Golden) {
    let model = open(path);
    let images = model.encode_images(&golden.recipe_pictures()).unwrap().0;
    let ids = golden.token_ids();
    let texts = model.encode_token_ids(&slices(&ids)).unwrap().0;
    check_features(&format!("{name} images"), &images, &golden.image_features);
    check_features(&format!("{name} texts"), &texts, &golden.text_features);
    check_scores(name, &model, golden, &images, &texts);
    let hidden = model.encode_token_ids_hidden(&ids[1]).unwrap();
    let theirs = golden.text_hidden_ids_1.concat();
    check_values(&format!("{name} hidden states"), hidden.values(), &theirs, 1e-5);
}

/// Files with the same weights: all except those with 77 rows and bf16.
const SAME_WEIGHTS: [&str; 10] = [
    "longclip.safetensors",
    "longclip.pt",
    "longclip-f16.pt",
    "openclip.safetensors",
    "openclip-custom-text.safetensors",
    "openclip-training.pt",
    "hf.safetensors",
    "hf-sharded",
    "hf-nested.safetensors",
    "gmp.safetensors",
];

#[test]
fn a_generated_model_gives_the_reference_numbers_in_every_file_format() {
    with_recipe_files(Positions::Long, check_all);
}

#[test]
fn every_layout_gives_the_reference_numbers() {
    with_reference_files(&SAME_WEIGHTS, check_all);
}

#[test]
fn bf16_weights_give_the_reference_features_within_two_percent() {
    with_reference_files(&["longclip-bf16.safetensors"], |name, path, golden| {
        let model = open(path);
        let images = model.encode_images(&golden.recipe_pictures()).unwrap().0;
        let texts = model.encode_token_ids(&slices(&golden.token_ids())).unwrap().0;
        check_relative(name, &images, &golden.image_features, 2e-2);
        check_relative(name, &texts, &golden.text_features, 2e-2);
    });
}

/// Compiled with the feature only: it fails without a GPU.
#[cfg(feature = "cuda")]
#[test]
fn a_gpu_gives_the_reference_numbers_in_each_type() {
    let largest = [
        (NumberType::F32, 1e-3),
        (NumberType::F16, 1e-2),
        (NumberType::Bf16, 5e-2),
    ];
    for (number_type, difference_max) in largest {
        with_recipe_files(Positions::Long, |name, path, golden| {
            let options = LongClipOptions {
                device: DeviceChoice::Cuda(0),
                number_type,
                ..LongClipOptions::default()
            };
            let model = open_with(path, &LoadOptions::default(), &options);
            let images = model.encode_images(&golden.recipe_pictures()).unwrap().0;
            let texts = model.encode_token_ids(&slices(&golden.token_ids())).unwrap().0;
            let what = format!("{name} on a GPU in {number_type:?}");
            check_relative(
                &format!("{what}, images"),
                &images,
                &golden.image_features,
                difference_max,
            );
            check_relative(&format!("{what}, texts"), &texts, &golden.text_features, difference_max);
        });
    }
}

fn check_stretched(name: &str, path: &Path, golden: &Golden) {
    let texts = open(path).encode_token_ids(&slices(&golden.token_ids())).unwrap().0;
    check_features(name, &texts, &golden.stretched_from_77.text_features);
}

fn check_unstretched(name: &str, path: &Path, golden: &Golden) {
    let as_stored = LoadOptions {
        stretching: None,
        ..LoadOptions::default()
    };
    let model = open_with(path, &as_stored, &LongClipOptions::default());
    let unstretched = golden.unstretched_77.as_ref().unwrap();
    let ids = golden.token_ids();
    let short: Vec<&[u32]> = unstretched.rows.iter().map(|row| ids[*row].as_slice()).collect();
    let texts = model.encode_token_ids(&short).unwrap().0;
    check_features(name, &texts, &unstretched.text_features);
    let too_long = model.encode_token_ids(&[&ids[7]]).unwrap_err().to_string();
    assert!(too_long.contains("202") && too_long.contains("77"), "{too_long}");
}

const OF_77_ROWS: [&str; 2] = ["clip77.safetensors", "clip77-torchscript.pt"];

#[test]
fn a_77_row_table_is_stretched_as_in_the_reference() {
    with_recipe_files(Positions::Short, check_stretched);
    with_reference_files(&OF_77_ROWS, check_stretched);
}

#[test]
fn a_77_row_table_can_be_used_unstretched() {
    with_recipe_files(Positions::Short, check_unstretched);
    with_reference_files(&OF_77_ROWS, check_unstretched);
}

#[test]
fn weights_are_used_as_stored_or_rounded_like_upstreams() {
    let check = |name: &str, path: &Path, golden: &Golden| {
        for (case, rounds_as_upstream) in [("as_stored", false), ("upstream_rounding", true)] {
            let load = LoadOptions {
                rounds_as_upstream,
                ..LoadOptions::default()
            };
            let model = open_with(path, &load, &LongClipOptions::default());
            // The two differ by up to 8e-4, so a bound of 1e-5 per value distinguishes them.
            check_unrounded(&format!("{name} {case}"), &model, golden, case);
        }
    };
    let golden = Golden::read("model-tiny.json");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("unrounded.safetensors");
    write_safetensors(&path, &golden.config, Positions::Long, Stored::F32Unrounded).unwrap();
    check("recipe", &path, &golden);
    with_reference_files(&["longclip-unrounded.safetensors"], check);
}

fn check_unrounded(what: &str, model: &LongClip, golden: &Golden, case: &str) {
    let theirs = &golden.unrounded[case];
    let images = model.encode_images(&golden.recipe_pictures()).unwrap().0;
    let texts = model.encode_token_ids(&slices(&golden.token_ids())).unwrap().0;
    check_values(what, images.values(), &theirs.image_features.concat(), 1e-5);
    check_values(what, texts.values(), &theirs.text_features.concat(), 1e-5);
}
