//! The register tile: a few rows of activations times 32 outputs, over the whole depth.
//!
//! Linear layers use it, and attention for scores and weighted values. Each output is one chain of products in the
//! order of the depth, whatever the height of the tile, so the result of a row does not depend on its neighbours.
//! Weights are in panels of 32 outputs, `[step][32 outputs][word]`; a step is one word of depth.

use super::{Simd, Vector};
use crate::kernels::buffer::LINE;
use crate::kernels::precision::Precision;

/// Outputs per panel: two AVX-512 registers or four AVX2 registers. A tile that is two registers wide and 14 rows high
/// loads 16 words for 28 products, so neither loads nor the products' latency of 4 cycles limit it.
pub(crate) const PANEL: usize = 32;
/// Bytes per step of a panel.
pub(crate) const STEP: usize = PANEL * 4;
/// Steps per cache line of activations.
pub(crate) const LINE_STEPS: usize = LINE / 4;
/// The height of the tallest tile of any instruction set.
pub(crate) const TILE_ROWS_MAX: usize = 14;

/// How words of activations are multiplied with a word of weights.
pub(crate) trait Dot: Copy {
    /// The number type of the weights.
    const PRECISION: Precision;
    /// The words of activations that are multiplied with a word of weights.
    #[inline(always)]
    fn a_words<S: Simd>() -> usize {
        1
    }
    /// The weights at `from` of two registers of outputs, for word `i` of their activations.
    ///
    /// # Safety
    /// `2 * LANES` words of a panel are readable at `from`.
    #[inline(always)]
    unsafe fn weights<S: Simd>(s: S, from: *const u8, _: usize) -> [S::I; 2] {
        // SAFETY: the caller's promise.
        unsafe { [s.load_words(from), s.load_words(from.add(S::LANES * 4))] }
    }
    /// The sums, words of f32 or i32, plus the products of `a` and `b`.
    fn step<S: Simd>(s: S, sums: S::I, a: S::I, b: S::I) -> S::I;
}

/// f32 times f32, one product per step.
#[derive(Clone, Copy)]
pub(crate) struct DotF32;
/// bf16 weights times bf16 or f32 activations (see [`Simd::BF16_WORDS`]), summed in f32.
#[derive(Clone, Copy)]
pub(crate) struct DotBf16;
/// Four bytes of activations times four signed bytes of weights, summed in i32.
#[derive(Clone, Copy)]
pub(crate) struct DotInt8;

impl Dot for DotF32 {
    const PRECISION: Precision = Precision::F32;
    #[inline(always)]
    fn step<S: Simd>(s: S, sums: S::I, a: S::I, b: S::I) -> S::I {
        s.as_words(s.dot_f32(s.as_f32(sums), a, b))
    }
}

impl Dot for DotBf16 {
    const PRECISION: Precision = Precision::Bf16;
    #[inline(always)]
    fn a_words<S: Simd>() -> usize {
        S::BF16_WORDS
    }
    #[inline(always)]
    unsafe fn weights<S: Simd>(s: S, from: *const u8, i: usize) -> [S::I; 2] {
        // SAFETY: the caller's promise.
        unsafe { s.load_bf16(from, i) }
    }
    #[inline(always)]
    fn step<S: Simd>(s: S, sums: S::I, a: S::I, b: S::I) -> S::I {
        s.as_words(s.dot_bf16(s.as_f32(sums), a, b))
    }
}

impl Dot for DotInt8 {
    const PRECISION: Precision = Precision::Int8;
    #[inline(always)]
    fn step<S: Simd>(s: S, sums: S::I, a: S::I, b: S::I) -> S::I {
        s.dot_bytes(sums, a, b)
    }
}

/// The operands of a tile, and where its sums go.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    /// `[line][row][64 bytes]`, `rows` rows.
    pub(crate) a: *const u8,
    pub(crate) rows: usize,
    /// One panel, `[step][32][word]`; each step has [`Dot::a_words`] words of `a`.
    pub(crate) b: *const u8,
    /// The number of cache lines of activations along the depth.
    pub(crate) lines: usize,
    /// Whether `to` has the sums of the depth before this, see [`Simd::DEPTH_LINES`].
    pub(crate) continues: bool,
    /// The destination: 32 words per row, rows `to_stride` bytes apart.
    pub(crate) to: *mut u8,
    pub(crate) to_stride: usize,
    pub(crate) prefetch: Prefetch,
}

