//! The register tile of NEON: eight rows and eight outputs, over four words of each row at a time.
//!
//! A word of a row is a lane of a register, and products take it from there. (To load a word into all lanes takes two
//! instructions, because that load has no offset.) With FEAT_I8MM and FEAT_BF16, an instruction multiplies two rows with two
//! outputs, over two words. Its panels are arranged as `[two steps][32 outputs][two words]`.
//! `benches/arm_instructions.py` counts the instructions of these loops.

use super::super::buffer::LINE;
use super::neon_asm as asm;
use super::tile::{LINE_STEPS, Operands, PANEL, STEP};
use std::arch::aarch64::*;

/// The height of the tile: 8 × 2 sums, 8 registers of weights and some of activations. Ten rows would take about as many
/// instructions for each product, but the compiler then spills registers.
pub(super) const ROWS_MAX: usize = 8;
/// The width of the tile: two registers.
const OUTPUTS: usize = 8;
/// Words of a row that a register holds.
const WORDS: usize = 4;

/// How words of a row are multiplied with words of weights.
pub(super) trait Lanes {
    /// Steps of a panel for four words of a row.
    const STEPS: usize = WORDS;
    /// Two registers of weights for each of four words of a row.
    ///
    /// # Safety
    /// 8 words of each step are readable at `b`, and this CPU has the instructions, as for all functions here.
    #[inline(always)]
    unsafe fn weights(b: *const u8) -> [[uint32x4_t; 2]; WORDS] {
        // SAFETY: the caller's promise.
        unsafe { [0, 1, 2, 3].map(|step| [load(b.add(step * STEP)), load(b.add(step * STEP + 16))]) }
    }
    /// Adds the products of `weights` and word `LANE` of `a` to `sum`.
    ///
    /// # Safety
    /// This CPU has the instructions.
    unsafe fn multiply<const LANE: i32>(sum: uint32x4_t, weights: uint32x4_t, a: uint32x4_t) -> uint32x4_t;
}

/// f32 times f32.
pub(super) struct F32;
/// f32 times bf16 weights, which are widened.
pub(super) struct Bf16;
/// Four bytes times four bytes of weights.
pub(super) struct Bytes;
/// The same without FEAT_DotProd.
pub(super) struct WidenedBytes;

/// # Safety
/// 16 bytes are readable at `from`.
#[inline(always)]
unsafe fn load(from: *const u8) -> uint32x4_t {
    // SAFETY: the caller's promise.
    unsafe { vreinterpretq_u32_u8(vld1q_u8(from)) }
}

impl Lanes for F32 {
    #[inline(always)]
    unsafe fn multiply<const LANE: i32>(sum: uint32x4_t, weights: uint32x4_t, a: uint32x4_t) -> uint32x4_t {
        // SAFETY: only registers are used.
        unsafe {
            let [sum, weights, a] = [sum, weights, a].map(|words| vreinterpretq_f32_u32(words));
            vreinterpretq_u32_f32(vfmaq_laneq_f32::<LANE>(sum, weights, a))
        }
    }
}

impl Lanes for Bf16 {
    const STEPS: usize = 2;
    #[inline(always)]
    unsafe fn weights(b: *const u8) -> [[uint32x4_t; 2]; WORDS] {
        // SAFETY: the caller's promise.
        unsafe {
            let first = [load(b), load(b.add(16))];
            let second = [load(b.add(STEP)), load(b.add(STEP + 16))];
            let low = |words: [uint32x4_t; 2]| words.map(|w| vshlq_n_u32::<16>(w));
            let high = |words: [uint32x4_t; 2]| words.map(|w| vandq_u32(w, vdupq_n_u32(0xffff_0000)));
            [low(first), high(first), low(second), high(second)]
        }
    }
    #[inline(always)]
    unsafe fn multiply<const LANE: i32>(sum: uint32x4_t, weights: uint32x4_t, a: uint32x4_t) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe { F32::multiply::<LANE>(sum, weights, a) }
    }
}

