//! The operations of training on a CPU, forward and backward: linear layers, layer norm, QuickGELU and attention in
//! f32.
//!
//! `model/engine/trained.rs` wraps each pair as one differentiable operation. Composed of elementary operations, a
//! block would read and write about forty times as much memory as it has activations. The `gemm` crate multiplies
//! matrices (`product.rs`); the rest is computed here, row by row, on the rayon pool that `gemm` uses. Sums over rows
//! use fixed parts in a fixed order, so that training is reproducible to the bit.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod linear;
pub(crate) mod norm;
mod product;

#[cfg(test)]
mod tests;

use super::cpu::{Isa, Level};

/// Rows per task: enough to outweigh the cost of starting it, few enough to keep all cores busy.
const ROWS_PER_TASK: usize = 32;

/// The best instruction set of this CPU.
fn isa() -> Isa {
    Isa::detect(Level::best())
}

/// Adds up the rows of sums, in order.
fn sum_of_parts(parts: &[Vec<f32>], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0; width];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sums
}
