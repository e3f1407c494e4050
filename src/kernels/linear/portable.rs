//! The product in plain code, one word after another along the depth.

use crate::kernels::buffer::LINE;
use crate::kernels::precision::Precision;
use crate::kernels::simd::tile::{PANEL, STEP};
use half::bf16;

/// The sums of one tile and one panel, `[rows][32]` words: bits of f32, or i32 for bytes.
pub(super) fn sums(precision: Precision, a: &[u8], b: &[u8], rows: usize) -> Vec<u32> {
    let mut sums = vec![0; rows * PANEL];
    for (step, weights) in b.chunks_exact(STEP).enumerate() {
        let line = &a[step / 16 * rows * LINE..][..rows * LINE];
        for (row, sums) in sums.chunks_exact_mut(PANEL).enumerate() {
            let x = word(&line[row * LINE + step % 16 * 4..]);
            for (sum, w) in sums.iter_mut().zip(weights.chunks_exact(4)) {
                *sum = product(precision, *sum, x, word(w));
            }
        }
    }
    sums
}

fn word(bytes: &[u8]) -> [u8; 4] {
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

/// `sum + x · w` for one word of depth.
fn product(precision: Precision, sum: u32, x: [u8; 4], w: [u8; 4]) -> u32 {
    match precision {
        Precision::F32 => (f32::from_bits(sum) + f32::from_le_bytes(x) * f32::from_le_bytes(w)).to_bits(),
        Precision::Bf16 => {
            let value = |word: [u8; 4], i: usize| bf16::from_le_bytes([word[2 * i], word[2 * i + 1]]).to_f32();
            let high = f32::from_bits(sum) + value(x, 1) * value(w, 1);
            (high + value(x, 0) * value(w, 0)).to_bits()
        }
        Precision::Int8 => {
            let products = x.iter().zip(w).map(|(x, w)| i32::from(*x) * i32::from(w.cast_signed()));
            sum.cast_signed().wrapping_add(products.sum()).cast_unsigned()
        }
    }
}