impl Lanes for Bytes {
    #[inline(always)]
    unsafe fn multiply<const LANE: i32>(sum: uint32x4_t, weights: uint32x4_t, a: uint32x4_t) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe { asm::sdot_lane::<LANE>(sum, weights, a) }
    }
}

impl Lanes for WidenedBytes {
    #[inline(always)]
    unsafe fn multiply<const LANE: i32>(sum: uint32x4_t, weights: uint32x4_t, a: uint32x4_t) -> uint32x4_t {
        // SAFETY: only registers are used.
        unsafe {
            // Signed products of at most 127² fit 16 bits, and so do sums of two. Sums of four, a word's, are added to `sum`.
            let (a, w) = (vdupq_laneq_u32::<LANE>(a), vreinterpretq_s8_u32(weights));
            let a = vreinterpretq_s8_u32(a);
            let pairs = vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(w)), vmull_high_s8(a, w));
            vreinterpretq_u32_s32(vpadalq_s16(vreinterpretq_s32_u32(sum), pairs))
        }
    }
}

/// Repeats a block for each number. The compiler leaves a loop over all rows of the tallest tile as it is, with sums in memory.
macro_rules! each {
    ($i:ident in $($number:literal)*, if $condition:expr, $block:block) => {
        $({
            #[allow(non_upper_case_globals, reason = "it takes the place of a variable")]
            const $i: usize = $number;
            if $condition $block
        })*
    };
}

/// Adds the products of four words of a row, `a`, to its sums.
///
/// # Safety
/// This CPU has the instructions.
#[inline(always)]
unsafe fn product<L: Lanes>(
    sums: [uint32x4_t; 2],
    weights: [[uint32x4_t; 2]; WORDS],
    a: uint32x4_t,
) -> [uint32x4_t; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let [mut first, mut second] = sums;
        first = L::multiply::<0>(first, weights[0][0], a);
        second = L::multiply::<0>(second, weights[0][1], a);
        first = L::multiply::<1>(first, weights[1][0], a);
        second = L::multiply::<1>(second, weights[1][1], a);
        first = L::multiply::<2>(first, weights[2][0], a);
        second = L::multiply::<2>(second, weights[2][1], a);
        first = L::multiply::<3>(first, weights[3][0], a);
        second = L::multiply::<3>(second, weights[3][1], a);
        [first, second]
    }
}

/// Computes a tile, one row after another.
///
/// # Safety
/// As for [`Simd::tile`](super::Simd::tile), and this CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn rows<L: Lanes, const ROWS: usize>(operands: Operands) {
    for part in (0..PANEL).step_by(OUTPUTS) {
        let (mut a, mut b) = (operands.a, operands.b.wrapping_add(part * 4));
        // SAFETY: only registers are used.
        let mut sums = [[unsafe { vdupq_n_u32(0) }; 2]; ROWS_MAX];
        for _ in 0..operands.lines {
            for quad in 0..LINE_STEPS / WORDS {
                // SAFETY: the caller's promise: this line of `a` has `ROWS` times 64 bytes, and each step of `b` has 128.
                unsafe {
                    let weights = L::weights(b.add(quad * L::STEPS * STEP));
                    each!(row in 0 1 2 3 4 5 6 7, if row < ROWS, {
                        let a = load(a.add(row * LINE + quad * 16));
                        sums[row] = product::<L>(sums[row], weights, a);
                    });
                }
            }
            a = a.wrapping_add(ROWS * LINE);
            b = b.wrapping_add(LINE_STEPS / WORDS * L::STEPS * STEP);
        }
        for (row, sums) in sums.into_iter().enumerate().take(ROWS) {
            // SAFETY: the caller's promise: 32 words are writable in each row.
            unsafe { store(operands, row, part, sums) };
        }
    }
}

