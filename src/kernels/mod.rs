//! The CPU's arithmetic on slices: linear layers, layer norm, attention, JPEG and resize. Each kernel has a plain
//! version that serves as its oracle.
//!
//! `model` calls it for f32, bf16 and int8 on a CPU, `preprocess` for images. Kernels know slices, never tensors.
//! [`Threads`] holds the workers and the instruction set, which is chosen once for the CPU ([`cpu`]). [`Activations`]
//! are the input of a [`Linear`]. No result depends on the batch that a row is in, or on the number of threads.

#![allow(unsafe_code, reason = "vector loads and stores, and threads that share a slice")]
#![cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(
        dead_code,
        reason = "vector kernels exist for these two; other CPUs run the plain ones"
    )
)]

mod activations;
mod allocator;
mod attention;
mod buffer;
mod cores;
pub mod cpu;
pub(crate) mod gradients;
pub(crate) mod jpeg;
mod linear;
mod norm;
mod precision;
pub(crate) mod resize;
mod simd;
mod similarity;
#[cfg(test)]
mod testing;
mod threads;

pub use activations::Activations;
pub use allocator::keep_freed_memory;
pub use attention::{HeadRows, Heads, Mask, Projected, Sequence, attention};
pub(crate) use buffer::{OutOfMemory, zeroes};
pub use cores::physical_cores;
pub use linear::{Activation, Linear, NotFinite, Weights};
pub use norm::LayerNorm;
pub use precision::Precision;
pub use similarity::StoredRows;
pub use threads::Threads;

/// The slope of QuickGELU, `x · σ(1.702 x)`: Hendrycks and Gimpel 2016, section 2; OpenAI CLIP, `clip/model.py`.
pub(crate) const QUICK_GELU_SLOPE: f64 = 1.702;

/// Whether all values are finite. Values that are not have all exponent bits set; they are gathered with `|`, because
/// that vectorises and a search does not.
#[inline(always)]
pub(crate) fn all_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = f32::INFINITY.to_bits();
    let any = values
        .iter()
        .fold(0, |any, value| any | u32::from(value.to_bits() & EXPONENT == EXPONENT));
    any == 0
}