/// Cache lines to prefetch during a tile because they will be needed soon.
#[derive(Clone, Copy)]
pub(crate) struct Prefetch {
    /// The address of the first line; it need not be valid.
    pub(crate) from: *const u8,
    /// How many lines to prefetch per line of depth.
    pub(crate) per_line: usize,
}

impl Prefetch {
    /// Nothing to prefetch.
    pub(crate) const NOTHING: Prefetch = Prefetch {
        from: std::ptr::null(),
        per_line: 0,
    };
}

/// Computes one tile of up to [`Simd::TILE_ROWS`] rows and 32 outputs.
///
/// # Safety
/// The pointers of `operands` are valid for `lines`, `rows` and 32 words per row, as their comments say.
#[inline(always)]
pub(crate) unsafe fn tile<S: Simd, D: Dot>(s: S, dot: D, operands: Operands) {
    macro_rules! by_height {
        ($($rows:literal)*) => {
            match operands.rows {
                $($rows if $rows <= S::TILE_ROWS => s.call(Tile::<D, $rows> { dot, operands }),)*
                rows => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    by_height!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

struct Tile<D, const ROWS: usize> {
    dot: D,
    operands: Operands,
}

impl<D: Dot, const ROWS: usize> Vector for Tile<D, ROWS> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        let _ = self.dot;
        if ROWS > S::TILE_ROWS {
            return; // never called; avoids compiling tiles that don't fit the registers
        }
        // SAFETY: the promise of the function `tile`.
        unsafe { s.tile::<D, ROWS>(self.operands) };
    }
}

/// [`Simd::tile`], one word of each row after another.
///
/// # Safety
/// As for [`Simd::tile`].
#[inline(always)]
pub(crate) unsafe fn word_tile<S: Simd, D: Dot, const ROWS: usize>(s: S, operands: Operands) {
    let wide = 2 * S::LANES * 4;
    for part in (0..STEP).step_by(wide) {
        let mut a = operands.a;
        let mut b = operands.b.wrapping_add(part);
        let mut sums = [[s.splat_word(0); 2]; ROWS];
        if operands.continues {
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise: 32 words are readable in each row.
                unsafe {
                    let from = operands.to.add(row * operands.to_stride + part);
                    *sums = [s.load_words(from), s.load_words(from.add(S::LANES * 4))];
                }
            }
        }
        // Only one pass over the depth prefetches; AVX2 makes two.
        let Prefetch {
            from: mut next_line,
            per_line,
        } = if part == 0 {
            operands.prefetch
        } else {
            Prefetch::NOTHING
        };
        for _ in 0..operands.lines {
            for _ in 0..per_line {
                s.prefetch_far(next_line);
                next_line = next_line.wrapping_add(LINE);
            }
            let (words, steps) = (D::a_words::<S>(), LINE_STEPS / D::a_words::<S>());
            for step in 0..steps {
                // SAFETY: the caller's promise: this line of `a` has `ROWS` times 64 bytes, this step of `b` has 128.
                unsafe {
                    let b = b.add(step * STEP);
                    for i in 0..words {
                        let weights = D::weights(s, b, i);
                        let a = a.add((step * words + i) * 4);
                        for (row, sums) in sums.iter_mut().enumerate() {
                            let word = s.splat_word(a.add(row * LINE).cast::<u32>().read_unaligned());
                            sums[0] = D::step(s, sums[0], word, weights[0]);
                            sums[1] = D::step(s, sums[1], word, weights[1]);
                        }
                    }
                }
            }
            a = a.wrapping_add(ROWS * LINE);
            b = b.wrapping_add(steps * STEP);
        }
        for (row, sums) in sums.iter().enumerate() {
            // SAFETY: the caller's promise: 32 words are writable in each row.
            unsafe {
                let to = operands.to.add(row * operands.to_stride + part);
                s.store_words(to, sums[0]);
                s.store_words(to.add(S::LANES * 4), sums[1]);
            }
        }
    }
}
