//! NEON, which every 64-bit ARM CPU has, alone and with two families of extensions. Four lanes, 32 registers.
//!
//! Alone, it widens bf16 weights and bytes. `DOT` is FEAT_DotProd, four products of bytes in each lane (Graviton 2,
//! Raspberry Pi 5, Apple M1). `MATRIX` adds FEAT_I8MM and FEAT_BF16, products of small matrices (Graviton 3, Apple M2).

use super::super::precision::Precision;
use super::super::resize::axis::{Axis, PixelRows};
use super::super::resize::neon as resize;
use super::tile::{Dot, Operands};
use super::{Simd, Vector, neon_asm as asm, neon_tile as tile};
use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

/// Proof that this CPU has NEON, and the extensions that are `true`. With `MATRIX`, `DOT` is `true` too.
#[derive(Clone, Copy)]
pub(crate) struct Neon<const DOT: bool, const MATRIX: bool>(());

impl<const DOT: bool, const MATRIX: bool> Neon<DOT, MATRIX> {
    /// Checks the CPU.
    pub(crate) fn detect() -> Option<Self> {
        let dot = is_aarch64_feature_detected!("dotprod");
        let matrix = is_aarch64_feature_detected!("i8mm") && is_aarch64_feature_detected!("bf16");
        (is_aarch64_feature_detected!("neon") && (dot || !DOT) && (matrix || !MATRIX)).then_some(Neon(()))
    }
}

#[target_feature(enable = "dotprod")]
fn with_dot<const DOT: bool, const MATRIX: bool, K: Vector>(simd: Neon<DOT, MATRIX>, kernel: K) {
    kernel.vector(simd);
}

#[target_feature(enable = "dotprod,i8mm,bf16")]
fn with_matrix<const DOT: bool, const MATRIX: bool, K: Vector>(simd: Neon<DOT, MATRIX>, kernel: K) {
    kernel.vector(simd);
}

/// Wraps intrinsics that only use registers.
macro_rules! registers {
    ($($e:tt)*) => {
        // SAFETY: `self` proves that the CPU has the instruction set, and only registers are used.
        unsafe { $($e)* }
    };
}

impl<const DOT: bool, const MATRIX: bool> Neon<DOT, MATRIX> {
    /// The bits of bf16, rounded to nearest even, in the low half of each word. The quiet bit of a NaN is set before
    /// the lower half is cut off, so that it stays a NaN.
    #[inline(always)]
    fn bf16_bits(self, a: float32x4_t) -> uint32x4_t {
        registers!({
            let bits = vreinterpretq_u32_f32(a);
            let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
            let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
            let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
            let number = vceqq_f32(a, a);
            vshrq_n_u32::<16>(vbslq_u32(number, rounded, quiet))
        })
    }
}

impl<const DOT: bool, const MATRIX: bool> Simd for Neon<DOT, MATRIX> {
    const LANES: usize = 4;
    const TILE_ROWS: usize = tile::ROWS_MAX;
    const ADDED: u8 = 0;
    const BF16_WORDS: usize = if MATRIX { 1 } else { 2 };
    type F = float32x4_t;
    type I = uint32x4_t;

