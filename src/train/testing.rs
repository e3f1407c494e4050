//! What the training tests share: the recipe that makes numbers from names, and the files of goldens.
//!
//! The recipe is that of `tests/data/train/README.md`: FNV-1a of a name starts SplitMix64, whose upper 24 bits make a
//! number in -1..1.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};

/// `n` numbers in -1..1, always the same for the same name.
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

/// Holds `found` to `expected` by the length of their difference; both may be nearly zero.
#[track_caller]
pub(super) fn assert_close(what: &str, found: &[f64], expected: &[f64], relative: f64) {
    assert_eq!(found.len(), expected.len(), "numbers of {what}");
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let error = length(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let bound = relative * length(&mut expected.iter().copied()).max(1e-9);
    assert!(error <= bound, "{what} is {error:e} off, where {bound:e} is allowed");
}

/// A file of this crate's own goldens.
pub(super) fn golden(name: &str) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/train")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A file of the reference folder, where it is present.
pub(super) fn reference(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/reference")
        .join(name);
    path.exists().then_some(path)
}

/// The numbers of a JSON list, of lists or not, row-major.
pub(super) fn numbers(json: &serde_json::Value) -> Vec<f64> {
    match json {
        serde_json::Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}
