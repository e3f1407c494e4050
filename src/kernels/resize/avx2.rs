//! The two passes with AVX2. `vpmaddwd` multiplies two 16-bit numbers by two others and adds the products to a word,
//! exactly.
//!
//! A weight of up to 24 bits is split into a signed low part of 12 bits and the rest, so a tap takes half of two such
//! multiplications. The two sums are combined at the end. Sums wrap modulo 2^32 like those of the portable version, so
//! the bytes are equal. Closures must not use registers: the compiler would not inline them into code compiled for
//! every CPU.

use std::arch::x86_64::*;

use super::axis::{Axis, PixelRows, ROUNDING, WEIGHT_BITS, first_bytes};

/// Bytes per register.
const LANES: usize = 32;
/// Bits of a weight's low part.
const LOW_BITS: u32 = 12;

/// See [`super::horizontal`].
///
/// # Safety
/// The CPU has AVX2.
pub(crate) unsafe fn horizontal(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    // SAFETY: the caller promises that the CPU has AVX2.
    unsafe {
        match rows.channels {
            1 => horizontal_of::<1>(rows, axis, out),
            2 => horizontal_of::<2>(rows, axis, out),
            3 => horizontal_of::<3>(rows, axis, out),
            _ => horizontal_of::<4>(rows, axis, out),
        }
    }
}

/// See [`super::vertical`].
///
/// # Safety
/// The CPU has AVX2.
pub(crate) unsafe fn vertical(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    // SAFETY: the caller promises that the CPU has AVX2.
    unsafe { vertical_of(rows, axis, out) }
}

/// The low and the high part of a weight: `w = low + 2^12 high`, with `low` in -2048..2048.
fn split_weight(weight: i32) -> [i16; 2] {
    let low = (weight << (32 - LOW_BITS)) >> (32 - LOW_BITS);
    [low as i16, ((weight - low) >> LOW_BITS) as i16]
}

/// The arrangement of bytes in a register. A 128-bit lane is a *chunk* of a row. Each half of a chunk is widened to 16
/// bits; word `p` then has two taps of one channel.
struct Layout<const C: usize>;

impl<const C: usize> Layout<C> {
    /// Channels per lane. For 3 channels, the fourth word stays empty.
    const STEP: usize = if C == 3 { 4 } else { C };
    /// Taps per chunk.
    const TAPS: usize = 16 / Self::STEP;
    /// Bytes of a row per chunk.
    const BYTES: usize = Self::TAPS * C;

    /// The tap of 16-bit number `i` in half `half`, in a register of two chunks.
    fn tap(half: usize, i: usize) -> usize {
        let (chunk, word, number) = (i / 8, i % 8 / 2, i % 2);
        chunk * Self::TAPS + half * Self::TAPS / 2 + word / Self::STEP * 2 + number
    }

    /// For each half, the chunk's byte for each byte of the lane; -1 means zero.
    const ORDER: [[i8; 16]; 2] = {
        let mut order = [[-1; 16]; 2];
        let mut half = 0;
        while half < 2 {
            let mut i = 0;
            while i < 8 {
                let channel = (i / 2) % Self::STEP;
                let tap = half * Self::TAPS / 2 + (i / 2) / Self::STEP * 2 + i % 2;
                if channel < C {
                    order[half][i * 2] = (tap * C + channel) as i8;
                }
                i += 1;
            }
            half += 1;
        }
        order
    };
}

/// The weights of two chunks: `[half of the chunk][low, high]`.
type Packed = [[[i16; 16]; 2]; 2];

fn packed_weights<const C: usize>(axis: &Axis) -> Vec<Packed> {
    let mut registers = Vec::new();
    for x in 0..axis.len() {
        for taps in axis.taps(x).1.chunks(2 * Layout::<C>::TAPS) {
            let mut register = Packed::default();
            for (half, [low, high]) in register.iter_mut().enumerate() {
                for (i, (low, high)) in low.iter_mut().zip(high).enumerate() {
                    let weight = taps.get(Layout::<C>::tap(half, i)).copied().unwrap_or(0);
                    [*low, *high] = split_weight(weight);
                }
            }
            registers.push(register);
        }
    }
    registers
}

#[target_feature(enable = "avx2")]
fn horizontal_of<const C: usize>(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    let packed = packed_weights::<C>(axis);
    let [first_half, second_half] = Layout::<C>::ORDER;
    let orders = [load_order(&first_half), load_order(&second_half)];
    for (row, out_row) in rows.iter().zip(out.chunks_exact_mut(axis.len() * C)) {
        let mut weights = packed.iter();
        for (x, pixel) in out_row.chunks_exact_mut(C).enumerate() {
            let (first, taps) = axis.taps(x);
            let mut sums = [_mm256_setzero_si256(); 2];
            let registers = taps.len().div_ceil(2 * Layout::<C>::TAPS);
            for (i, weights) in weights.by_ref().take(registers).enumerate() {
                // Bytes after the last tap have weight 0.
                let bytes = two_chunks(&row[first * C + i * 2 * Layout::<C>::BYTES..], Layout::<C>::BYTES);
                for (order, weights) in orders.iter().zip(weights) {
                    let pixels = _mm256_shuffle_epi8(bytes, *order);
                    for (sum, part) in sums.iter_mut().zip(weights) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pixels, load_words(part)));
                    }
                }
            }
            pixel.copy_from_slice(&channels::<C>(sums));
        }
    }
}

