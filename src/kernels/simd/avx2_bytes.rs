//! Products of bytes with AVX2 alone, which has no instruction that multiplies bytes and sums in 32 bits.
//!
//! `maddubs` multiplies unsigned with signed bytes and adds two products in 16 bits, and `madd` by ones adds two of those
//! in 32 bits. The instructions that multiply are the limit, so two results of `maddubs` are added in 16 bits before `madd`:
//! three of them for 64 products instead of four. [`largest_sum`] says how large weights may be for this.

use super::super::buffer::LINE;
use super::tile::{LINE_STEPS, Operands, Prefetch, STEP};
use std::arch::x86_64::*;

/// The largest sum of positive or of negative weights that are added in 16 bits: 255 · 128 is less than 2^15.
pub(super) const SUM_TOP: u8 = 128;
/// Bytes of a step for the outputs of one register.
const OUTPUT_BYTES: usize = 32;
/// Weights of a row whose products are added in 16 bits are in the same eight, see [`largest_sum`].
const GROUPED: usize = 8;

/// The largest sum of the positive values, or of the sizes of the negative ones, among the four values of a row of weights
/// whose products are added in 16 bits: 0, 1, 4 and 5 of each eight, and 2, 3, 6 and 7.
///
/// # Safety
/// This CPU has AVX2, as for all functions here.
#[inline(always)]
pub(super) unsafe fn largest_sum(row: &[f32]) -> f32 {
    let (eights, rest) = row.as_chunks::<GROUPED>();
    let mut last = [0.0; GROUPED];
    last[..rest.len()].copy_from_slice(rest);
    // SAFETY: the caller's promise; each chunk has eight values.
    unsafe {
        let mut top = _mm_setzero_ps();
        for eight in eights.iter().chain([&last]) {
            let all = _mm256_loadu_ps(eight.as_ptr());
            let positive = _mm256_max_ps(all, _mm256_setzero_ps());
            // In each half: sums of two positive values, twice, then of two negative ones.
            let sums = _mm256_hadd_ps(positive, _mm256_sub_ps(positive, all));
            let sums = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
            top = _mm_max_ps(top, sums);
        }
        let two = _mm_max_ps(top, _mm_movehl_ps(top, top));
        _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
    }
}

/// A tile of `ROWS` rows and 32 outputs of bytes.
///
/// # Safety
/// As for [`super::Simd::tile`].
#[inline(always)]
pub(super) unsafe fn tile<const ROWS: usize>(operands: Operands) {
    for part in (0..STEP).step_by(2 * OUTPUT_BYTES) {
        let mut row = 0;
        while row < ROWS {
            // SAFETY: the caller's promise; these rows and outputs are in the tile.
            row += unsafe {
                match ROWS - row {
                    1 => strip::<1>(operands, row, part),
                    2 | 4 => strip::<2>(operands, row, part),
                    _ => strip::<3>(operands, row, part),
                }
            };
        }
    }
}

/// `ROWS` rows of a tile and 16 outputs: the sums, four words of weights, the ones, two words of activations and two
/// products are in registers. Returns `ROWS`. Being a function of its own, it has registers of its own, and can't be
/// compiled without AVX2, as a closure can.
///
/// # Safety
/// As for [`tile`]; the tile has these rows, from `row` on, and these outputs, from byte `part` of a step on.
#[target_feature(enable = "avx2")]
unsafe fn strip<const ROWS: usize>(operands: Operands, row: usize, part: usize) -> usize {
    let (mut a, mut b) = (operands.a.wrapping_add(row * LINE), operands.b.wrapping_add(part));
    // Only one pass over the depth prefetches.
    let prefetch = if row + part == 0 {
        operands.prefetch
    } else {
        Prefetch::NOTHING
    };
    let mut next_line = prefetch.from;
    // SAFETY: the caller's promise: each line of `a` has `ROWS` times 64 bytes, each step of `b` has 128, and 32 words are
    // writable in each row of `to`.
    unsafe {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        if operands.continues {
            for (r, sums) in sums.iter_mut().enumerate() {
                *sums = pair(operands.to.add((row + r) * operands.to_stride + part).cast());
            }
        }
        for _ in 0..operands.lines {
            for _ in 0..prefetch.per_line {
                _mm_prefetch::<_MM_HINT_T1>(next_line.cast());
                next_line = next_line.wrapping_add(LINE);
            }
            for step in (0..LINE_STEPS).step_by(2) {
                let from = b.add(step * STEP).cast::<__m256i>();
                let (first, second) = (pair(from), pair(from.byte_add(STEP)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let words = a.add(row * LINE + step * 4).cast::<i32>();
                    let word = _mm256_set1_epi32(words.read_unaligned());
                    let next = _mm256_set1_epi32(words.add(1).read_unaligned());
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let both = _mm256_add_epi16(
                            _mm256_maddubs_epi16(word, first[i]),
                            _mm256_maddubs_epi16(next, second[i]),
                        );
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(both, ones));
                    }
                }
            }
            a = a.wrapping_add(operands.rows * LINE);
            b = b.wrapping_add(LINE_STEPS * STEP);
        }
        for (r, sums) in sums.iter().enumerate() {
            let to = operands.to.add((row + r) * operands.to_stride + part).cast::<__m256i>();
            _mm256_storeu_si256(to, sums[0]);
            _mm256_storeu_si256(to.add(1), sums[1]);
        }
    }
    ROWS
}

/// # Safety
/// 64 bytes are readable.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn pair(from: *const __m256i) -> [__m256i; 2] {
    // SAFETY: the caller's promise.
    unsafe { [_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1))] }
}
