//! Shared by the tests of training: numbers made from names, files of goldens, and a tiny model.
//!
//! The numbers follow `tests/data/train/README.md`: FNV-1a of a name seeds SplitMix64, whose upper 24 bits make a number
//! in -1..1.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use half::f16;

use super::file;
use crate::preprocess::Pixels;
use crate::weights::{Checkpoint, LoadOptions};

/// `n` pseudorandom numbers in -1..1, which depend only on the name.
pub(super) fn uniform(name: &str, n: usize) -> Vec<f64> {
    let start = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let number = |i: u64| {
        let mut z = start.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 / (1 << 23) as f64 - 1.0
    };
    (0..n as u64).map(number).collect()
}

/// `offset + scale * uniform`, rounded to f32.
pub(super) fn recipe(name: &str, n: usize, offset: f64, scale: f64) -> Vec<f32> {
    uniform(name, n)
        .into_iter()
        .map(|u| (offset + scale * u) as f32)
        .collect()
}

/// An f64 matrix on the CPU.
pub(super) fn matrix(values: &[f64], rows: usize) -> Tensor {
    Tensor::from_slice(values, (rows, values.len() / rows), &Device::Cpu).unwrap()
}

/// The values of a tensor in f64.
pub(super) fn values(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Checks the norm of the difference, relative to that of `expected`. Both may be nearly zero.
#[track_caller]
pub(super) fn assert_close(what: &str, found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len(), "numbers of {what}");
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let error = length(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let bound = relative * length(&mut expected.iter().copied()).max(1e-9);
    assert!(error <= bound, "{what} is {error:e} off, where {bound:e} is allowed");
}

/// A golden file of this repository.
pub(super) fn golden(name: &str) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/train")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A file of the reference folder, if it is present.
pub(super) fn reference(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/reference")
        .join(name);
    path.exists().then_some(path)
}

/// The numbers of a JSON list, which may be nested, row-major.
pub(super) fn numbers(json: &serde_json::Value) -> Vec<f64> {
    match json {
        serde_json::Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// Rounds to f16, as the reference rounds weights and images.
fn rounded(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|value| f16::from_f32(value).to_f32()).collect()
}

/// A pseudorandom image for the tiny model, 64 by 64 px.
pub(super) fn image(name: &str) -> Pixels {
    const RESOLUTION_PX: usize = 64;
    let values = rounded(recipe(name, 3 * RESOLUTION_PX * RESOLUTION_PX, 0.2, 2.0));
    Pixels::from_normalised(values, RESOLUTION_PX).unwrap()
}

/// A pseudorandom text for the tiny model: the start token, `n` words, and the end token, which has the largest id.
pub(super) fn token_ids(name: &str, n: usize) -> Vec<u32> {
    const VOCAB_SIZE: u32 = 1000;
    let highest = f64::from(VOCAB_SIZE - 2);
    let words = uniform(name, n).into_iter().map(|u| ((u + 1.0) / 2.0 * highest) as u32);
    std::iter::once(VOCAB_SIZE - 2)
        .chain(words)
        .chain([VOCAB_SIZE - 1])
        .collect()
}

/// The tiny model with CLIP's 77 positions: two blocks per tower, widths 128 and 64, a vocabulary of 1,000.
pub(super) fn tiny_clip(options: &LoadOptions) -> Checkpoint {
    let tensors: Vec<(String, Tensor)> = tiny_tensors()
        .into_iter()
        .map(|(name, shape, offset, scale)| {
            let values = recipe(&name, shape.iter().product(), offset, scale);
            let values = if name == "logit_scale" { values } else { rounded(values) };
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor)
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.safetensors");
    let named = tensors.iter().map(|(name, tensor)| (name.clone(), tensor));
    file::write(&path, named, HashMap::new()).unwrap();
    Checkpoint::from_bytes("tiny", std::fs::read(path).unwrap(), options).unwrap()
}

/// Name, shape, offset and scale of each tensor, with the magnitudes of OpenAI's initialisation.
fn tiny_tensors() -> Vec<(String, Vec<usize>, f64, f64)> {
    const VISION: usize = 128;
    const TEXT: usize = 64;
    const EMBED: usize = 64;
    // A uniform distribution with standard deviation s is that over -√3 s .. √3 s.
    let root_3 = 3f64.sqrt();
    let deviation = |width: usize| root_3 * (width as f64).powf(-0.5);
    let tensor = |name: &str, shape: &[usize], offset, scale| (name.to_owned(), shape.to_vec(), offset, scale);
    let mut tensors = vec![
        tensor("positional_embedding", &[77, TEXT], 0.0, root_3 * 0.01),
        tensor("text_projection", &[TEXT, EMBED], 0.0, deviation(TEXT)),
        tensor("logit_scale", &[], 4.6052, 0.0),
        tensor("visual.class_embedding", &[VISION], 0.0, deviation(VISION)),
        tensor("visual.positional_embedding", &[17, VISION], 0.0, deviation(VISION)),
        tensor("visual.proj", &[VISION, EMBED], 0.0, deviation(VISION)),
        tensor("visual.conv1.weight", &[VISION, 3, 16, 16], 0.0, deviation(3 * 16 * 16)),
        tensor("token_embedding.weight", &[1000, TEXT], 0.0, root_3 * 0.02),
    ];
    let norm = |name: String, width: usize| {
        [
            (format!("{name}.weight"), vec![width], 1.0, 0.25),
            (format!("{name}.bias"), vec![width], 0.0, 0.1),
        ]
    };
    tensors.extend(norm("visual.ln_pre".into(), VISION));
    tensors.extend(norm("visual.ln_post".into(), VISION));
    tensors.extend(norm("ln_final".into(), TEXT));
    for (tower, width) in [("visual.", VISION), ("", TEXT)] {
        for layer in 0..2 {
            let name = |part: &str| format!("{tower}transformer.resblocks.{layer}.{part}");
            let projected = deviation(width) * 0.5; // (2 * layers)^-0.5
            tensors.extend([
                (
                    name("attn.in_proj_weight"),
                    vec![3 * width, width],
                    0.0,
                    deviation(width),
                ),
                (name("attn.in_proj_bias"), vec![3 * width], 0.0, 0.05),
                (name("attn.out_proj.weight"), vec![width, width], 0.0, projected),
                (name("attn.out_proj.bias"), vec![width], 0.0, 0.05),
                (
                    name("mlp.c_fc.weight"),
                    vec![4 * width, width],
                    0.0,
                    deviation(2 * width),
                ),
                (name("mlp.c_fc.bias"), vec![4 * width], 0.0, 0.05),
                (name("mlp.c_proj.weight"), vec![width, 4 * width], 0.0, projected),
                (name("mlp.c_proj.bias"), vec![width], 0.0, 0.05),
            ]);
            tensors.extend(norm(name("ln_1"), width));
            tensors.extend(norm(name("ln_2"), width));
        }
    }
    tensors
}
