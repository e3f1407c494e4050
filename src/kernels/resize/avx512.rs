//! The two passes with AVX-512 VNNI. `vpdpbusd` multiplies four bytes by four signed bytes and adds the products to a
//! word, exactly.
//!
//! A weight of up to 24 bits is split into three signed digits of 8 bits, so a tap takes a quarter of three such
//! multiplications. The three sums are combined at the end. Sums wrap modulo 2^32 like those of the portable version,
//! so the bytes are equal. Closures must not use registers: the compiler would not inline them into code compiled for
//! every CPU.

use std::arch::x86_64::*;

use super::axis::{Axis, PixelRows, ROUNDING, WEIGHT_BITS};

/// Bytes per register.
const LANES: usize = 64;
/// Digits per weight.
const DIGITS: usize = 3;
/// Rows that share a load of weights: 4 × 3 sums and 3 weights take half of the registers.
const ROWS: usize = 4;

/// See [`super::horizontal`].
///
/// # Safety
/// The CPU has AVX-512 F, BW, VL and VNNI.
pub(crate) unsafe fn horizontal(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    // SAFETY: the caller promises that the CPU has AVX-512 F, BW, VL and VNNI.
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
/// The CPU has AVX-512 F, BW, VL and VNNI.
pub(crate) unsafe fn vertical(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    // SAFETY: the caller promises that the CPU has AVX-512 F, BW, VL and VNNI.
    unsafe { vertical_of(rows, axis, out) }
}

/// The signed digits of a weight, lowest first: `w = d0 + 2^8 d1 + 2^16 d2`. `WEIGHT_MAX` is the largest such number.
fn digits(weight: i32) -> [i8; DIGITS] {
    let low = weight as i8;
    let rest = (weight - i32::from(low)) >> 8;
    let middle = rest as i8;
    [low, middle, ((rest - i32::from(middle)) >> 8) as i8]
}

/// The arrangement of bytes in a register. Word `p` of 128-bit lane `q` has four taps of one channel.
struct Layout<const C: usize>;

impl<const C: usize> Layout<C> {
    /// Channels per lane. For 3 channels, the fourth word stays empty.
    const STEP: usize = if C == 3 { 4 } else { C };
    /// Taps per register.
    const TAPS: usize = LANES / Self::STEP;
    /// Bytes of a row per register.
    const BYTES: usize = Self::TAPS * C;

    /// The tap of byte `i` in a register.
    fn tap(i: usize) -> usize {
        let (lane, word, byte) = (i / 16, i % 16 / 4, i % 4);
        (lane * (4 / Self::STEP) + word / Self::STEP) * 4 + byte
    }

    /// Rearranges bytes in row order into words of one channel.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn sort(bytes: __m512i) -> __m512i {
        match C {
            1 => bytes,
            2 => _mm512_shuffle_epi8(
                bytes,
                in_each_lane([0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15]),
            ),
            3 => {
                // Put twelve bytes, which are four pixels, into each lane.
                let lanes = _mm512_setr_epi32(0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0);
                let spread = _mm512_permutexvar_epi32(lanes, bytes);
                _mm512_shuffle_epi8(
                    spread,
                    in_each_lane([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1]),
                )
            }
            _ => _mm512_shuffle_epi8(
                bytes,
                in_each_lane([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]),
            ),
        }
    }
}

/// The same order of bytes for each 128-bit lane; -1 means zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn in_each_lane(order: [i8; 16]) -> __m512i {
    // SAFETY: the array is one lane long; any alignment is allowed.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_epi8(order.as_ptr()) })
}

/// Weights as registers of digits: for each output position, and for each `TAPS` of its taps, one register per digit.
fn packed_weights<const C: usize>(axis: &Axis) -> Vec<[[i8; LANES]; DIGITS]> {
    let mut registers = Vec::new();
    for x in 0..axis.len() {
        for taps in axis.taps(x).1.chunks(Layout::<C>::TAPS) {
            let weight = |i| taps.get(Layout::<C>::tap(i)).copied().unwrap_or(0);
            registers.push([0, 1, 2].map(|d| std::array::from_fn(|i| digits(weight(i))[d])));
        }
    }
    registers
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn horizontal_of<const C: usize>(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    let (row_bytes, out_bytes) = (rows.row_bytes(), axis.len() * C);
    let weights = packed_weights::<C>(axis);
    let mut inputs = rows.bytes.chunks_exact(row_bytes * ROWS);
    let mut outputs = out.chunks_exact_mut(out_bytes * ROWS);
    for (input, output) in inputs.by_ref().zip(outputs.by_ref()) {
        block::<C, ROWS>(input, row_bytes, axis, &weights, output);
    }
    let singles = inputs.remainder().chunks_exact(row_bytes);
    for (input, output) in singles.zip(outputs.into_remainder().chunks_exact_mut(out_bytes)) {
        block::<C, 1>(input, row_bytes, axis, &weights, output);
    }
}

/// Computes `N` rows at once.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn block<const C: usize, const N: usize>(
    input: &[u8],
    row_bytes: usize,
    axis: &Axis,
    weights: &[[[i8; LANES]; DIGITS]],
    out: &mut [u8],
) {
    let mut weights = weights.iter();
    for x in 0..axis.len() {
        let (first, taps) = axis.taps(x);
        let mut sums = [[_mm512_setzero_si512(); DIGITS]; N];
        let registers = taps.len().div_ceil(Layout::<C>::TAPS);
        for (i, register) in weights.by_ref().take(registers).enumerate() {
            let [low, middle, high] = register;
            let digits = [load_signed(low), load_signed(middle), load_signed(high)];
            let start = first * C + i * Layout::<C>::BYTES;
            for (n, sums) in sums.iter_mut().enumerate() {
                // Bytes after the last tap have weight 0.
                let pixels = Layout::<C>::sort(load(&input[n * row_bytes + start..]));
                for (sum, digit) in sums.iter_mut().zip(digits) {
                    *sum = _mm512_dpbusd_epi32(*sum, pixels, digit);
                }
            }
        }
        for (n, sums) in sums.into_iter().enumerate() {
            let at = (n * axis.len() + x) * C;
            out[at..at + C].copy_from_slice(&channels::<C>(sums));
        }
    }
}

