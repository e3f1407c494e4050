//! AVX-512 with VNNI (Intel since Ice Lake and Cascade Lake), and with BF16 too (Zen 4 and later, Sapphire Rapids and
//! later), which multiplies pairs of bf16 in one instruction. Sixteen lanes, 32 registers; without BF16, weights of bf16
//! are widened.

use super::super::precision::Precision;
use super::super::resize::avx512 as resize;
use super::super::resize::axis::{Axis, PixelRows};
use super::tile::STEP;
use super::{Simd, Vector};
use std::arch::x86_64::*;

/// Proof that this CPU has AVX-512 F, BW, DQ, VL and VNNI, and BF16 if `BF16`.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<const BF16: bool>(());

impl<const BF16: bool> Avx512<BF16> {
    /// Checks the CPU.
    pub(crate) fn detect() -> Option<Self> {
        let vnni = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        (vnni && (!BF16 || is_x86_feature_detected!("avx512bf16"))).then_some(Avx512(()))
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn with_vnni<const BF16: bool, K: Vector>(simd: Avx512<BF16>, kernel: K) {
    kernel.vector(simd);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16")]
fn with_bf16<const BF16: bool, K: Vector>(simd: Avx512<BF16>, kernel: K) {
    kernel.vector(simd);
}

/// Wraps intrinsics that only use registers.
macro_rules! registers {
    ($($e:tt)*) => {
        // SAFETY: `self` proves that the CPU has the instruction set, and only registers are used.
        unsafe { $($e)* }
    };
}

impl<const BF16: bool> Avx512<BF16> {
    /// The bits of bf16, rounded to nearest even, in the low half of each word. The quiet bit of a NaN is set before
    /// the lower half is cut off, so that it stays a NaN.
    #[inline(always)]
    fn bf16_bits(self, a: __m512) -> __m512i {
        registers!({
            let bits = _mm512_castps_si512(a);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
            _mm512_srli_epi32::<16>(_mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x0040_0000)))
        })
    }

    /// 16 values in bf16.
    #[inline(always)]
    fn narrow(self, a: __m512) -> __m256i {
        if BF16 {
            return registers!(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(a)));
        }
        registers!(_mm512_cvtepi32_epi16(self.bf16_bits(a)))
    }
}

impl<const BF16: bool> Simd for Avx512<BF16> {
    const LANES: usize = 16;
    // 14 × 2 sums, 2 registers of weights and 1 of activations: 31 of 32 registers.
    const TILE_ROWS: usize = 14;
    const BF16_WORDS: usize = if BF16 { 1 } else { 2 };
    type F = __m512;
    type I = __m512i;

