//! ViT-B/16 and ViT-L/14 at their real sizes, with generated weights.
//!
//! L is too slow in a debug build: `cargo test --release --test stories -- --include-ignored real_sizes` runs both, and
//! needs 2 GB of disk space and 4 GB of memory.

use std::path::Path;

use longclip::model::LongClip;
use longclip::preprocess::Pixels;

use crate::recipe::{Positions, Stored, tensors, write_safetensors, write_torch};
use crate::reference::{Golden, check_features, check_scores, check_values, open, shared};

/// Checks the generated weights against the reference before a model that uses them.
fn check_recipe(golden: &Golden) {
    let mut n_checked = 0;
    for tensor in tensors(&golden.config, Positions::Long) {
        let Some(check) = golden.weights_check.get(&tensor.name) else {
            continue;
        };
        let values = tensor.values(Stored::F32);
        check_values(&tensor.name, &values[..4], &check.first, 1e-9);
        check_values(&tensor.name, &values[values.len() - 4..], &check.last, 1e-9);
        let sum: f64 = values.iter().map(|v| f64::from(*v)).sum();
        assert!((sum - check.sum).abs() < 1e-6, "{}: {sum}", tensor.name);
        n_checked += 1;
    }
    assert_eq!(n_checked, golden.weights_check.len());
    assert!(n_checked >= 5);
}

/// A generated image, or a photo next to the repository.
fn picture(model: &LongClip, golden: &Golden, name: &str) -> Pixels {
    if name.starts_with("image.") {
        return golden.recipe_picture(name);
    }
    let path = shared(&format!("img/{name}.png")).expect("complete goldens come with their images");
    model.preprocess().run(name, &std::fs::read(path).unwrap()).unwrap()
}

fn check_all(what: &str, path: &Path, golden: &Golden) {
    let model = open(path);
    let pictures: Vec<Pixels> = golden.images.iter().map(|name| picture(&model, golden, name)).collect();
    let images = model.encode_images(&pictures).unwrap().0;
    let texts = model.encode_texts(&golden.texts).unwrap().0;
    check_features(&format!("{what} images"), &images, &golden.image_features);
    check_features(&format!("{what} texts"), &texts, &golden.text_features);
    check_scores(what, &model, golden, &images, &texts);
    let hidden = model.encode_text_hidden(&golden.texts[0]).unwrap();
    for (position, row) in [("position_0", 0), ("position_5", 5)] {
        let what = format!("{what} hidden state {row}");
        check_values(&what, hidden.row(row), &golden.text_hidden_0[position], 2e-5);
    }
}

fn check_stretched(what: &str, path: &Path, golden: &Golden) {
    let texts = open(path).encode_texts(&golden.texts).unwrap().0;
    check_features(
        &format!("{what} stretched texts"),
        &texts,
        &golden.stretched_from_77.text_features,
    );
}

#[test]
fn a_vit_b_16_gives_the_reference_numbers_from_safetensors_and_pt() {
    let golden = Golden::read("model-B.json");
    check_recipe(&golden);
    // One file at a time, since each is as large as the real one.
    in_a_folder("b.safetensors", |path| {
        write_safetensors(path, &golden.config, Positions::Long, Stored::F32).unwrap();
        check_all("B .safetensors", path, &golden);
    });
    in_a_folder("longclip-B.pt", |path| {
        write_torch(path, &golden.config, Positions::Long).unwrap();
        check_all("B .pt", path, &golden);
    });
    in_a_folder("clip-b.safetensors", |path| {
        write_safetensors(path, &golden.config, Positions::Short, Stored::F16).unwrap();
        check_stretched("B f16 .safetensors", path, &golden);
    });
}

#[test]
#[ignore = "slow in a debug build; .ci/run runs it in release"]
fn a_vit_l_14_gives_the_reference_numbers() {
    let golden = Golden::read("model-L.json");
    check_recipe(&golden);
    in_a_folder("l.safetensors", |path| {
        write_safetensors(path, &golden.config, Positions::Long, Stored::F16).unwrap();
        check_all("L f16 .safetensors", path, &golden);
    });
    in_a_folder("clip-l.safetensors", |path| {
        write_safetensors(path, &golden.config, Positions::Short, Stored::F16).unwrap();
        check_stretched("L f16 .safetensors", path, &golden);
    });
}

/// Calls `check` with a path in a temporary folder, which is removed afterwards.
fn in_a_folder(name: &str, check: impl FnOnce(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    check(&dir.path().join(name));
}
