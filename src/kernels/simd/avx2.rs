//! AVX2 with FMA and F16C, which x86-64 CPUs of the last ten years have, alone and with AVX-VNNI (Intel since Alder Lake,
//! AMD since Zen 5), which multiplies bytes in one instruction. Eight lanes, 16 registers; bf16 weights are widened.

use super::super::precision::Precision;
use super::super::resize::avx2 as resize;
use super::super::resize::axis::{Axis, PixelRows};
use super::tile::{Dot, Operands, STEP, word_tile};
use super::{Simd, Vector, avx2_bytes as bytes};
use std::arch::x86_64::*;

/// Proof that this CPU has AVX2, FMA and F16C, and AVX-VNNI if `VNNI`.
#[derive(Clone, Copy)]
pub(crate) struct Avx2<const VNNI: bool>(());

impl<const VNNI: bool> Avx2<VNNI> {
    /// Checks the CPU.
    pub(crate) fn detect() -> Option<Self> {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        (avx2 && (!VNNI || is_x86_feature_detected!("avxvnni"))).then_some(Avx2(()))
    }
}

// Never inlined, so that a tile has all registers to itself: with many tiles in one function, the compiler spilled them, and
// bf16 took 25% longer.
#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn with_avx2<const VNNI: bool, K: Vector>(simd: Avx2<VNNI>, kernel: K) {
    kernel.vector(simd);
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
fn with_vnni<const VNNI: bool, K: Vector>(simd: Avx2<VNNI>, kernel: K) {
    kernel.vector(simd);
}

/// Wraps intrinsics that only use registers.
macro_rules! registers {
    ($($e:tt)*) => {
        // SAFETY: `self` proves that the CPU has the instruction set, and only registers are used.
        unsafe { $($e)* }
    };
}

impl<const VNNI: bool> Avx2<VNNI> {
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

impl<const VNNI: bool> Simd for Avx2<VNNI> {
    const LANES: usize = 8;
    // 6 × 2 sums, 2 registers of weights and 1 of activations: 15 of 16 registers.
    const TILE_ROWS: usize = 6;
    // Tiles are small, so panels and activations of a deep layer are read more often from the second-level cache, and they
    // have to fit it: this makes a layer from 3072 inputs 8% faster in f32 (Zen 4, `cargo bench --bench kernels`).
    const DEPTH_LINES: usize = 48;
    type F = __m256;
    type I = __m256i;

    #[inline(always)]
    fn call<K: Vector>(self, kernel: K) {
        // SAFETY: `self` proves that the CPU has the instruction set.
        unsafe {
            match VNNI {
                true => with_vnni(self, kernel),
                false => with_avx2(self, kernel),
            }
        }
    }
    #[inline(always)]
    unsafe fn tile<D: Dot, const ROWS: usize>(self, operands: Operands) {
        // SAFETY: the caller's promise; `self` proves that the CPU has the instruction set.
        unsafe {
            match D::PRECISION {
                Precision::Int8 if !VNNI => bytes::tile::<ROWS>(operands),
                _ => word_tile::<Self, D, ROWS>(self, operands),
            }
        }
    }
    #[inline(always)]
    fn least_weight_scale(self, row: &[f32]) -> f32 {
        match VNNI {
            true => 0.0,
            // Rounding can add a half to each of the four.
            false => registers!(bytes::largest_sum(row)) / f32::from(bytes::SUM_TOP - 2),
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
        // The exponent field of 2^-127 is 0, as that of 0 is.
        registers!({
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
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
        self.dot_f32(acc, a, b)
    }
    #[inline(always)]
    fn dot_bytes(self, acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        match VNNI {
            true => registers!(_mm256_dpbusd_avx_epi32(acc, a, b)),
            false => unreachable!("`tile` multiplies bytes"),
        }
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
    // 16 weights for one word of activations and 16 for the next. Unpacking with zeroes widens them within 128 bits. Shifts
    // would take a port that Intel's CPUs need for products, and made this 10% slower than f32 (`cargo bench --bench
    // kernels`).
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u8, i: usize) -> [__m256i; 2] {
        // SAFETY: the caller promises 64 bytes.
        unsafe {
            let (zero, weights) = (_mm256_setzero_si256(), _mm256_loadu_si256(from.add(i * 32).cast()));
            [
                _mm256_unpacklo_epi16(zero, weights),
                _mm256_unpackhi_epi16(zero, weights),
            ]
        }
    }
    #[inline(always)]
    unsafe fn arrange(self, precision: Precision, at: *mut u8) {
        if precision != Precision::Bf16 {
            return;
        }
        for at in (0..2 * STEP).step_by(64).map(|byte| at.wrapping_add(byte)) {
            // SAFETY: the caller promises two steps.
            unsafe {
                let (a, b) = (self.load_words(at), self.load_words(at.add(32)));
                let low = _mm256_set1_epi32(0xffff);
                // Packing interleaves the two within 128 bits, as unpacking takes them apart.
                let even = _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
                let odd = _mm256_packus_epi32(_mm256_srli_epi32::<16>(a), _mm256_srli_epi32::<16>(b));
                self.store_words(at, even);
                self.store_words(at.add(32), odd);
            }
        }
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
        // SAFETY: the caller promises eight rows of 32 bytes, a stride apart, on both sides.
        unsafe {
            let mut rows = [_mm256_setzero_si256(); 8];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = _mm256_loadu_si256(from.add(r * from_stride).cast());
            }
            for (c, column) in transpose_block(rows).into_iter().enumerate() {
                _mm256_storeu_si256(to.add(c * to_stride).cast(), column);
            }
        }
    }
}

/// Transposes an 8 × 8 block of words: first words, then pairs within 128 bits, then the two halves.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_block(rows: [__m256i; 8]) -> [__m256i; 8] {
    let mut quads = rows;
    for i in 0..2 {
        let [r0, r1, r2, r3] = [rows[4 * i], rows[4 * i + 1], rows[4 * i + 2], rows[4 * i + 3]];
        let (low01, high01) = (_mm256_unpacklo_epi32(r0, r1), _mm256_unpackhi_epi32(r0, r1));
        let (low23, high23) = (_mm256_unpacklo_epi32(r2, r3), _mm256_unpackhi_epi32(r2, r3));
        quads[4 * i] = _mm256_unpacklo_epi64(low01, low23);
        quads[4 * i + 1] = _mm256_unpackhi_epi64(low01, low23);
        quads[4 * i + 2] = _mm256_unpacklo_epi64(high01, high23);
        quads[4 * i + 3] = _mm256_unpackhi_epi64(high01, high23);
    }
    // quads[4 i + j] has, in half h, column 4 h + j of rows 4 i .. 4 i + 4.
    let mut columns = rows;
    for j in 0..4 {
        columns[j] = _mm256_permute2x128_si256::<0x20>(quads[j], quads[4 + j]);
        columns[4 + j] = _mm256_permute2x128_si256::<0x31>(quads[j], quads[4 + j]);
    }
    columns
}
