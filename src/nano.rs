//! The built-in model: a small CLIP trained from scratch. Its weights are part of the binary, so that classifying works
//! at once and offline.
//!
//! The file is ordinary safetensors with upstream's names. Linear layers are int8 with one f16 scale per output channel,
//! `NAME` and `NAME.scale`; the rest is f16. The token table is factorised: row `w` is `scale[w] * A[w] · B`, with
//! `token_embedding.A` (49408, 64) in 4 bits, two numbers to a byte, `token_embedding.scale` (49408,) f16 and
//! `token_embedding.B` (64, 192) f16. Like Long-CLIP it has two position tables of 248 rows. Its model card
//! `checkpoints/nano/README.md` describes data, recipe, accuracy and known failures. `checkpoints/nano/pack.py` makes
//! the file.

/// The name of the model, as in `--model nano`.
pub const NAME: &str = "nano";

/// The name of its file in messages.
pub const FILE_NAME: &str = "nano.safetensors (built in)";

/// The weights, as a safetensors file in memory.
///
/// Stored uncompressed: numbers of 8 and 4 bits hardly compress (`zstd -b19 checkpoints/nano.safetensors`).
///
/// ```
/// let weights = longclip::nano::safetensors();
/// assert!(weights.len() < 7_000_000);
/// ```
pub fn safetensors() -> &'static [u8] {
    // A static is in the binary once. As a constant, the bytes are copied to each place that the function is inlined in.
    static WEIGHTS: &[u8] = include_bytes!("../checkpoints/nano.safetensors");
    WEIGHTS
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, SafeTensors, TensorView};

    use super::*;

    const FILE_BYTES_MAX: usize = 7_000_000;

    fn tensors() -> SafeTensors<'static> {
        SafeTensors::deserialize(safetensors()).unwrap()
    }

    fn f16s(view: &TensorView<'_>) -> Vec<f32> {
        assert_eq!(view.dtype(), Dtype::F16);
        let halves = view.data().chunks_exact(2);
        halves
            .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect()
    }

    #[test]
    fn takes_at_most_7_megabytes_of_the_binary() {
        assert!(safetensors().len() <= FILE_BYTES_MAX, "{} bytes", safetensors().len());
    }

    #[test]
    fn has_the_shapes_of_a_long_clip_with_a_factorised_token_table() {
        #[track_caller]
        fn check(name: &str, dtype: Dtype, shape: &[usize]) {
            let file = tensors();
            let view = file.tensor(name).unwrap();
            assert_eq!((view.dtype(), view.shape()), (dtype, shape), "{name}");
        }
        check("token_embedding.A", Dtype::U8, &[49408, 32]);
        check("token_embedding.scale", Dtype::F16, &[49408]);
        check("token_embedding.B", Dtype::F16, &[64, 192]);
        check("positional_embedding", Dtype::F16, &[248, 192]);
        check("positional_embedding_res", Dtype::F16, &[248, 192]);
        check("text_projection", Dtype::F16, &[192, 256]);
        check("logit_scale", Dtype::F32, &[]);
        check("visual.conv1.weight", Dtype::I8, &[192, 3, 8, 8]);
        check("visual.conv1.weight.scale", Dtype::F16, &[192]);
        check("visual.positional_embedding", Dtype::F16, &[65, 192]);
        check("visual.proj", Dtype::F16, &[192, 256]);
    }

    #[test]
    fn holds_only_finite_numbers() {
        for (name, view) in tensors().tensors() {
            if view.dtype() == Dtype::F16 {
                assert!(f16s(&view).iter().all(|x| x.is_finite()), "{name}");
            }
        }
    }

    #[test]
    fn uses_the_whole_range_of_each_row_of_integers() {
        let file = tensors();
        for (name, scale) in file.tensors() {
            let Some(rows) = name.strip_suffix(".scale").filter(|name| *name != "token_embedding") else {
                continue;
            };
            let (rows, scale) = (file.tensor(rows).unwrap(), f16s(&scale));
            for (row, scale) in rows.data().chunks_exact(rows.data().len() / scale.len()).zip(scale) {
                let largest = row.iter().map(|&byte| (byte as i8).unsigned_abs()).max().unwrap();
                assert!((126..=127).contains(&largest) && scale > 0.0, "{name}: {largest}");
            }
        }
        for row in file.tensor("token_embedding.A").unwrap().data().chunks_exact(32) {
            let halves = row.iter().flat_map(|byte| [byte & 15, byte >> 4]);
            let largest = halves.map(|half| half.abs_diff(8)).max().unwrap();
            assert!((7..=8).contains(&largest), "{largest}");
        }
    }
}
