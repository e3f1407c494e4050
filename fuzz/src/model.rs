//! Weights: a file from its bytes to the values of all tensors.

use longclip::error::Result;
use longclip::weights::{Checkpoint, LoadOptions, Sizes};

#[path = "../../src/weights/torch/specimen.rs"]
#[allow(dead_code, reason = "the library's own tests use more of it")]
mod specimen;

/// The smallest model whose layout can be recognised.
pub const SIZES: Sizes = Sizes {
    image_resolution_px: 4,
    patch_px: 2,
    vision_width: 64,
    vision_layers: 1,
    vision_heads: 1,
    vision_mlp_dim: 2,
    text_width: 64,
    text_layers: 1,
    text_heads: 1,
    text_mlp_dim: 2,
    embed_dim: 2,
    vocab_size: 3,
    context_length: 16,
    stored_context_length: 16,
};

/// Numbers in the record of a `.pt`. A tensor may have as many elements as the file has bytes, and the largest of [`SIZES`]
/// has 192 x 64.
const RECORD_NUMBERS: usize = 192 * 64 / 4;

/// Opens a file, and reads everything that a run would.
pub fn open(name: &str, bytes: Vec<u8>) {
    let options = LoadOptions {
        ignores_surplus: true,
        ..LoadOptions::default()
    };
    read_all(Checkpoint::from_bytes(name, bytes, &options));
}

/// Reads everything that a run would. Refusals have words.
pub fn read_all(opened: Result<Checkpoint>) {
    let checkpoint = match opened {
        Ok(checkpoint) => checkpoint,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for (name, shape) in checkpoint.tensors() {
        assert!(checkpoint.stored_type(&name).is_some());
        if let Ok(values) = checkpoint.values(&name) {
            assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
        }
    }
    let _ = checkpoint.text_positions();
}

/// How PyTorch saved a `.pt`.
#[derive(Clone, Copy, PartialEq)]
pub enum Saved {
    Whole,
    /// By TorchScript, with code.
    Scripted,
}

/// A `.pt` of a pickle, and of a record of numbers for its tensors.
pub fn archive(pickle: &[u8], saved: Saved) -> Vec<u8> {
    let numbers = ones(RECORD_NUMBERS);
    let mut records: Vec<(&str, &[u8])> = vec![("data.pkl", pickle), ("data/0", &numbers)];
    if saved == Saved::Scripted {
        records.extend([("constants.pkl", &b"\x80\x02)."[..]), ("code/a.py", b"")]);
    }
    specimen::archive(specimen::Zip::Stored, &records)
}

/// The pickle of a state dict whose tensors are all views of one number, so that it is small.
pub fn state_dict(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let view = |shape: &[usize]| {
        let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        specimen::view("FloatStorage", RECORD_NUMBERS as i64, 0, &shape, &vec![0; shape.len()])
    };
    let entries: Vec<(&str, Vec<u8>)> = tensors.iter().map(|(name, shape)| (&**name, view(shape))).collect();
    specimen::pickled(&specimen::dict(&entries))
}

/// Numbers for a header of safetensors without them.
pub fn with_numbers(header: &[u8]) -> Vec<u8> {
    const MOST: u64 = 1 << 18;
    let end = serde_json::from_slice::<serde_json::Value>(header)
        .ok()
        .and_then(|json| {
            let ends = json.as_object()?.values();
            ends.filter_map(|tensor| tensor.get("data_offsets")?.get(1)?.as_u64())
                .max()
        });
    let n_bytes = end.unwrap_or(0).min(MOST) as usize;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(ones(n_bytes.div_ceil(4)));
    bytes.truncate(8 + header.len() + n_bytes);
    bytes
}

/// The header of safetensors with these tensors, as f32.
pub fn header(tensors: &[(String, Vec<usize>)]) -> Vec<u8> {
    let mut end = 0;
    let entries = tensors.iter().map(|(name, shape)| {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let tensor = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] });
        (name.clone(), tensor)
    });
    serde_json::Value::Object(entries.collect()).to_string().into_bytes()
}

fn ones(n: usize) -> Vec<u8> {
    1f32.to_le_bytes().repeat(n)
}
