//! The CPU's arithmetic: linear layers, layer norm, attention and the resize of pictures on slices, each kernel with a plain twin as its oracle.
//!
//! Called by `model` for the f32, bf16 and int8 types on a CPU, and by `preprocess` (`resize`); knows slices, never tensors. [`Threads`] carries the
//! workers and the instruction set, picked once by CPU ([`cpu`]); [`Activations`] are what a [`Linear`] reads, written
//! by whoever makes them. No result depends on the batch a row is in or on the number of threads.

#![allow(unsafe_code, reason = "vector loads and stores, and threads that share a slice")]
#![cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(dead_code, reason = "vector kernels are for these two; plain ones run elsewhere")
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
pub(crate) mod resize;
mod simd;
mod similarity;
#[cfg(test)]
mod testing;
mod threads;

pub use activations::{Activations, Precision};
pub use allocator::keep_freed_memory;
pub use attention::{Heads, Mask, Projected, Rows, Sequence, attention};
pub(crate) use buffer::zeroes;
pub use cores::physical_cores;
pub use linear::{Activation, Linear, NotFinite, Weights};
pub use norm::LayerNorm;
pub use similarity::StoredRows;
pub use threads::Threads;

/// Whether no value is infinite or no number. Such have every bit of the exponent; gathered with `|`, because that
/// vectorises and a search doesn't.
#[inline(always)]
pub(crate) fn all_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = f32::INFINITY.to_bits();
    let any = values
        .iter()
        .fold(0, |any, value| any | u32::from(value.to_bits() & EXPONENT == EXPONENT));
    any == 0
}
