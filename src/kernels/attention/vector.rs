//! One head of one sequence with vectors: keys and values are packed once, then multiplied with tiles of queries.

use super::{AttentionJob, HeadRows, Sequence};
use crate::kernels::activations::{RowWriter, encode, store_float};
use crate::kernels::buffer::{Buffer, LINE};
use crate::kernels::precision::Precision;
use crate::kernels::simd::tile::{
    Dot, DotBf16, DotF32, LINE_STEPS, Operands, PANEL, Prefetch, STEP, TILE_ROWS_MAX, tile,
};
use crate::kernels::simd::{Simd, math};
use crate::kernels::threads::share;
use std::ops::Range;

/// How many rows ahead to prefetch: memory latency is about the time that eight rows take.
const ROWS_AHEAD: usize = 8;

/// The sizes of packed data for one head.
#[derive(Clone, Copy)]
struct PackedSizes {
    precision: Precision,
    dim: usize,
    n_keys: usize,
    /// Cache lines per query or key.
    dim_lines: usize,
    /// Cache lines per row of weights, with one weight per key.
    key_lines: usize,
    /// The number of panels of 32 keys.
    key_panels: usize,
    /// The number of panels of 32 value columns.
    dim_panels: usize,
}

impl PackedSizes {
    fn new(job: &AttentionJob<'_>, sequence: &Sequence) -> Self {
        let (dim, n_keys, values) = (job.heads.dim, sequence.n_keys(), job.precision.line_values());
        PackedSizes {
            precision: job.precision,
            dim,
            n_keys,
            dim_lines: dim.div_ceil(values),
            key_lines: n_keys.div_ceil(values),
            key_panels: n_keys.div_ceil(PANEL),
            dim_panels: dim.div_ceil(PANEL),
        }
    }

    /// Scores per row: whole panels of keys, and whole lines of weights.
    fn row_scores(&self) -> usize {
        (self.key_panels * PANEL).max(self.key_lines * self.precision.line_values())
    }
}

/// A worker's scratch memory, divided for one head. Each part starts on a cache line.
struct Scratch<'a> {
    /// `[panel of keys][step of the head dimension][32 keys]` words.
    keys: &'a mut [u8],
    /// `[panel of columns][step of keys][32 columns]` words.
    values: &'a mut [u8],
    /// 32 rows of keys, or a tile of queries, rounded: `[row or line][64 bytes]`.
    rows: &'a mut [u8],
    /// The weights of a tile, rounded: `[line][row][64 bytes]`.
    weights: &'a mut [u8],
    /// The scores of a tile: `[row][row_scores]`.
    scores: &'a mut [f32],
}

impl<'a> Scratch<'a> {
    fn new(sizes: &PackedSizes, scratch: &'a mut Buffer) -> Self {
        let lengths = [
            sizes.key_panels * sizes.dim_lines * LINE_STEPS * STEP,
            sizes.dim_panels * sizes.key_lines * LINE_STEPS * STEP,
            PANEL * sizes.dim_lines * LINE,
            TILE_ROWS_MAX * sizes.key_lines * LINE,
        ];
        let n_scores = TILE_ROWS_MAX * sizes.row_scores();
        let floats = scratch.words(lengths.iter().sum::<usize>() / 4 + n_scores);
        let (packed, scores) = floats.split_at_mut(floats.len() - n_scores);
        let mut packed = as_bytes(packed);
        let mut cut = |len: usize| packed.split_off_mut(..len).expect("the lengths above add up");
        let [keys, values, rows, weights] = lengths.map(&mut cut);
        Scratch {
            keys,
            values,
            rows,
            weights,
            scores,
        }
    }
}

fn as_bytes(floats: &mut [f32]) -> &mut [u8] {
    // SAFETY: an f32 is four bytes, and any bit pattern may be written to it.
    unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), floats.len() * 4) }
}

