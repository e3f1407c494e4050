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

/// A tile of `ROWS` rows and 32 outputs of bytes. It is one register wide, not two: its sums, two words of weights, the
/// ones and a product stay in registers.
///
/// # Safety
/// As for [`super::Simd::tile`].
#[inline(always)]
pub(super) unsafe fn tile<const ROWS: usize>(operands: Operands) {
    for part in (0..STEP).step_by(32) {
        let (mut a, mut b) = (operands.a, operands.b.wrapping_add(part));
        let prefetch = if part == 0 {
            operands.prefetch
        } else {
            Prefetch::NOTHING
        };
        let mut next_line = prefetch.from;
        // SAFETY: the caller's promise: each line of `a` has `ROWS` times 64 bytes, each step of `b` has 128, and 32 words are
        // writable in each row of `to`.
        unsafe {
            let ones = _mm256_set1_epi16(1);
            let mut sums = [_mm256_setzero_si256(); ROWS];
            for _ in 0..operands.lines {
                for _ in 0..prefetch.per_line {
                    _mm_prefetch::<_MM_HINT_T1>(next_line.cast());
                    next_line = next_line.wrapping_add(LINE);
                }
                for step in (0..LINE_STEPS).step_by(2) {
                    let weights = [0, 1].map(|i| _mm256_loadu_si256(b.add((step + i) * STEP).cast()));
                    for (row, sum) in sums.iter_mut().enumerate() {
                        let products = [0, 1].map(|i| {
                            let word = a.add(row * LINE + (step + i) * 4).cast::<i32>().read_unaligned();
                            _mm256_maddubs_epi16(_mm256_set1_epi32(word), weights[i])
                        });
                        let both = _mm256_add_epi16(products[0], products[1]);
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(both, ones));
                    }
                }
                a = a.wrapping_add(ROWS * LINE);
                b = b.wrapping_add(LINE_STEPS * STEP);
            }
            for (row, sum) in sums.iter().enumerate() {
                _mm256_storeu_si256(operands.to.add(row * operands.to_stride + part).cast(), *sum);
            }
        }
    }
}
