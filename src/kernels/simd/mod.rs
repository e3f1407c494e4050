//! The vector registers of an instruction set: one file per instruction set, behind one trait.
//!
//! A value of `Neon`, `Avx2` or `Avx512` comes only from `detect`, so having one proves that this CPU runs its
//! instructions. This is why arithmetic here is safe, and only loads and stores are unsafe. Kernels are written once
//! over [`Simd`]. Every function they call is `#[inline(always)]`, so that it is compiled inside [`Simd::call`] with
//! the instruction set enabled.
//!
//! A *word* is 4 bytes along the depth of a dot product: one f32, two bf16 or four 8-bit integers.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_bytes;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod math;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_asm;
#[cfg(target_arch = "aarch64")]
mod neon_tile;
pub(crate) mod tile;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub(crate) use {avx2::Avx2, avx512::Avx512};

/// NEON with products of bytes.
#[cfg(target_arch = "aarch64")]
pub(crate) type NeonDot = Neon<true, false>;

/// NEON with products of matrices of bytes and of bf16.
#[cfg(target_arch = "aarch64")]
pub(crate) type NeonMatrix = Neon<true, true>;

/// AVX-512 with BF16.
#[cfg(target_arch = "x86_64")]
pub(crate) type Avx512Bf16 = Avx512<true>;

/// AVX2 with AVX-VNNI.
#[cfg(target_arch = "x86_64")]
pub(crate) type AvxVnni = Avx2<true>;

use self::tile::{Dot, Operands, word_tile};
use super::precision::Precision;
use super::resize::axis::{Axis, PixelRows};

/// A computation written once for all instruction sets.
pub(crate) trait Vector {
    /// Implementations must be `#[inline(always)]`.
    fn vector<S: Simd>(self, simd: S);
}

/// A computation that also has a plain version. That one is the oracle: the shortest correct code, compiled everywhere.
pub(crate) trait Kernel: Vector {
    /// Runs the plain version.
    fn plain(self);
}

/// The operations of one instruction set.
pub(crate) trait Simd: Copy + Send + Sync {
    /// The number of f32 values in a register.
    const LANES: usize;
    /// The height of a register tile, which is two registers wide. Its sums, two registers of weights and one of
    /// activations fill the registers.
    const TILE_ROWS: usize;
    /// What is added to the signed bytes of activations: 128 if products take unsigned ones, otherwise 0.
    const ADDED: u8 = 128;
    /// The words of activations that are multiplied with a word of bf16 weights: one of two bf16, or, if the instruction
    /// set has no product of those, two of f32. Then only weights are widened, once for all rows of a tile.
    const BF16_WORDS: usize = 2;
    /// The most cache lines of activations along the depth that a tile takes at once; a deep layer is multiplied part by
    /// part. [`Simd::tile`] has to heed [`Operands::continues`] if there is a limit.
    const DEPTH_LINES: usize = usize::MAX;
    /// `LANES` f32.
    type F: Copy;
    /// `LANES` words.
    type I: Copy;

    /// Runs `kernel` in a function for which this instruction set is enabled.
    fn call<K: Vector>(self, kernel: K);

    /// Computes a tile of `ROWS` rows and 32 outputs. Override it if the instruction set multiplies more than a word of
    /// a row at once; then [`Simd::arrange`] can prepare the weights.
    ///
    /// # Safety
    /// The pointers of `operands` are valid for `lines`, `ROWS` rows and 32 words per row, as their comments say.
    #[inline(always)]
    unsafe fn tile<D: Dot, const ROWS: usize>(self, operands: Operands) {
        // SAFETY: the caller's promise.
        unsafe { word_tile::<Self, D, ROWS>(self, operands) };
    }
    /// Arranges two steps of a panel of weights as [`Simd::tile`] and [`Simd::load_bf16`] want them.
    ///
    /// # Safety
    /// 64 words are readable and writable at `at`.
    #[inline(always)]
    unsafe fn arrange(self, _: Precision, _: *mut u8) {}

    /// The least scale of a row of weights as signed bytes with which no sum of products overflows.
    #[inline(always)]
    fn least_weight_scale(self, _: &[f32]) -> f32 {
        0.0
    }