/// Writes all rows of `head`.
#[inline(always)]
pub(super) fn head<S: Simd>(s: S, job: &AttentionJob<'_>, sequence: &Sequence, head: usize, scratch: &mut Buffer) {
    let sizes = PackedSizes::new(job, sequence);
    let mut scratch = Scratch::new(&sizes, scratch);
    let of = Head {
        job,
        sequence,
        sizes,
        head,
    };
    of.pack_keys(s, &mut scratch);
    of.pack_values(s, scratch.values);
    let n = sequence.queries.len();
    let n_tiles = n.div_ceil(S::TILE_ROWS);
    for t in 0..n_tiles {
        let rows = share(n, n_tiles, t);
        match job.precision {
            Precision::F32 => of.tile(s, DotF32, rows, &mut scratch),
            Precision::Bf16 | Precision::Int8 => {
                assert_eq!(S::BF16_WORDS, 1, "attention has no activations next to bf16");
                of.tile(s, DotBf16, rows, &mut scratch);
            }
        }
    }
}

/// The head of a sequence that is being computed.
struct Head<'a> {
    job: &'a AttentionJob<'a>,
    sequence: &'a Sequence,
    sizes: PackedSizes,
    head: usize,
}

impl Head<'_> {
    fn columns(&self) -> Range<usize> {
        self.head * self.sizes.dim..(self.head + 1) * self.sizes.dim
    }

    /// Prefetches the head's columns of a row. Rows are far apart, so the hardware prefetcher does not find the next
    /// one.
    #[inline(always)]
    fn prefetch_row<S: Simd>(&self, s: S, rows: &HeadRows<'_>, row: usize) {
        for line in rows.get(row, self.columns()).chunks(LINE / 4) {
            s.prefetch(line.as_ptr().cast());
        }
    }

    /// The head's columns of row `key` of `rows`. Prefetches a row that will follow soon.
    #[inline(always)]
    fn key<'a, S: Simd>(&self, s: S, rows: &HeadRows<'a>, key: usize) -> &'a [f32] {
        self.prefetch_row(
            s,
            rows,
            self.sequence.key_row((key + ROWS_AHEAD).min(self.sizes.n_keys - 1)),
        );
        rows.get(self.sequence.key_row(key), self.columns())
    }

    /// Packs the keys as the weights of a layer from `dim` to `n_keys`. After the last key old content remains; the
    /// scores from it are never read.
    #[inline(always)]
    fn pack_keys<S: Simd>(&self, s: S, scratch: &mut Scratch<'_>) {
        let row_bytes = self.sizes.dim_lines * LINE;
        for panel in 0..self.sizes.key_panels {
            let keys = panel * PANEL..self.sizes.n_keys.min((panel + 1) * PANEL);
            for (key, to) in keys.zip(scratch.rows.chunks_exact_mut(row_bytes)) {
                let key = self.key(s, &self.job.projected.keys, key);
                // SAFETY: `to` has room for all lines of a key.
                unsafe { encode(s, (self.sizes.precision, 1.0), key, to.as_mut_ptr(), LINE) };
            }
            let to = &mut scratch.keys[panel * row_bytes * PANEL..][..row_bytes * PANEL];
            for step in (0..self.sizes.dim_lines * LINE_STEPS).step_by(S::LANES) {
                for key in (0..PANEL).step_by(S::LANES) {
                    // SAFETY: `LANES` divides 16 and 32, so the block is inside 32 rows and inside the panel.
                    unsafe {
                        let from = scratch.rows.as_ptr().add(key * row_bytes + step * 4);
                        s.transpose(from, row_bytes, to.as_mut_ptr().add(step * STEP + key * 4), STEP);
                    }
                }
            }
            self.arrange(s, to);
        }
    }

    /// Arranges packed keys or values as the tile wants them.
    #[inline(always)]
    fn arrange<S: Simd>(&self, s: S, panels: &mut [u8]) {
        for steps in panels.chunks_exact_mut(2 * STEP) {
            // SAFETY: the chunk has two steps.
            unsafe { s.arrange(self.sizes.precision, steps.as_mut_ptr()) };
        }
    }

    /// Packs the values as the weights of a layer from `n_keys` to `dim`, with zeroes after the last key.
    #[inline(always)]
    fn pack_values<S: Simd>(&self, s: S, values: &mut [u8]) {
        let steps = self.sizes.key_lines * LINE_STEPS;
        assert!(values.len() == self.sizes.dim_panels * steps * STEP, "room for values");
        let zeroes = [0.0; LINE];
        let per_step = self.sizes.key_lines * self.sizes.precision.line_values() / steps;
        for step in 0..steps {
            let row = |key| {
                if key < self.sizes.n_keys {
                    self.key(s, &self.job.projected.values, key)
                } else {
                    &zeroes[..0]
                }
            };
            let (even, odd) = (row(per_step * step), row(per_step * step + per_step - 1));
            for column in (0..self.sizes.dim).step_by(S::LANES) {
                let [even, odd] =
                    [even, odd].map(|row| row.get(column..column + S::LANES).unwrap_or(&zeroes[..S::LANES]));
                // SAFETY: the slices have `LANES` values, and `LANES` words from an even step of a panel are inside it.
                unsafe {
                    let words = match self.sizes.precision {
                        Precision::F32 => s.as_words(s.load(even.as_ptr())),
                        Precision::Bf16 | Precision::Int8 => s.pair_bf16(s.load(even.as_ptr()), s.load(odd.as_ptr())),
                    };
                    let at = (column / PANEL * steps + step) * STEP + column % PANEL * 4;
                    s.store_words(values.as_mut_ptr().add(at), words);
                }
            }
        }
        self.arrange(s, values);
    }

    /// Computes the queries `rows` of the sequence.
    #[inline(always)]
    fn tile<S: Simd, D: Dot>(&self, s: S, dot: D, rows: Range<usize>, scratch: &mut Scratch<'_>) {
        let sizes = &self.sizes;
        let (height, row_scores) = (rows.len(), sizes.row_scores());
        let most = self.sequence.visible(self.job.mask, rows.end - 1);
        self.round_queries::<S, D>(s, rows.clone(), scratch.rows);
        // Prefetch the queries of the next tile while this one is computed.
        for row in rows.end..(rows.end + height).min(self.sequence.queries.len()) {
            self.prefetch_row(s, &self.job.projected.queries, self.sequence.queries.start + row);
        }
        for panel in 0..most.div_ceil(PANEL) {
            let bytes = sizes.dim_lines * LINE_STEPS * STEP;
            let operands = Operands {
                a: scratch.rows.as_ptr(),
                rows: height,
                b: scratch.keys[panel * bytes..][..bytes].as_ptr(),
                lines: sizes.dim_lines,
                to: scratch.scores[panel * PANEL..][..(height - 1) * row_scores + PANEL]
                    .as_mut_ptr()
                    .cast(),
                continues: false,
                to_stride: row_scores * 4,
                prefetch: Prefetch::NOTHING,
            };
            // SAFETY: the slices above cover what the tile reads and writes; `rows` has room for at least 14 queries.
            unsafe { tile(s, dot, operands) };
        }
        let lines = most.div_ceil(D::PRECISION.line_values());
        let queries = self.sequence.queries.start;
        let to_row = |row| self.job.output.row(queries + row, self.job.heads.width());
        // The destination of each row, and the factor for its weighted sums.
        let mut to = [(to_row(rows.start), 0.0); TILE_ROWS_MAX];
        for (i, row) in rows.clone().enumerate() {
            let scores = &mut scratch.scores[i * row_scores..][..lines * D::PRECISION.line_values()];
            let weights = &mut scratch.weights[i * LINE..lines * height * LINE];
            let visible = self.sequence.visible(self.job.mask, row);
            let sum = softmax_weights::<S, D>(s, scores, visible, weights, height * LINE);
            to[i] = (to_row(row), 1.0 / sum);
        }
        let mut means = [0_f32; TILE_ROWS_MAX * PANEL];
        for panel in 0..sizes.dim_panels {
            let bytes = sizes.key_lines * LINE_STEPS * STEP;
            let operands = Operands {
                a: scratch.weights.as_ptr(),
                rows: height,
                b: scratch.values[panel * bytes..][..bytes].as_ptr(),
                lines,
                continues: false,
                to: means.as_mut_ptr().cast(),
                to_stride: STEP,
                prefetch: Prefetch::NOTHING,
            };
            // SAFETY: the weights of the tile have `lines` lines, at most as many as the panel; `means` has room for 14
            // rows.
            unsafe { tile(s, dot, operands) };
            self.store_rows(s, panel, &means, &to[..height]);
        }
    }

    /// Writes queries as a tile of activations, `[line][row][64 bytes]`, divided by √dim and ln 2 (because weights are
    /// powers of 2 instead of e).
    #[inline(always)]
    fn round_queries<S: Simd, D: Dot>(&self, s: S, rows: Range<usize>, to: &mut [u8]) {
        let scale = std::f32::consts::LOG2_E / (self.sizes.dim as f32).sqrt();
        let height = rows.len();
        assert!(
            to.len() >= height * self.sizes.dim_lines * LINE,
            "room for {height} queries"
        );
        let (dim, precision) = (self.sizes.dim, D::PRECISION);
        for (i, row) in rows.enumerate() {
            let queries = &self.job.projected.queries;
            let query = queries.get(self.sequence.queries.start + row, self.columns());
            for (column, x) in (0..dim).step_by(S::LANES).zip(query.chunks_exact(S::LANES)) {
                let byte = column * precision.bytes();
                // SAFETY: the chunk has `LANES` values, and the assertion made sure that their line is inside `to`.
                unsafe {
                    let to = to.as_mut_ptr().add((byte / LINE * height + i) * LINE + byte % LINE);
                    store_float(s, precision, to, s.mul(s.load(x.as_ptr()), s.splat(scale)));
                }
            }
            // If the dimension is an odd multiple of 16, half of the last line is unused.
            let end = dim * precision.bytes() % LINE;
            if end != 0 {
                to[((self.sizes.dim_lines - 1) * height + i) * LINE..][end..LINE].fill(0);
            }
        }
    }

    /// Multiplies the weighted sums of each row by its factor and stores them at the row's destination.
    #[inline(always)]
    fn store_rows<S: Simd>(&self, s: S, panel: usize, means: &[f32], to: &[(RowWriter, f32)]) {
        let columns = PANEL.min(self.sizes.dim - panel * PANEL);
        let first = self.head * self.sizes.dim + panel * PANEL;
        for ((row, factor), means) in to.iter().zip(means.chunks_exact(PANEL)) {
            for i in (0..columns).step_by(S::LANES) {
                // SAFETY: `columns` and `first` are multiples of 16; the row is inside the output that `attention`
                // holds, and this worker alone writes this head of it.
                unsafe {
                    let mean = s.mul(s.load(means.as_ptr().add(i)), s.splat(*factor));
                    store_float(s, row.precision, row.at(first + i), mean);
                }
            }
        }
    }
}