/// Adds up the words of each channel and rounds.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn channels<const C: usize>(sums: [__m512i; DIGITS]) -> [u8; C] {
    let sum = combine(sums);
    let half = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
    let mut sum = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
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

/// Combines the sums of the three digits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn combine([low, middle, high]: [__m512i; DIGITS]) -> __m512i {
    let upper = _mm512_add_epi32(_mm512_slli_epi32::<16>(high), _mm512_slli_epi32::<8>(middle));
    _mm512_add_epi32(upper, low)
}

/// Combines and rounds the sums; the words are not yet clamped to bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn combine_and_round(sums: [__m512i; DIGITS]) -> __m512i {
    _mm512_srai_epi32::<{ WEIGHT_BITS }>(_mm512_add_epi32(combine(sums), _mm512_set1_epi32(ROUNDING)))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn vertical_of(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    let row_bytes = rows.row_bytes();
    for (y, out_row) in out.chunks_exact_mut(row_bytes).enumerate() {
        let (first, taps) = axis.taps(y);
        // Four taps per word. Missing ones at the end have weight 0.
        let weights: Vec<[i32; DIGITS]> = taps
            .chunks(4)
            .map(|taps| {
                let digits: [[i8; DIGITS]; 4] = std::array::from_fn(|i| digits(taps.get(i).copied().unwrap_or(0)));
                std::array::from_fn(|d| i32::from_le_bytes(std::array::from_fn(|i| digits[i][d] as u8)))
            })
            .collect();
        for (i, out) in out_row.chunks_mut(LANES).enumerate() {
            let column = i * LANES;
            let mut sums = [[_mm512_setzero_si512(); DIGITS]; 4];
            for (group, weights) in weights.iter().enumerate() {
                let mut pixels = [_mm512_setzero_si512(); 4];
                for (n, pixels) in pixels.iter_mut().enumerate() {
                    let row = first + (group * 4 + n).min(taps.len() - 1);
                    *pixels = load(&rows.bytes[row * row_bytes + column..(row + 1) * row_bytes]);
                }
                let [low, middle, high] = *weights;
                let digits = [
                    _mm512_set1_epi32(low),
                    _mm512_set1_epi32(middle),
                    _mm512_set1_epi32(high),
                ];
                for (sums, pixels) in sums.iter_mut().zip(interleave(pixels)) {
                    for (sum, digit) in sums.iter_mut().zip(digits) {
                        *sum = _mm512_dpbusd_epi32(*sum, pixels, digit);
                    }
                }
            }
            let [a, b, c, d] = sums;
            let (ab, cd) = (
                _mm512_packs_epi32(combine_and_round(a), combine_and_round(b)),
                _mm512_packs_epi32(combine_and_round(c), combine_and_round(d)),
            );
            // Packing works within 128-bit lanes, like the transposition, so the columns are in order.
            store(out, _mm512_packus_epi16(ab, cd));
        }
    }
}

/// Interleaves four rows of bytes into words that have one column each: columns 0-3, 4-7, 8-11 and 12-15 of each
/// 128-bit lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn interleave([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab_low, ab_high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
    [
        _mm512_unpacklo_epi16(ab_low, cd_low),
        _mm512_unpackhi_epi16(ab_low, cd_low),
        _mm512_unpacklo_epi16(ab_high, cd_high),
        _mm512_unpackhi_epi16(ab_high, cd_high),
    ]
}

/// The first bytes of `bytes`, padded with zeroes if it is shorter than a register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn load(bytes: &[u8]) -> __m512i {
    if bytes.len() >= LANES {
        // SAFETY: there are at least as many bytes as in a register; any alignment is allowed.
        unsafe { _mm512_loadu_epi8(bytes.as_ptr().cast()) }
    } else {
        // SAFETY: the mask keeps the load inside the slice; masked bytes are not accessed.
        unsafe { _mm512_maskz_loadu_epi8(first_lanes(bytes.len()), bytes.as_ptr().cast()) }
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn load_signed(digits: &[i8; LANES]) -> __m512i {
    // SAFETY: the array is one register long; any alignment is allowed.
    unsafe { _mm512_loadu_epi8(digits.as_ptr()) }
}

/// Writes the first `out.len()` bytes, at most a register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn store(out: &mut [u8], bytes: __m512i) {
    // SAFETY: the mask keeps the store inside the slice; masked bytes are not accessed.
    unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), first_lanes(out.len()), bytes) }
}

/// A mask of the first `n` lanes, at most all of them.
fn first_lanes(n: usize) -> __mmask64 {
    if n >= LANES { !0 } else { (1 << n) - 1 }
}