/// Adds up the words of each channel and rounds.
#[inline]
#[target_feature(enable = "avx2")]
fn channels<const C: usize>(sums: [__m256i; 2]) -> [u8; C] {
    let sum = combine(sums);
    let mut sum = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    if C <= 2 {
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b01_00_11_10>(sum));
    }
    if C == 1 {
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32::<0b10_11_00_01>(sum));
    }
    let rounded = _mm_srai_epi32::<{ WEIGHT_BITS as i32 }>(_mm_add_epi32(sum, _mm_set1_epi32(ROUNDING)));
    let words = _mm_packs_epi32(rounded, rounded);
    let bytes = (_mm_cvtsi128_si32(_mm_packus_epi16(words, words)) as u32).to_le_bytes();
    std::array::from_fn(|c| bytes[c])
}

/// Combines the sums of the low and the high parts.
#[inline]
#[target_feature(enable = "avx2")]
fn combine([low, high]: [__m256i; 2]) -> __m256i {
    _mm256_add_epi32(_mm256_slli_epi32::<{ LOW_BITS as i32 }>(high), low)
}

/// Combines and rounds the sums; the words are not yet clamped to bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn combine_and_round(sums: [__m256i; 2]) -> __m256i {
    _mm256_srai_epi32::<{ WEIGHT_BITS as i32 }>(_mm256_add_epi32(combine(sums), _mm256_set1_epi32(ROUNDING)))
}

#[target_feature(enable = "avx2")]
fn vertical_of(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    let row_bytes = rows.row_bytes();
    for (y, out_row) in out.chunks_exact_mut(row_bytes).enumerate() {
        let (first, taps) = axis.taps(y);
        // Two taps per word, for low and high parts. If the last tap is missing, its weight is 0.
        let weights: Vec<[i32; 2]> = taps
            .chunks(2)
            .map(|taps| {
                let [a, b] = [taps[0], taps.get(1).copied().unwrap_or(0)].map(split_weight);
                [0, 1].map(|part| i32::from(a[part]) & 0xffff | i32::from(b[part]) << 16)
            })
            .collect();
        for (i, out) in out_row.chunks_mut(LANES).enumerate() {
            let column = i * LANES;
            let mut sums = [[_mm256_setzero_si256(); 2]; 4];
            for (pair, weights) in weights.iter().enumerate() {
                let mut pixels = [_mm256_setzero_si256(); 2];
                for (n, pixels) in pixels.iter_mut().enumerate() {
                    let row = first + (pair * 2 + n).min(taps.len() - 1);
                    *pixels = load(&rows.bytes[row * row_bytes + column..(row + 1) * row_bytes]);
                }
                let weights = [_mm256_set1_epi32(weights[0]), _mm256_set1_epi32(weights[1])];
                for (sums, pixels) in sums.iter_mut().zip(interleave(pixels)) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pixels, weight));
                    }
                }
            }
            let [a, b, c, d] = sums;
            let (ab, cd) = (
                _mm256_packs_epi32(combine_and_round(a), combine_and_round(b)),
                _mm256_packs_epi32(combine_and_round(c), combine_and_round(d)),
            );
            // Packing works within 128-bit lanes, like the transposition, so the columns are in order.
            store(out, _mm256_packus_epi16(ab, cd));
        }
    }
}

/// Interleaves two rows of bytes into words that have one column each, widened: columns 0-3, 4-7, 8-11 and 12-15 of
/// each 128-bit lane.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave([a, b]: [__m256i; 2]) -> [__m256i; 4] {
    let zero = _mm256_setzero_si256();
    let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
    [
        _mm256_unpacklo_epi8(low, zero),
        _mm256_unpackhi_epi8(low, zero),
        _mm256_unpacklo_epi8(high, zero),
        _mm256_unpackhi_epi8(high, zero),
    ]
}

/// The 16 bytes from 0 on in the first lane, and those from `second` on in the second lane; zeroes if `bytes` is
/// shorter.
#[inline]
#[target_feature(enable = "avx2")]
fn two_chunks(bytes: &[u8], second: usize) -> __m256i {
    _mm256_set_m128i(chunk(bytes.get(second..).unwrap_or_default()), chunk(bytes))
}

/// The first 16 bytes of `bytes`, padded with zeroes if it is shorter.
#[inline]
#[target_feature(enable = "avx2")]
fn chunk(bytes: &[u8]) -> __m128i {
    let mut padded = [0; 16];
    let source = first_bytes(bytes, &mut padded);
    // SAFETY: `source` is one lane long; any alignment is allowed.
    unsafe { _mm_loadu_si128(source.as_ptr().cast()) }
}

/// The first bytes of `bytes`, padded with zeroes if it is shorter than a register.
#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8]) -> __m256i {
    let mut padded = [0; LANES];
    let source = first_bytes(bytes, &mut padded);
    // SAFETY: `source` is one register long; any alignment is allowed.
    unsafe { _mm256_loadu_si256(source.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_order(order: &[i8; 16]) -> __m256i {
    // SAFETY: the array is one lane long; any alignment is allowed.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(order.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_words(words: &[i16; 16]) -> __m256i {
    // SAFETY: the array is one register long; any alignment is allowed.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// Writes the first `out.len()` bytes, at most a register.
#[inline]
#[target_feature(enable = "avx2")]
fn store(out: &mut [u8], bytes: __m256i) {
    let mut whole = [0u8; LANES];
    // SAFETY: the array is one register long; any alignment is allowed.
    unsafe { _mm256_storeu_si256(whole.as_mut_ptr().cast(), bytes) };
    out.copy_from_slice(&whole[..out.len()]);
}
