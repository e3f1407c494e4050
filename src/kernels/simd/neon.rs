//! NEON, which every 64-bit ARM CPU has. Four lanes, 32 registers; bf16 weights and bytes are widened.

use super::{Simd, Vector};
use std::arch::aarch64::*;

/// Proof that this CPU has NEON.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// Checks the CPU.
    pub(crate) fn detect() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }
}

/// Wraps intrinsics that only use registers.
macro_rules! registers {
    ($($e:tt)*) => {
        // SAFETY: `self` proves that the CPU has the instruction set, and only registers are used.
        unsafe { $($e)* }
    };
}

impl Neon {
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

impl Simd for Neon {
    const LANES: usize = 4;
    // 12 × 2 sums, 2 registers of weights and 1 of activations. The others are needed to widen bf16 and bytes.
    const TILE_ROWS: usize = 12;
    const ADDED: u8 = 0;
    type F = float32x4_t;
    type I = uint32x4_t;

    #[inline(always)]
    fn call<K: Vector>(self, kernel: K) {
        // NEON is part of the target, so nothing has to be enabled.
        kernel.vector(self);
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
        registers!(vorrq_u32(self.bf16_bits(low), vshlq_n_u32::<16>(self.bf16_bits(high))))
    }
    #[inline(always)]
    fn dot_bf16(self, acc: float32x4_t, a: uint32x4_t, b: uint32x4_t) -> float32x4_t {
        self.dot_f32(acc, a, b)
    }
    #[inline(always)]
    fn dot_bytes(self, acc: uint32x4_t, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
        // Signed products of at most 127² fit 16 bits, and so do sums of two. Sums of four, a word's, are added to `acc`.
        registers!({
            let (a, b) = (vreinterpretq_s8_u32(a), vreinterpretq_s8_u32(b));
            let low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
            let pairs = vpaddq_s16(low, vmull_high_s8(a, b));
            vreinterpretq_u32_s32(vpadalq_s16(vreinterpretq_s32_u32(acc), pairs))
        })
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: the caller's promise.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const half::f16) -> float32x4_t {
        let mut values = [0.0_f32; 4];
        for (i, value) in values.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *value = unsafe { from.add(i).read_unaligned() }.to_f32();
        }
        // SAFETY: the array has four values.
        unsafe { vld1q_f32(values.as_ptr()) }
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
    unsafe fn load_bf16(self, from: *const u8, i: usize) -> [uint32x4_t; 2] {
        // SAFETY: the caller promises eight words.
        unsafe {
            [0, 16].map(|byte| {
                let words = self.load_words(from.add(byte));
                match i {
                    0 => vshlq_n_u32::<16>(words),
                    _ => vandq_u32(words, vdupq_n_u32(0xffff_0000)),
                }
            })
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u8, a: float32x4_t) {
        // SAFETY: the caller promises four times two bytes.
        unsafe { vst1_u8(to, vreinterpret_u8_u16(vmovn_u32(self.bf16_bits(a)))) }
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
