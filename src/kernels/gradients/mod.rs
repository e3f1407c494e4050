//! What a training computes on a CPU, forward and back: linear layers, layer norm, QuickGELU and attention on f32 slices.
//!
//! Called by `model/engine/trained.rs`, which wraps each pair as one differentiable operation: composed of elementary
//! ones, a block would write and read some forty times as much memory as it has activations. Matrix products are the
//! `gemm` crate's (`product.rs`); the rest is here, row by row, on the rayon pool that `gemm` uses. Sums over rows are
//! taken in fixed parts and a fixed order, so that a training can be repeated to the bit.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod linear;
pub(crate) mod norm;
mod product;

#[cfg(test)]
mod tests;

use super::cpu::{Isa, Level};

/// Rows that one task works on: enough to outweigh its start, few enough that all cores get some.
const ROWS_A_TASK: usize = 32;

/// The best instruction set of this CPU.
fn isa() -> Isa {
    Isa::detect(Level::best())
}

/// The parts' sums, part by part, into one row.
fn sum_of_parts(parts: &[Vec<f32>], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}