    #[inline(always)]
    fn call<K: Vector>(self, kernel: K) {
        // SAFETY: `self` proves that the CPU has the extensions.
        unsafe {
            match (DOT, MATRIX) {
                (_, true) => with_matrix(self, kernel),
                (true, false) => with_dot(self, kernel),
                // NEON is part of the target, so nothing has to be enabled.
                (false, false) => kernel.vector(self),
            }
        }
    }
    #[inline(always)]
    unsafe fn tile<D: Dot, const ROWS: usize>(self, operands: Operands) {
        // SAFETY: the caller's promise; `self` proves that the CPU has the extensions.
        unsafe {
            match D::PRECISION {
                Precision::F32 => tile::rows::<tile::F32, ROWS>(operands),
                Precision::Bf16 if MATRIX => tile::pairs::<ROWS>(operands, |sum, a, b| asm::bfmmla(sum, a, b)),
                Precision::Bf16 => tile::rows::<tile::Bf16, ROWS>(operands),
                Precision::Int8 if MATRIX => tile::pairs::<ROWS>(operands, |sum, a, b| asm::smmla(sum, a, b)),
                Precision::Int8 if DOT => tile::rows::<tile::Bytes, ROWS>(operands),
                Precision::Int8 => tile::rows::<tile::WidenedBytes, ROWS>(operands),
            }
        }
    }
    #[inline(always)]
    unsafe fn arrange(self, precision: Precision, at: *mut u8) {
        if MATRIX && precision != Precision::F32 {
            // SAFETY: the caller's promise.
            unsafe { tile::arrange_pairs(at) };
        }
    }
    fn resize_horizontally(self, rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
        resize::horizontal(rows, axis, out);
    }
    fn resize_vertically(self, rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
        resize::vertical(rows, axis, out);
    }
    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        registers!(vdupq_n_f32(x))
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        registers!(vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        registers!(vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        registers!(vmulq_f32(a, b))
    }
    #[inline(always)]
    fn reciprocal(self, a: float32x4_t) -> float32x4_t {
        registers!(vdivq_f32(vdupq_n_f32(1.0), a))
    }
    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        registers!(vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        registers!(vmaxq_f32(a, b))
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        registers!(vminq_f32(a, b))
    }
    #[inline(always)]
    fn abs(self, a: float32x4_t) -> float32x4_t {
        registers!(vabsq_f32(a))
    }
    #[inline(always)]
    fn round(self, a: float32x4_t) -> float32x4_t {
        registers!(vrndnq_f32(a))
    }
    #[inline(always)]
    fn scale(self, a: float32x4_t, n: float32x4_t) -> float32x4_t {
        // The exponent field of 2^-127 is 0, as that of 0 is.
        registers!({
            let exponent = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
            vmulq_f32(a, vreinterpretq_f32_s32(vshlq_n_s32::<23>(exponent)))
        })
    }
    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        registers!(vaddvq_f32(a))
    }
    #[inline(always)]
    fn largest(self, a: float32x4_t) -> f32 {
        registers!(vmaxvq_f32(a))
    }
    #[inline(always)]
    fn splat_word(self, word: u32) -> uint32x4_t {
        registers!(vdupq_n_u32(word))
    }
    #[inline(always)]
    fn xor(self, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        registers!(veorq_u32(a, b))
    }
    #[inline(always)]
    fn add_words(self, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        registers!(vaddq_u32(a, b))
    }
    #[inline(always)]
    fn as_f32(self, words: uint32x4_t) -> float32x4_t {
        registers!(vreinterpretq_f32_u32(words))
    }
    #[inline(always)]
    fn as_words(self, a: float32x4_t) -> uint32x4_t {
        registers!(vreinterpretq_u32_f32(a))
    }
    #[inline(always)]
    fn to_f32(self, words: uint32x4_t) -> float32x4_t {
        registers!(vcvtq_f32_s32(vreinterpretq_s32_u32(words)))
    }
    #[inline(always)]
    fn pair_bf16(self, low: float32x4_t, high: float32x4_t) -> uint32x4_t {
        registers!(match MATRIX {
            true => vreinterpretq_u32_u16(vzip1q_u16(asm::bfcvtn(low), asm::bfcvtn(high))),
            false => vorrq_u32(self.bf16_bits(low), vshlq_n_u32::<16>(self.bf16_bits(high))),
        })
    }
    fn dot_bf16(self, _: float32x4_t, _: uint32x4_t, _: uint32x4_t) -> float32x4_t {
        unreachable!("`tile` multiplies");
    }
    fn dot_bytes(self, _: uint32x4_t, _: uint32x4_t, _: uint32x4_t) -> uint32x4_t {
        unreachable!("`tile` multiplies");
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const half::f16) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { asm::fcvtl(vld1_u16(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, a: float32x4_t) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_f32(to, a) }
    }
    #[inline(always)]
    unsafe fn load_words(self, from: *const u8) -> uint32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vreinterpretq_u32_u8(vld1q_u8(from)) }
    }
    #[inline(always)]
    unsafe fn store_words(self, to: *mut u8, words: uint32x4_t) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_u8(to, vreinterpretq_u8_u32(words)) }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u8, a: float32x4_t) {
        // SAFETY: the caller promises four times two bytes.
        unsafe {
            let bits = match MATRIX {
                true => vget_low_u16(asm::bfcvtn(a)),
                false => vmovn_u32(self.bf16_bits(a)),
            };
            vst1_u8(to, vreinterpret_u8_u16(bits));
        }
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut u8, a: float32x4_t) {
        // SAFETY: the caller promises four bytes.
        unsafe {
            let integers = vqmovn_s32(vmaxq_s32(vcvtnq_s32_f32(a), vdupq_n_s32(-127)));
            let bytes = vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(integers, integers)));
            to.cast::<u32>().write_unaligned(vget_lane_u32::<0>(bytes));
        }
    }
    #[inline(always)]
    fn prefetch(self, _: *const u8) {
        // A stable intrinsic is missing; the hardware prefetcher has to suffice.
    }
    #[inline(always)]
    fn prefetch_far(self, _: *const u8) {}
    #[inline(always)]
    unsafe fn transpose(self, from: *const u8, from_stride: usize, to: *mut u8, to_stride: usize) {
        // SAFETY: the caller promises four rows of four words, a stride apart, on both sides.
        unsafe {
            let row = |r: usize| self.load_words(from.add(r * from_stride));
            let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3));
            let (even_01, odd_01) = (vtrn1q_u32(r0, r1), vtrn2q_u32(r0, r1));
            let (even_23, odd_23) = (vtrn1q_u32(r2, r3), vtrn2q_u32(r2, r3));
            let [even_01, even_23] = [even_01, even_23].map(|w| vreinterpretq_u64_u32(w));
            let [odd_01, odd_23] = [odd_01, odd_23].map(|w| vreinterpretq_u64_u32(w));
            let columns = [
                vtrn1q_u64(even_01, even_23),
                vtrn1q_u64(odd_01, odd_23),
                vtrn2q_u64(even_01, even_23),
                vtrn2q_u64(odd_01, odd_23),
            ];
            for (c, column) in columns.into_iter().enumerate() {
                self.store_words(to.add(c * to_stride), vreinterpretq_u32_u64(column));
            }
        }
    }
}
