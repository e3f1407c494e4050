//! Inverse DCTs of 8x8 blocks to 4x4, 2x2 or one pixel: the means of the pixels that the whole transform would give.
//!
//! In one dimension, output `k` of `N` is the mean of outputs `8 k / N` to `8 (k + 1) / N - 1` of 8. So coefficient `u` has
//! the weight `√2 Σ cos((2 x + 1) u π / 16)` over these outputs `x`. That is zero for coefficient 4, and for each even one
//! if `N` is 2. The last outputs mirror the first: odd coefficients change their sign.
//!
//! Zeroes are not looked for, as this would take longer than it saves.

use super::BLOCK;
use super::fixed_point::{CONST_BITS, PASS_BITS, add, descale, fix, pixel, scale, sub, transpose};

/// Bits of the sum over the two passes of the whole transform, which is 8 times the mean.
const SUM_BITS: u32 = 3;

/// Dequantises and transforms a block to 4x4 pixels.
#[inline(always)]
pub(super) fn to_four(block: &[i16; BLOCK], quant: &[i32; BLOCK]) -> [[u8; 4]; 4] {
    let rows = four::<{ CONST_BITS - PASS_BITS + 1 }, 8>(dequantised(block, quant));
    let columns = four::<{ CONST_BITS + PASS_BITS + SUM_BITS + 1 }, 4>(transpose(rows));
    transpose(columns).map(|row| row.map(pixel))
}

/// As [`to_four`], to 2x2 pixels.
#[inline(always)]
pub(super) fn to_two(block: &[i16; BLOCK], quant: &[i32; BLOCK]) -> [[u8; 2]; 2] {
    let rows = two::<{ CONST_BITS - PASS_BITS + 2 }, 8>(dequantised(block, quant));
    let columns = two::<{ CONST_BITS + PASS_BITS + SUM_BITS + 2 }, 2>(transpose(rows));
    transpose(columns).map(|row| row.map(pixel))
}

/// As [`to_four`], to the block's mean.
#[inline(always)]
pub(super) fn to_one(block: &[i16; BLOCK], quant: &[i32; BLOCK]) -> [[u8; 1]; 1] {
    let [mean] = descale::<SUM_BITS, 1>([i32::from(block[0]).wrapping_mul(quant[0])]);
    [[pixel(mean)]]
}

#[inline(always)]
fn dequantised(block: &[i16; BLOCK], quant: &[i32; BLOCK]) -> [[i32; 8]; 8] {
    let mut rows = [[0; 8]; 8];
    for (y, row) in rows.iter_mut().enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value = i32::from(block[y * 8 + x]).wrapping_mul(quant[y * 8 + x]);
        }
    }
    rows
}

/// Eight coefficients to the sums of two outputs each, for `L` columns; shifted down by `SHIFT` with rounding.
#[inline(always)]
fn four<const SHIFT: u32, const L: usize>([c0, c1, c2, c3, _, c5, c6, c7]: [[i32; L]; 8]) -> [[i32; L]; 4] {
    let mean = scale(c0, 1 << (CONST_BITS + 1));
    let even = sub(scale(c2, fix(1.847_759_065)), scale(c6, fix(0.765_366_865)));
    let outer = sub(
        add(scale(c1, fix(2.562_915_447)), scale(c3, fix(0.899_976_223))),
        add(scale(c5, fix(0.601_344_887)), scale(c7, fix(0.509_795_579))),
    );
    let inner = add(
        sub(scale(c1, fix(1.061_594_337)), scale(c3, fix(2.172_734_803))),
        sub(scale(c5, fix(1.451_774_981)), scale(c7, fix(0.211_164_243))),
    );
    let (high, low) = (add(mean, even), sub(mean, even));
    [
        descale::<SHIFT, L>(add(high, outer)),
        descale::<SHIFT, L>(add(low, inner)),
        descale::<SHIFT, L>(sub(low, inner)),
        descale::<SHIFT, L>(sub(high, outer)),
    ]
}

/// As [`four`], to the sums of four outputs each.
#[inline(always)]
fn two<const SHIFT: u32, const L: usize>([c0, c1, _, c3, _, c5, _, c7]: [[i32; L]; 8]) -> [[i32; L]; 2] {
    let mean = scale(c0, 1 << (CONST_BITS + 2));
    let odd = add(
        sub(scale(c1, fix(3.624_509_785)), scale(c3, fix(1.272_758_580))),
        sub(scale(c5, fix(0.850_430_095)), scale(c7, fix(0.720_959_822))),
    );
    [descale::<SHIFT, L>(add(mean, odd)), descale::<SHIFT, L>(sub(mean, odd))]
}

#[cfg(test)]
mod tests {
    use super::super::idct::to_eight;
    use super::*;
    use crate::random::Random;

    /// The means of squares of `8 / N` x `8 / N` pixels.
    fn means<const N: usize>(pixels: &[[u8; 8]; 8]) -> [[f64; N]; N] {
        let width = 8 / N;
        std::array::from_fn(|y| {
            std::array::from_fn(|x| {
                let rows = &pixels[y * width..][..width];
                let sum: usize = rows
                    .iter()
                    .flat_map(|row| &row[x * width..][..width])
                    .map(|&p| usize::from(p))
                    .sum();
                sum as f64 / (width * width) as f64
            })
        })
    }

    #[track_caller]
    fn check<const N: usize>(reduced: [[u8; N]; N], whole: &[[u8; 8]; 8]) {
        for (found, expected) in reduced.iter().flatten().zip(means::<N>(whole).iter().flatten()) {
            assert!(
                (f64::from(*found) - expected).abs() < 1.5,
                "{found}, in the mean {expected}"
            );
        }
    }

    #[test]
    fn pixels_are_the_means_of_those_of_the_whole_transform() {
        let mut random = Random::new(1, 0);
        for _ in 0..200 {
            // Small enough that no pixel is clipped.
            let block: [i16; BLOCK] = std::array::from_fn(|_| random.below(21) as i16 - 10);
            let quant = [3; BLOCK];
            let whole = to_eight(&block, &quant);
            assert!(whole.iter().flatten().all(|pixel| (1..=254).contains(pixel)));
            check(to_four(&block, &quant), &whole);
            check(to_two(&block, &quant), &whole);
            check(to_one(&block, &quant), &whole);
        }
    }

    #[test]
    fn a_block_of_one_colour_keeps_it() {
        for dc in (-2048..2048).step_by(7) {
            let mut block = [0; BLOCK];
            block[0] = dc;
            let [[colour, ..], ..] = to_eight(&block, &[1; BLOCK]);
            assert_eq!(to_four(&block, &[1; BLOCK]), [[colour; 4]; 4]);
            assert_eq!(to_two(&block, &[1; BLOCK]), [[colour; 2]; 2]);
            assert_eq!(to_one(&block, &[1; BLOCK]), [[colour]]);
        }
    }
}
