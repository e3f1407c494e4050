//! AVX2 with FMA and F16C, which x86-64 CPUs of the last ten years have. Eight lanes, 16 registers; bf16 and bytes are
//! computed with shifts.

use super::super::resize::avx2 as resize;
use super::super::resize::axis::{Axis, PixelRows};
use super::{Simd, Vector};
use std::arch::x86_64::*;

/// Proof that this CPU has AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Checks the CPU.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c"))
            .then_some(Avx2(()))
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn with_features<K: Vector>(simd: Avx2, kernel: K) {
    kernel.vector(simd);
}

/// Wraps intrinsics that only use registers.
macro_rules! registers {
    ($($e:tt)*) => {
        // SAFETY: `self` proves that the CPU has the instruction set, and only registers are used.
        unsafe { $($e)* }
    };
}

impl Avx2 {
    /// The bits of bf16, rounded to nearest even, in the low half of each word. The quiet bit of a NaN is set before
    /// the lower half is cut off, so that it stays a NaN.
    #[inline(always)]
    fn bf16_bits(self, a: __m256) -> __m256i {
        registers!({
            let bits = _mm256_castps_si256(a);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(a, a));
            _mm256_srli_epi32::<16>(_mm256_blendv_epi8(rounded, quiet, nan))
        })
    }
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    // 6 × 2 sums, 2 registers of weights and 1 of activations: 15 of 16 registers.
    const TILE_ROWS: usize = 6;
    type F = __m256;
    type I = __m256i;

    #[inline(always)]
    fn call<K: Vector>(self, kernel: K) {
        // SAFETY: `self` proves that the CPU has the instruction set.
        unsafe { with_features(self, kernel) }
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
    fn splat(self, x: f32) -> __m256 {
        registers!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        registers!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        registers!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        registers!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn reciprocal(self, a: __m256) -> __m256 {
        registers!(_mm256_div_ps(_mm256_set1_ps(1.0), a))
    }
    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        registers!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        registers!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        registers!(_mm256_min_ps(a, b))
    }
    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        registers!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), a))
    }
    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        registers!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a))
    }
    #[inline(always)]
    fn scale(self, a: __m256, n: __m256) -> __m256 {
        // In two factors, so that each power is a normal number while the product may still overflow or underflow.
        registers!({
            let n = _mm256_cvtps_epi32(n);
            let half = _mm256_srai_epi32::<1>(n);
            let rest = _mm256_sub_epi32(n, half);
            let bias = _mm256_set1_epi32(127);
            let power = |n| _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(n, bias)));
            _mm256_mul_ps(_mm256_mul_ps(a, power(half)), power(rest))
        })
    }
    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        registers!({
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        })
    }
    #[inline(always)]
    fn largest(self, a: __m256) -> f32 {
        registers!({
            let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)))
        })
    }
    #[inline(always)]
    fn splat_word(self, word: u32) -> __m256i {
        registers!(_mm256_set1_epi32(word.cast_signed()))
    }
    #[inline(always)]
    fn xor(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_xor_si256(a, b))
    }
    #[inline(always)]
    fn add_words(self, a: __m256i, b: __m256i) -> __m256i {
        registers!(_mm256_add_epi32(a, b))
    }
    #[inline(always)]
    fn as_f32(self, words: __m256i) -> __m256 {
        registers!(_mm256_castsi256_ps(words))
    }
    #[inline(always)]
    fn as_words(self, a: __m256) -> __m256i {
        registers!(_mm256_castps_si256(a))
    }
    #[inline(always)]
    fn to_f32(self, words: __m256i) -> __m256 {
        registers!(_mm256_cvtepi32_ps(words))
    }
    #[inline(always)]
    fn pair_bf16(self, low: __m256, high: __m256) -> __m256i {
        registers!(_mm256_or_si256(
            self.bf16_bits(low),
            _mm256_slli_epi32::<16>(self.bf16_bits(high))
        ))
    }
    #[inline(always)]
    fn dot_bf16(self, acc: __m256, a: __m256i, b: __m256i) -> __m256 {
        registers!({
            let high = |w| _mm256_castsi256_ps(_mm256_and_si256(w, _mm256_set1_epi32(0xffff_0000_u32.cast_signed())));
            let low = |w| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(w));
            _mm256_fmadd_ps(low(a), low(b), _mm256_fmadd_ps(high(a), high(b), acc))
        })
    }
    #[inline(always)]
    fn dot_u8i8(self, acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        // `maddubs` would saturate. Here even and odd bytes are multiplied as 16-bit numbers, and pairs are added in
        // i32.
        registers!({
            let a_even = _mm256_and_si256(a, _mm256_set1_epi16(0xff));
            let a_odd = _mm256_srli_epi16::<8>(a);
            let b_even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(b));
            let b_odd = _mm256_srai_epi16::<8>(b);
            let pairs = _mm256_add_epi32(_mm256_madd_epi16(a_even, b_even), _mm256_madd_epi16(a_odd, b_odd));
            _mm256_add_epi32(acc, pairs)
        })
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_f16(self, from: *const half::f16) -> __m256 {
        // SAFETY: the caller's promise.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, a: __m256) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(to, a) }
    }
    #[inline(always)]
    unsafe fn load_words(self, from: *const u8) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_words(self, to: *mut u8, words: __m256i) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_si256(to.cast(), words) }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, to: *mut u8, a: __m256) {
        // SAFETY: the caller promises eight times two bytes.
        unsafe {
            let bits = self.bf16_bits(a);
            let packed = _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256::<1>(bits));
            _mm_storeu_si128(to.cast(), packed);
        }
    }
    #[inline(always)]
    unsafe fn store_i8(self, to: *mut u8, a: __m256) {
        // SAFETY: the caller promises eight bytes.
        unsafe {
            let integers = _mm256_max_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(-127));
            let halves = _mm_packs_epi32(
                _mm256_castsi256_si128(integers),
                _mm256_extracti128_si256::<1>(integers),
            );
            _mm_storel_epi64(to.cast(), _mm_packs_epi16(halves, halves));
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
        for r in 0..8 {
            for c in 0..8 {
                // SAFETY: the caller promises eight rows of eight words, a stride apart, on both sides.
                unsafe {
                    let word = from.add(r * from_stride + c * 4).cast::<u32>().read_unaligned();
                    to.add(c * to_stride + r * 4).cast::<u32>().write_unaligned(word);
                }
            }
        }
    }
}
