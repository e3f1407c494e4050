//! Makes a CLIP with the 77 positions that CLIPs have before they are trained on long texts.

use safetensors::tensor::{SafeTensors, TensorView};

const ROWS: usize = 77;
const POSITIONS: &str = "positional_embedding";
const RESIDUAL_POSITIONS: &str = "positional_embedding_res";

/// The safetensors file of a Long-CLIP with the first 77 rows of one position table, which is what stretching starts from.
pub(crate) fn short_clip(long_clip: &[u8]) -> Vec<u8> {
    let file = SafeTensors::deserialize(long_clip).unwrap();
    let tensors = file.iter().filter(|(name, _)| *name != RESIDUAL_POSITIONS);
    let cut = tensors.map(|(name, tensor)| {
        let mut shape = tensor.shape().to_vec();
        if name == POSITIONS {
            shape[0] = ROWS;
        }
        let n_bytes = shape.iter().product::<usize>() * tensor.data().len() / tensor.shape().iter().product::<usize>();
        let first = TensorView::new(tensor.dtype(), shape, &tensor.data()[..n_bytes]).unwrap();
        (name, first)
    });
    safetensors::serialize(cut, None).unwrap()
}
