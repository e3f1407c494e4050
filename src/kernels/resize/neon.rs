//! The two passes with NEON. Bytes are widened to words and multiplied with whole weights, so sums wrap modulo 2^32 like
//! those of the portable version, and the bytes are equal.

use std::arch::aarch64::*;

use super::axis::{Axis, PixelRows, ROUNDING, WEIGHT_BITS, first_bytes};

/// Bytes per register.
const LANES: usize = 16;

/// See [`super::horizontal`].
pub(crate) fn horizontal(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    match rows.channels {
        1 => horizontal_of::<1>(rows, axis, out),
        2 => horizontal_of::<2>(rows, axis, out),
        3 => horizontal_of::<3>(rows, axis, out),
        _ => horizontal_of::<4>(rows, axis, out),
    }
}

/// The arrangement of a chunk of a row, at most 16 bytes, as words in four registers.
struct Layout<const C: usize>;

impl<const C: usize> Layout<C> {
    /// Words per tap. For 3 channels, the fourth word stays empty.
    const STEP: usize = if C == 3 { 4 } else { C };
    /// Taps per register, and per chunk.
    const TAPS: [usize; 2] = [4 / Self::STEP, 16 / Self::STEP];

    /// For each register, the chunk's byte for each of its bytes; 255 means zero.
    const ORDER: [[u8; LANES]; 4] = {
        let mut order = [[255; LANES]; 4];
        let mut word = 0;
        while word < 16 {
            let (tap, channel) = (word / Self::STEP, word % Self::STEP);
            if channel < C {
                order[word / 4][word % 4 * 4] = (tap * C + channel) as u8;
            }
            word += 1;
        }
        order
    };
}

/// The weights of a chunk, by register and word.
type Packed = [[i32; 4]; 4];

fn packed_weights<const C: usize>(axis: &Axis) -> Vec<Packed> {
    let mut packed = Vec::new();
    for x in 0..axis.len() {
        for taps in axis.taps(x).1.chunks(Layout::<C>::TAPS[1]) {
            let weight = |word: usize| taps.get(word / Layout::<C>::STEP).copied().unwrap_or(0);
            packed.push(std::array::from_fn(|register| {
                std::array::from_fn(|word| weight(register * 4 + word))
            }));
        }
    }
    packed
}

fn horizontal_of<const C: usize>(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    let packed = packed_weights::<C>(axis);
    let orders = Layout::<C>::ORDER.map(|order| load(&order));
    let taps_of_chunk = Layout::<C>::TAPS[1];
    for (row, out_row) in rows.iter().zip(out.chunks_exact_mut(axis.len() * C)) {
        let mut packed = packed.iter();
        for (x, pixel) in out_row.chunks_exact_mut(C).enumerate() {
            let (first, taps) = axis.taps(x);
            let mut sums = [words(0); 4];
            for (i, weights) in packed.by_ref().take(taps.len().div_ceil(taps_of_chunk)).enumerate() {
                // Bytes after the last tap have weight 0.
                let bytes = load(&row[(first + i * taps_of_chunk) * C..]);
                for ((sum, order), weights) in sums.iter_mut().zip(orders).zip(weights) {
                    // SAFETY: NEON is part of the target, and the array is one register long.
                    *sum = unsafe {
                        let pixels = vreinterpretq_s32_u8(vqtbl1q_u8(bytes, order));
                        vmlaq_s32(*sum, pixels, vld1q_s32(weights.as_ptr()))
                    };
                }
            }
            pixel.copy_from_slice(&channels::<C>(sums));
        }
    }
}

/// Adds up the words of each channel and rounds.
fn channels<const C: usize>([a, b, c, d]: [int32x4_t; 4]) -> [u8; C] {
    let mut bytes = [0; 8];
    // SAFETY: NEON is part of the target, and the array is half a register long.
    unsafe {
        let mut sum = vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d));
        if C <= 2 {
            sum = vaddq_s32(sum, vextq_s32::<2>(sum, sum));
        }
        if C == 1 {
            sum = vaddq_s32(sum, vextq_s32::<1>(sum, sum));
        }
        let sum = clamped(vaddq_s32(sum, words(ROUNDING)));
        vst1_u8(bytes.as_mut_ptr(), vqmovn_u16(vcombine_u16(sum, sum)));
    }
    std::array::from_fn(|channel| bytes[channel])
}

/// See [`super::vertical`].
pub(crate) fn vertical(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    let row_bytes = rows.row_bytes();
    for (y, out_row) in out.chunks_exact_mut(row_bytes).enumerate() {
        let (first, taps) = axis.taps(y);
        for (i, out) in out_row.chunks_mut(LANES).enumerate() {
            let mut sums = [words(ROUNDING); 4];
            for (tap, &weight) in taps.iter().enumerate() {
                let start = (first + tap) * row_bytes;
                let pixels = widened(load(&rows.bytes[start + i * LANES..start + row_bytes]));
                for (sum, pixels) in sums.iter_mut().zip(pixels) {
                    // SAFETY: NEON is part of the target, and only registers are used.
                    *sum = unsafe { vmlaq_n_s32(*sum, pixels, weight) };
                }
            }
            let [a, b, c, d] = sums.map(clamped);
            let mut bytes = [0; LANES];
            // SAFETY: NEON is part of the target, and the array is one register long.
            unsafe {
                let (low, high) = (vqmovn_u16(vcombine_u16(a, b)), vqmovn_u16(vcombine_u16(c, d)));
                vst1q_u8(bytes.as_mut_ptr(), vcombine_u8(low, high));
            }
            out.copy_from_slice(&bytes[..out.len()]);
        }
    }
}

fn words(x: i32) -> int32x4_t {
    // SAFETY: NEON is part of the target, and only registers are used.
    unsafe { vdupq_n_s32(x) }
}

/// Rounded sums without their fractional bits, negative ones as 0.
fn clamped(sum: int32x4_t) -> uint16x4_t {
    // SAFETY: NEON is part of the target, and only registers are used.
    unsafe { vqmovun_s32(vshrq_n_s32::<{ WEIGHT_BITS as i32 }>(sum)) }
}

/// The 16 bytes as words, in order.
fn widened(bytes: uint8x16_t) -> [int32x4_t; 4] {
    // SAFETY: NEON is part of the target, and only registers are used.
    unsafe {
        let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
        [
            vmovl_u16(vget_low_u16(low)),
            vmovl_high_u16(low),
            vmovl_u16(vget_low_u16(high)),
            vmovl_high_u16(high),
        ]
        .map(|words| vreinterpretq_s32_u32(words))
    }
}

/// The first bytes of `bytes`, padded with zeroes if it is shorter than a register.
fn load(bytes: &[u8]) -> uint8x16_t {
    let mut padded = [0; LANES];
    let source = first_bytes(bytes, &mut padded);
    // SAFETY: NEON is part of the target, and `source` is one register long.
    unsafe { vld1q_u8(source.as_ptr()) }
}