/// Turns a row of `scores` into weights 2^(score − largest) and writes them to `to`, one line every `stride` bytes.
/// Weights past `visible` are 0. Returns the sum of the weights.
#[inline(always)]
fn softmax_weights<S: Simd, D: Dot>(s: S, scores: &mut [f32], visible: usize, to: &mut [u8], stride: usize) -> f32 {
    let values = D::PRECISION.line_values();
    assert!(scores.len().is_multiple_of(values), "whole lines of weights");
    scores[visible..].fill(f32::NEG_INFINITY);
    let mut top = s.splat(f32::NEG_INFINITY);
    for vector in scores.chunks_exact(S::LANES) {
        // SAFETY: the chunk holds `LANES` values.
        top = s.max(top, unsafe { s.load(vector.as_ptr()) });
    }
    let largest = s.splat(s.largest(top));
    let mut sum = s.splat(0.0);
    for (line, scores) in scores.chunks_exact(values).enumerate() {
        let to = to[line * stride..][..LINE].as_mut_ptr();
        for i in (0..values).step_by(S::LANES) {
            // SAFETY: `LANES` divides the number of values in a line, and `scores` and `to` have whole lines.
            unsafe {
                let weight = math::exp2(s, s.sub(s.load(scores.as_ptr().add(i)), largest));
                sum = s.add(sum, weight);
                store_float(s, D::PRECISION, to.add(i * D::PRECISION.bytes()), weight);
            }
        }
    }
    s.sum(sum)
}