    #[inline(always)]
    fn call<K: Vector>(self, kernel: K) {
        // SAFETY: `self` proves that the CPU has the instruction set.
        unsafe {
            match BF16 {
                true => with_bf16(self, kernel),
                false => with_vnni(self, kernel),
            }
        }
    }
    fn resize_horizontally(self, rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
        // SAFETY: `self` proves that the CPU has the instruction set.
        unsafe { resize::horizontal(rows, axis, out) }
    }
    fn resize_vertically(self, rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
        // SAFETY: `self` proves that the CPU has the instruction set.
        unsafe { resize::vertical(rows, axis, out) }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        registers!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        registers!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        registers!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        registers!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn reciprocal(self, a: __m512) -> __m512 {
        // A 14-bit approximation and one step of Newton's method take a third of the time of a division.
        registers!({
            let guess = _mm512_rcp14_ps(a);
            let error = _mm512_fnmadd_ps(a, guess, _mm512_set1_ps(1.0));
            _mm512_fmadd_ps(guess, error, guess)
        })
    }
    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        registers!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        registers!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        registers!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        registers!(_mm512_abs_ps(a))
    }
    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        registers!(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn scale(self, a: __m512, n: __m512) -> __m512 {
        registers!({
            let normal = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(n, _mm512_set1_ps(-127.0));
            _mm512_maskz_scalef_ps(normal, a, n)
        })
    }
    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        registers!(_mm512_reduce_add_ps(a))
    }
    #[inline(always)]
    fn largest(self, a: __m512) -> f32 {
        registers!(_mm512_reduce_max_ps(a))
    }
    #[inline(always)]
    fn splat_word(self, word: u32) -> __m512i {
        registers!(_mm512_set1_epi32(word.cast_signed()))
    }
    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_xor_si512(a, b))
    }
    #[inline(always)]
    fn add_words(self, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn as_f32(self, words: __m512i) -> __m512 {
        registers!(_mm512_castsi512_ps(words))
    }
    #[inline(always)]
    fn as_words(self, a: __m512) -> __m512i {
        registers!(_mm512_castps_si512(a))
    }
    #[inline(always)]
    fn to_f32(self, words: __m512i) -> __m512 {
        registers!(_mm512_cvtepi32_ps(words))
    }
    #[inline(always)]
    fn pair_bf16(self, low: __m512, high: __m512) -> __m512i {
        registers!({
            let high = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(self.narrow(high)));
            _mm512_or_si512(_mm512_cvtepu16_epi32(self.narrow(low)), high)
        })
    }
    #[inline(always)]
    fn dot_bf16(self, acc: __m512, a: __m512i, b: __m512i) -> __m512 {
        if !BF16 {
            return self.dot_f32(acc, a, b);
        }
        registers!({
            let (a, b): (__m512bh, __m512bh) = (
                std::mem::transmute::<__m512i, __m512bh>(a),
                std::mem::transmute::<__m512i, __m512bh>(b),
            );
            _mm512_dpbf16_ps(acc, a, b)
        })
    }
    #[inline(always)]
    fn dot_bytes(self, acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        registers!(_mm512_dpbusd_epi32(acc, a, b))
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const half::f16) -> __m512 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, a: __m512) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to, a) }
    }
    #[inline(always)]
    unsafe fn load_words(self, from: *const u8) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_words(self, to: *mut u8, words: __m512i) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_si512(to.cast(), words) }
    }
    // As in `avx2.rs`: 32 weights for one word of activations and 32 for the next, widened by unpacking.
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u8, i: usize) -> [__m512i; 2] {
        // SAFETY: the caller promises 128 bytes.
        unsafe {
            if BF16 {
                return [self.load_words(from), self.load_words(from.add(64))];
            }
            let (zero, weights) = (_mm512_setzero_si512(), self.load_words(from.add(i * 64)));
            [
                _mm512_unpacklo_epi16(zero, weights),
                _mm512_unpackhi_epi16(zero, weights),
            ]
        }
    }
    #[inline(always)]
    unsafe fn arrange(self, precision: Precision, at: *mut u8) {
        if BF16 || precision != Precision::Bf16 {
            return;
        }
        for at in [at, at.wrapping_add(STEP)] {
            // SAFETY: the caller promises two steps.
            unsafe {
                let (a, b) = (self.load_words(at), self.load_words(at.add(64)));
                let low = _mm512_set1_epi32(0xffff);
                // Packing interleaves the two within 128 bits, as unpacking takes them apart.
                let even = _mm512_packus_epi32(_mm512_and_si512(a, low), _mm512_and_si512(b, low));
                let odd = _mm512_packus_epi32(_mm512_srli_epi32::<16>(a), _mm512_srli_epi32::<16>(b));
                self.store_words(at, even);
                self.store_words(at.add(64), odd);
            }
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u8, a: __m512) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_si256(to.cast(), self.narrow(a)) }
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut u8, a: __m512) {
        // SAFETY: the caller's promise.
        unsafe {
            let integers = _mm512_max_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(-127));
            _mm_storeu_si128(to.cast(), _mm512_cvtsepi32_epi8(integers));
        }
    }
    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        registers!(_mm_prefetch::<_MM_HINT_T0>(at.cast()))
    }
    #[inline(always)]
    fn prefetch_far(self, at: *const u8) {
        registers!(_mm_prefetch::<_MM_HINT_T1>(at.cast()))
    }
    #[inline(always)]
    unsafe fn transpose(self, from: *const u8, from_stride: usize, to: *mut u8, to_stride: usize) {
        // SAFETY: the caller promises sixteen rows of 64 bytes, a stride apart, on both sides.
        unsafe {
            let mut rows = [_mm512_setzero_si512(); 16];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_si512(from.add(r * from_stride).cast());
            }
            let columns = transpose_block(rows);
            for (c, column) in columns.iter().enumerate() {
                _mm512_storeu_si512(to.add(c * to_stride).cast(), *column);
            }
        }
    }
}

/// Transposes a 16 × 16 block of words: first words, then pairs within 128 bits, then the four 128-bit quarters.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_block(rows: [__m512i; 16]) -> [__m512i; 16] {
    let mut quads = rows;
    for i in 0..4 {
        let [r0, r1, r2, r3] = [rows[4 * i], rows[4 * i + 1], rows[4 * i + 2], rows[4 * i + 3]];
        let (low01, high01) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
        let (low23, high23) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
        quads[4 * i] = _mm512_unpacklo_epi64(low01, low23);
        quads[4 * i + 1] = _mm512_unpackhi_epi64(low01, low23);
        quads[4 * i + 2] = _mm512_unpacklo_epi64(high01, high23);
        quads[4 * i + 3] = _mm512_unpackhi_epi64(high01, high23);
    }
    // quads[4 i + j] has, in quarter q, column 4 q + j of rows 4 i .. 4 i + 4.
    let mut columns = rows;
    for j in 0..4 {
        let even01 = _mm512_shuffle_i32x4::<0b10_00_10_00>(quads[j], quads[4 + j]);
        let odd01 = _mm512_shuffle_i32x4::<0b11_01_11_01>(quads[j], quads[4 + j]);
        let even23 = _mm512_shuffle_i32x4::<0b10_00_10_00>(quads[8 + j], quads[12 + j]);
        let odd23 = _mm512_shuffle_i32x4::<0b11_01_11_01>(quads[8 + j], quads[12 + j]);
        columns[j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(even01, even23);
        columns[8 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(even01, even23);
        columns[4 + j] = _mm512_shuffle_i32x4::<0b10_00_10_00>(odd01, odd23);
        columns[12 + j] = _mm512_shuffle_i32x4::<0b11_01_11_01>(odd01, odd23);
    }
    columns
}