    /// The horizontal pass of a resize of bytes, see [`crate::kernels::resize::horizontal`].
    fn resize_horizontally(self, rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]);
    /// The vertical pass of a resize of bytes, see [`crate::kernels::resize::vertical`].
    fn resize_vertically(self, rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]);

    fn splat(self, x: f32) -> Self::F;
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// 1 / a, accurate to 1 unit in the last place, for `a` in 2^-126..=2^127.
    fn reciprocal(self, a: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The larger value; `b` or NaN if either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// The smaller value; `b` or NaN if either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn abs(self, a: Self::F) -> Self::F;
    /// Rounds to the nearest integer, ties to even.
    fn round(self, a: Self::F) -> Self::F;
    /// `a * 2^n` for an integral `n` in -126..=127, and 0 for -127. Numbers too small to be normal would take more than 100
    /// cycles each, and softmax has many: its padding is 2^-∞.
    fn scale(self, a: Self::F, n: Self::F) -> Self::F;
    /// The sum of all lanes, in a fixed order.
    fn sum(self, a: Self::F) -> f32;
    /// The largest lane.
    fn largest(self, a: Self::F) -> f32;

    fn splat_word(self, word: u32) -> Self::I;
    fn xor(self, a: Self::I, b: Self::I) -> Self::I;
    /// The sum of signed words, wrapping.
    fn add_words(self, a: Self::I, b: Self::I) -> Self::I;
    /// Reinterprets words as f32.
    fn as_f32(self, words: Self::I) -> Self::F;
    /// Reinterprets f32 as words.
    fn as_words(self, a: Self::F) -> Self::I;
    /// Converts each word, a signed integer, to the nearest f32.
    fn to_f32(self, words: Self::I) -> Self::F;
    /// For each lane, a word of two bf16 values, rounded to nearest even; `low` comes first in memory.
    fn pair_bf16(self, low: Self::F, high: Self::F) -> Self::I;

    /// `acc + a * b` of f32 words.
    #[inline(always)]
    fn dot_f32(self, acc: Self::F, a: Self::I, b: Self::I) -> Self::F {
        self.mul_add(self.as_f32(a), self.as_f32(b), acc)
    }
    /// `acc` plus the products of a word of activations and a word of weights from [`Simd::load_bf16`], in f32.
    fn dot_bf16(self, acc: Self::F, a: Self::I, b: Self::I) -> Self::F;
    /// `acc + a0 * b0 + … + a3 * b3` for bytes of activations `a`, which have [`Simd::ADDED`], and signed bytes `b`, exact in
    /// i32. Without it, `a` is in -127..=127. Not called if [`Simd::tile`] is overridden for bytes.
    fn dot_bytes(self, acc: Self::I, a: Self::I, b: Self::I) -> Self::I;

    /// # Safety
    /// `LANES` f32 are readable at `from`, at any alignment.
    unsafe fn load(self, from: *const f32) -> Self::F;
    /// # Safety
    /// `LANES` f16 are readable at `from`, at any alignment.
    unsafe fn load_f16(self, from: *const half::f16) -> Self::F;
    /// # Safety
    /// `LANES` f32 are writable at `to`, at any alignment.
    unsafe fn store(self, to: *mut f32, a: Self::F);
    /// # Safety
    /// `LANES` words are readable at `from`, at any alignment.
    unsafe fn load_words(self, from: *const u8) -> Self::I;
    /// # Safety
    /// `LANES` words are writable at `to`, at any alignment.
    unsafe fn store_words(self, to: *mut u8, words: Self::I);
    /// The bf16 weights of `2 * LANES` outputs for word `i` of the activations: see [`Simd::BF16_WORDS`].
    ///
    /// # Safety
    /// `2 * LANES` words from [`Simd::arrange`] are readable at `from`.
    #[inline(always)]
    unsafe fn load_bf16(self, from: *const u8, _: usize) -> [Self::I; 2] {
        // SAFETY: the caller's promise.
        unsafe { [self.load_words(from), self.load_words(from.add(Self::LANES * 4))] }
    }
    /// Rounds to bf16, to nearest even.
    ///
    /// # Safety
    /// `2 * LANES` bytes are writable at `to`.
    unsafe fn store_bf16(self, to: *mut u8, a: Self::F);
    /// Rounds to signed bytes, to nearest even, clamped to -127..=127. NaN gives an arbitrary value.
    ///
    /// # Safety
    /// `LANES` bytes are writable at `to`.
    unsafe fn store_i8(self, to: *mut u8, a: Self::F);
    /// Prefetches the cache line at `at`, which may be any address.
    fn prefetch(self, at: *const u8);
    /// Prefetches into the second-level cache or further away.
    fn prefetch_far(self, at: *const u8);
    /// Transposes a `LANES × LANES` block of words; strides are in bytes.
    ///
    /// # Safety
    /// `LANES` rows of `LANES` words are readable from `from` and writable at `to`, each a stride apart.
    unsafe fn transpose(self, from: *const u8, from_stride: usize, to: *mut u8, to_stride: usize);
}
