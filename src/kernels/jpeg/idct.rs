//! The accurate integer inverse DCT of 8x8 blocks (Loeffler, Ligtenberg and Moschytz 1989, scaled as in libjpeg).
//!
//! Columns are transformed first, then rows. A block is 64 coefficients, row by row, DC first; the result is bytes around
//! 128.

use super::BLOCK;
use super::fixed_point::{CONST_BITS, PASS_BITS, add, descale, fix, pixel, scale, sub, transpose};

/// A row of a block, with one value per column.
type Lanes = [i32; 8];

/// Dequantises and transforms a block to 8x8 pixels.
#[inline(always)]
pub(super) fn to_eight(block: &[i16; BLOCK], quant: &[i32; BLOCK]) -> [[u8; 8]; 8] {
    match Extent::of(block) {
        Extent::Mean => flat(block[0], quant[0]),
        Extent::Corner => idct::<4>(block, quant),
        Extent::All => idct::<8>(block, quant),
    }
}

/// Which coefficients of a block may be non-zero.
enum Extent {
    /// Only the first one: sky, blur, most chroma.
    Mean,
    /// Only the first four of the first four rows: most of a photo.
    Corner,
    All,
}

impl Extent {
    #[inline(always)]
    fn of(block: &[i16; BLOCK]) -> Self {
        let (rows, _) = block.as_chunks::<8>();
        let mut corner = [0; 8];
        let mut low = [0; 8];
        for (y, row) in rows.iter().enumerate() {
            for (x, &coefficient) in row.iter().enumerate() {
                if y < 4 {
                    corner[x] |= coefficient;
                } else {
                    low[x] |= coefficient;
                }
            }
        }
        let any = |values: &[i16]| values.iter().fold(0, |any, value| any | value) != 0;
        if any(&low) || any(&corner[4..]) {
            return Extent::All;
        }
        let mean_alone = !any(&corner[1..]) && rows[1][0] | rows[2][0] | rows[3][0] == 0;
        if mean_alone { Extent::Mean } else { Extent::Corner }
    }
}

/// Transforms a block whose only coefficient is the mean.
#[inline(always)]
fn flat(dc: i16, quant: i32) -> [[u8; 8]; 8] {
    const ROUNDING: i32 = 1 << (PASS_BITS + 2);
    let mean = (i32::from(dc).wrapping_mul(quant) << PASS_BITS).wrapping_add(ROUNDING) >> (PASS_BITS + 3);
    [[pixel(mean); 8]; 8]
}

/// Transforms a block whose non-zero coefficients are in the first `N` columns of the first `N` rows.
#[inline(always)]
fn idct<const N: usize>(block: &[i16; BLOCK], quant: &[i32; BLOCK]) -> [[u8; 8]; 8] {
    let mut rows = [[0; 8]; 8];
    for (y, row) in rows.iter_mut().enumerate().take(N) {
        for (x, value) in row.iter_mut().enumerate() {
            *value = i32::from(block[y * 8 + x]).wrapping_mul(quant[y * 8 + x]);
        }
    }
    let columns = transpose(pass::<{ CONST_BITS - PASS_BITS }, N>(rows));
    let rows = transpose(pass::<{ CONST_BITS + PASS_BITS + 3 }, N>(columns));
    let mut bytes = [[0; 8]; 8];
    for (bytes, row) in bytes.iter_mut().zip(rows) {
        for (byte, value) in bytes.iter_mut().zip(row) {
            *byte = pixel(value);
        }
    }
    bytes
}

/// One dimension of the transform for all eight columns, shifted down by `SHIFT` with rounding. Rows from `N` on are
/// zero and cost no work.
#[inline(always)]
fn pass<const SHIFT: u32, const N: usize>(mut rows: [Lanes; 8]) -> [Lanes; 8] {
    rows[N..].fill([0; 8]);
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    // Even part.
    let z1 = scale(add(r2, r6), fix(0.541_196_100));
    let t2 = add(z1, scale(r6, -fix(1.847_759_065)));
    let t3 = add(z1, scale(r2, fix(0.765_366_865)));
    let t0 = scale(add(r0, r4), 1 << CONST_BITS);
    let t1 = scale(sub(r0, r4), 1 << CONST_BITS);
    let even = [add(t0, t3), add(t1, t2), sub(t1, t2), sub(t0, t3)];

    // Odd part.
    let z5 = scale(add(add(r7, r3), add(r5, r1)), fix(1.175_875_602));
    let z1 = scale(add(r7, r1), -fix(0.899_976_223));
    let z2 = scale(add(r5, r3), -fix(2.562_915_447));
    let z3 = add(scale(add(r7, r3), -fix(1.961_570_560)), z5);
    let z4 = add(scale(add(r5, r1), -fix(0.390_180_644)), z5);
    let odd = [
        add(scale(r1, fix(1.501_321_110)), add(z1, z4)),
        add(scale(r3, fix(3.072_711_026)), add(z2, z3)),
        add(scale(r5, fix(2.053_119_869)), add(z2, z4)),
        add(scale(r7, fix(0.298_631_336)), add(z1, z3)),
    ];

    let mut out = [[0; 8]; 8];
    for i in 0..4 {
        out[i] = descale::<SHIFT, 8>(add(even[i], odd[i]));
        out[7 - i] = descale::<SHIFT, 8>(sub(even[i], odd[i]));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn matches_the_cosine_transform_within_one_level() {
        let mut random = Random::new(1, 0);
        for _ in 0..200 {
            let block: [i16; BLOCK] = std::array::from_fn(|i| (random.below(4096) as i16 - 2048) / (8 + 4 * i as i16));
            let ours = idct::<8>(&block, &[1; BLOCK]);
            for (y, row) in ours.iter().enumerate() {
                for (x, &pixel) in row.iter().enumerate() {
                    let exact = exact(&block, x, y).clamp(0.0, 255.0);
                    assert!(
                        (f64::from(pixel) - exact).abs() < 1.0,
                        "({x}, {y}): {pixel}, exactly {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn transforms_a_block_that_has_only_a_mean() {
        for dc in (-2048..2048).step_by(7) {
            let mut block = [0; BLOCK];
            block[0] = dc;
            assert_eq!(flat(dc, 3), idct::<8>(&block, &[3; BLOCK]), "{dc}");
            assert!(matches!(Extent::of(&block), Extent::Mean), "{dc}");
        }
    }

    #[test]
    fn the_corner_transform_matches_the_full_one() {
        for at in 0..BLOCK {
            let (x, y) = (at % 8, at / 8);
            let mut block = [0; BLOCK];
            (block[0], block[at]) = (100, -300);
            let extent = Extent::of(&block);
            assert_eq!(matches!(extent, Extent::All), x > 3 || y > 3, "({x}, {y})");
            if let Extent::Corner = extent {
                assert_eq!(
                    idct::<4>(&block, &[5; BLOCK]),
                    idct::<8>(&block, &[5; BLOCK]),
                    "({x}, {y})"
                );
            }
        }
    }

    /// The definition in ITU T.81, A.3.3.
    fn exact(block: &[i16; BLOCK], x: usize, y: usize) -> f64 {
        let cosine = |at: usize, u: usize| ((2 * at + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos();
        let scale = |u: usize| if u == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
        let term = |i: usize| {
            let (v, u) = (i / 8, i % 8);
            scale(u) * scale(v) * f64::from(block[i]) * cosine(x, u) * cosine(y, v)
        };
        (0..BLOCK).map(term).sum::<f64>() / 4.0 + 128.0
    }
}