/// Computes a tile of matrices, two rows after another. An odd last row is multiplied twice. `multiply` adds the product
/// of `a`, two rows, and `b`, two outputs, to a sum, `[row][output]`.
///
/// # Safety
/// As for [`Simd::tile`](super::Simd::tile).
#[inline(always)]
pub(super) unsafe fn pairs<const ROWS: usize>(
    operands: Operands,
    multiply: impl Fn(uint32x4_t, uint32x4_t, uint32x4_t) -> uint32x4_t,
) {
    assert!(ROWS <= ROWS_MAX);
    for part in (0..PANEL).step_by(OUTPUTS) {
        let (mut a, mut b) = (operands.a, operands.b.wrapping_add(part * 8));
        // SAFETY: only registers are used.
        let mut sums = [[unsafe { vdupq_n_u32(0) }; OUTPUTS / 2]; ROWS_MAX / 2];
        for _ in 0..operands.lines {
            for quad in 0..LINE_STEPS / WORDS {
                // SAFETY: the caller's promise: this line of `a` has `ROWS` times 64 bytes, and each step of `b` has 128.
                unsafe {
                    let b = b.add(quad * WORDS * STEP);
                    let weights = [0, 2 * STEP].map(|step| [0, 16, 32, 48].map(|outputs| load(b.add(step + outputs))));
                    each!(pair in 0 1 2 3, if 2 * pair < ROWS, {
                        let rows = [2 * pair, (2 * pair + 1).min(ROWS - 1)];
                        let [x, y] = rows.map(|row| vreinterpretq_u64_u32(load(a.add(row * LINE + quad * 16))));
                        let a = [vzip1q_u64(x, y), vzip2q_u64(x, y)].map(|a| vreinterpretq_u32_u64(a));
                        for (a, weights) in a.into_iter().zip(weights) {
                            for (sum, b) in sums[pair].iter_mut().zip(weights) {
                                *sum = multiply(*sum, a, b);
                            }
                        }
                    });
                }
            }
            a = a.wrapping_add(ROWS * LINE);
            b = b.wrapping_add(LINE_STEPS * STEP);
        }
        for row in 0..ROWS {
            // SAFETY: the caller's promise: 32 words are writable in each row.
            unsafe {
                let [a, b, c, d] = sums[row / 2].map(|sum| vreinterpretq_u64_u32(sum));
                let outputs = match row % 2 {
                    0 => [vzip1q_u64(a, b), vzip1q_u64(c, d)],
                    _ => [vzip2q_u64(a, b), vzip2q_u64(c, d)],
                };
                store(operands, row, part, outputs.map(|words| vreinterpretq_u32_u64(words)));
            }
        }
    }
}

/// Stores eight outputs of a row.
///
/// # Safety
/// Outputs `part..part + 8` of the row are writable.
#[inline(always)]
unsafe fn store(operands: Operands, row: usize, part: usize, outputs: [uint32x4_t; 2]) {
    // SAFETY: the caller's promise.
    unsafe {
        let to = operands.to.add(row * operands.to_stride + part * 4);
        vst1q_u8(to, vreinterpretq_u8_u32(outputs[0]));
        vst1q_u8(to.add(16), vreinterpretq_u8_u32(outputs[1]));
    }
}

/// Puts the two words of each output next to each other, in two steps of a panel, for [`pairs`].
///
/// # Safety
/// `2 * STEP` bytes are readable and writable at `at`.
#[inline(always)]
pub(super) unsafe fn arrange_pairs(at: *mut u8) {
    // SAFETY: the caller's promise; both arrays have that size.
    unsafe {
        let from: [[u32; PANEL]; 2] = at.cast::<[[u32; PANEL]; 2]>().read_unaligned();
        let to: [[u32; 2]; PANEL] = std::array::from_fn(|output| from.map(|step| step[output]));
        at.cast::<[[u32; 2]; PANEL]>().write_unaligned(to);
    }
}
