//! One head of one sequence on vectors: keys and values packed once, then tiles of queries against them.

use super::{Job, Sequence};
use crate::kernels::activations::{Precision, encode};
use crate::kernels::buffer::{Buffer, LINE};
use crate::kernels::linear::tile::{Dot, DotBf16, DotF32, LINE_STEPS, Operands, PANEL, STEP, TILE_ROWS_MAX, tile};
use crate::kernels::simd::{Simd, math};
use crate::kernels::threads::share;
use std::ops::Range;

/// Sizes of the packed forms, for one head.
#[derive(Clone, Copy)]
struct Sizes {
    precision: Precision,
    dim: usize,
    n_keys: usize,
    /// Cache lines of a query or key.
    dim_lines: usize,
    /// Cache lines of a row of weights, one weight a key.
    key_lines: usize,
    /// Panels of 32 keys.
    key_panels: usize,
    /// Panels of 32 columns of values.
    dim_panels: usize,
}

impl Sizes {
    fn new(job: &Job<'_>, sequence: &Sequence) -> Self {
        let (dim, n_keys, values) = (job.heads.dim, sequence.n_keys(), job.precision.line_values());
        Sizes {
            precision: job.precision,
            dim,
            n_keys,
            dim_lines: dim.div_ceil(values),
            key_lines: n_keys.div_ceil(values),
            key_panels: n_keys.div_ceil(PANEL),
            dim_panels: dim.div_ceil(PANEL),
        }
    }

    /// Scores of a row: whole panels of keys, and whole lines of weights.
    fn row_scores(&self) -> usize {
        (self.key_panels * PANEL).max(self.key_lines * self.precision.line_values())
    }
}

/// A worker's memory, cut for one head; each part starts on a cache line.
struct Room<'a> {
    /// `[panel of keys][step of the dimension][32 keys]` words.
    keys: &'a mut [u8],
    /// `[panel of columns][step of keys][32 columns]` words.
    values: &'a mut [u8],
    /// 32 rows of keys, or a tile of queries, rounded: `[row or line][64 bytes]`.
    rows: &'a mut [u8],
    /// Weights of a tile, rounded: `[line][row][64 bytes]`.
    weights: &'a mut [u8],
    /// Scores of a tile, then their exponentials: `[row][row_scores]`.
    scores: &'a mut [f32],
}

impl<'a> Room<'a> {
    fn new(sizes: &Sizes, scratch: &'a mut Buffer) -> Self {
        let lengths = [
            sizes.key_panels * sizes.dim_lines * LINE_STEPS * STEP,
            sizes.dim_panels * sizes.key_lines * LINE_STEPS * STEP,
            PANEL * sizes.dim_lines * LINE,
            TILE_ROWS_MAX * sizes.key_lines * LINE,
        ];
        let n_scores = TILE_ROWS_MAX * sizes.row_scores();
        let floats = scratch.floats(lengths.iter().sum::<usize>() / 4 + n_scores);
        let (packed, scores) = floats.split_at_mut(floats.len() - n_scores);
        let mut packed = as_bytes(packed);
        let mut cut = |len: usize| packed.split_off_mut(..len).expect("the lengths above add up");
        let [keys, values, rows, weights] = lengths.map(&mut cut);
        Room {
            keys,
            values,
            rows,
            weights,
            scores,
        }
    }
}

fn as_bytes(floats: &mut [f32]) -> &mut [u8] {
    // SAFETY: an f32 is four bytes, any of which may be written.
    unsafe { std::slice::from_raw_parts_mut(floats.as_mut_ptr().cast(), floats.len() * 4) }
}

/// Writes all rows of `head`.
#[inline(always)]
pub(super) fn head<S: Simd>(s: S, job: &Job<'_>, sequence: &Sequence, head: usize, scratch: &mut Buffer) {
    let sizes = Sizes::new(job, sequence);
    let mut room = Room::new(&sizes, scratch);
    let of = Head {
        job,
        sequence,
        sizes,
        head,
    };
    of.pack_keys(s, &mut room);
    of.pack_values(s, room.values);
    let n = sequence.queries.len();
    let n_tiles = n.div_ceil(S::TILE_ROWS);
    for t in 0..n_tiles {
        let rows = share(n, n_tiles, t);
        match job.precision {
            Precision::F32 => of.tile(s, DotF32, rows, &mut room),
            Precision::Bf16 | Precision::Int8 => of.tile(s, DotBf16, rows, &mut room),
        }
    }
}

/// What is being computed.
struct Head<'a> {
    job: &'a Job<'a>,
    sequence: &'a Sequence,
    sizes: Sizes,
    head: usize,
}

impl Head<'_> {
    fn columns(&self) -> Range<usize> {
        self.head * self.sizes.dim..(self.head + 1) * self.sizes.dim
    }

    /// Keys become weights of a layer from `dim` to `n_keys`.
    #[inline(always)]
    fn pack_keys<S: Simd>(&self, s: S, room: &mut Room<'_>) {
        let row_bytes = self.sizes.dim_lines * LINE;
        for panel in 0..self.sizes.key_panels {
            room.rows.fill(0);
            let keys = panel * PANEL..self.sizes.n_keys.min((panel + 1) * PANEL);
            for (key, to) in keys.zip(room.rows.chunks_exact_mut(row_bytes)) {
                let key = self.job.projected.keys.get(self.sequence.key_row(key), self.columns());
                // SAFETY: `to` has all lines of a key.
                unsafe { encode(s, self.sizes.precision, key, to.as_mut_ptr(), LINE) };
            }
            let to = &mut room.keys[panel * row_bytes * PANEL..][..row_bytes * PANEL];
            for step in (0..self.sizes.dim_lines * LINE_STEPS).step_by(S::LANES) {
                for key in (0..PANEL).step_by(S::LANES) {
                    // SAFETY: `LANES` divides 16 and 32, so that the block lies inside 32 rows and inside the panel.
                    unsafe {
                        let from = room.rows.as_ptr().add(key * row_bytes + step * 4);
                        s.transpose(from, row_bytes, to.as_mut_ptr().add(step * STEP + key * 4), STEP);
                    }
                }
            }
        }
    }

    /// Values become weights of a layer from `n_keys` to `dim`.
    #[inline(always)]
    fn pack_values<S: Simd>(&self, s: S, values: &mut [u8]) {
        let steps = self.sizes.key_lines * LINE_STEPS;
        let zeroes = [0.0; 64];
        let row = |key: usize, column: usize| {
            if key >= self.sizes.n_keys || column >= self.sizes.dim {
                return &zeroes[..S::LANES];
            }
            let columns = self.columns().start + column..self.columns().start + column + S::LANES;
            self.job.projected.values.get(self.sequence.key_row(key), columns)
        };
        for (i, to) in values.chunks_exact_mut(S::LANES * 4).enumerate() {
            let (panel, step, part) = (
                i * S::LANES / (steps * PANEL),
                i * S::LANES / PANEL % steps,
                i * S::LANES % PANEL,
            );
            let column = panel * PANEL + part;
            // SAFETY: `row` gives `LANES` values, `to` is `LANES` words.
            unsafe {
                let words = match self.sizes.precision {
                    Precision::F32 => s.as_words(s.load(row(step, column).as_ptr())),
                    Precision::Bf16 | Precision::Int8 => {
                        let (even, odd) = (row(2 * step, column), row(2 * step + 1, column));
                        s.pair_bf16(s.load(even.as_ptr()), s.load(odd.as_ptr()))
                    }
                };
                s.store_words(to.as_mut_ptr(), words);
            }
        }
    }

    /// Queries `rows` of the sequence.
    #[inline(always)]
    fn tile<S: Simd, D: Dot>(&self, s: S, dot: D, rows: Range<usize>, room: &mut Room<'_>) {
        let sizes = &self.sizes;
        let (height, row_scores) = (rows.len(), sizes.row_scores());
        let most = self.sequence.visible(self.job.mask, rows.end - 1);
        self.round_queries(s, rows.clone(), room.rows);
        for panel in 0..most.div_ceil(PANEL) {
            let bytes = sizes.dim_lines * LINE_STEPS * STEP;
            let operands = Operands {
                a: room.rows.as_ptr(),
                rows: height,
                b: room.keys[panel * bytes..][..bytes].as_ptr(),
                lines: sizes.dim_lines,
                to: room.scores[panel * PANEL..][..(height - 1) * row_scores + PANEL]
                    .as_mut_ptr()
                    .cast(),
                to_stride: row_scores * 4,
            };
            // SAFETY: the slices above have what the tile reads and writes; `rows` holds 14 queries and more.
            unsafe { tile(s, dot, operands) };
        }
        let lines = most.div_ceil(sizes.precision.line_values());
        let mut sums = [0.0; TILE_ROWS_MAX];
        for (i, row) in rows.clone().enumerate() {
            let scores = &mut room.scores[i * row_scores..][..lines * sizes.precision.line_values()];
            sums[i] = exponentials(s, scores, self.sequence.visible(self.job.mask, row));
            // SAFETY: row `i` of `lines` lines lies inside the tile's weights.
            unsafe {
                encode(
                    s,
                    sizes.precision,
                    scores,
                    room.weights[i * LINE..].as_mut_ptr(),
                    height * LINE,
                )
            };
        }
        let mut means = [0_f32; TILE_ROWS_MAX * PANEL];
        for panel in 0..sizes.dim_panels {
            let bytes = sizes.key_lines * LINE_STEPS * STEP;
            let operands = Operands {
                a: room.weights.as_ptr(),
                rows: height,
                b: room.values[panel * bytes..][..bytes].as_ptr(),
                lines,
                to: means.as_mut_ptr().cast(),
                to_stride: STEP,
            };
            // SAFETY: the weights of the tile have `lines` lines, no more than the panel; `means` holds 14 rows.
            unsafe { tile(s, dot, operands) };
            self.emit(s, rows.clone(), panel, &means, &sums);
        }
    }

    /// Queries, divided by √dim, as a tile of activations: `[line][row][64 bytes]`.
    #[inline(always)]
    fn round_queries<S: Simd>(&self, s: S, rows: Range<usize>, to: &mut [u8]) {
        let scale = 1.0 / (self.sizes.dim as f32).sqrt();
        let height = rows.len();
        assert!(
            to.len() >= height * self.sizes.dim_lines * LINE,
            "room for {height} queries"
        );
        to[(self.sizes.dim_lines - 1) * height * LINE..].fill(0);
        let mut scaled = [0.0; 64];
        for (i, row) in rows.enumerate() {
            let query = self
                .job
                .projected
                .queries
                .get(self.sequence.queries.start + row, self.columns());
            let step = self.sizes.precision.line_values();
            for (line, values) in query.chunks(step).enumerate() {
                for (scaled, x) in scaled.iter_mut().zip(values) {
                    *scaled = x * scale;
                }
                let to = to[(line * height + i) * LINE..][..LINE].as_mut_ptr();
                // SAFETY: one line has 64 bytes.
                unsafe { encode(s, self.sizes.precision, &scaled[..values.len()], to, LINE) };
            }
        }
    }

    /// Divides the rows' weighted sums by the sums of their weights and stores them.
    #[inline(always)]
    fn emit<S: Simd>(&self, s: S, rows: Range<usize>, panel: usize, means: &[f32], sums: &[f32]) {
        let width = self.job.heads.width();
        let columns = PANEL.min(self.sizes.dim - panel * PANEL);
        for ((row, means), sum) in rows.zip(means.chunks_exact(PANEL)).zip(sums) {
            let query = self.sequence.queries.start + row;
            for i in (0..columns).step_by(S::LANES) {
                let column = self.head * self.sizes.dim + panel * PANEL + i;
                let (to, precision) = self.job.output.at(query, column, width);
                // SAFETY: `columns` is a multiple of 16, as is `column`; the row lies inside the output that
                // `attention` holds, and this head of it belongs to this worker.
                unsafe {
                    let mean = s.mul(s.load(means.as_ptr().add(i)), s.splat(1.0 / sum));
                    match precision {
                        Precision::F32 => s.store(to.cast(), mean),
                        Precision::Bf16 | Precision::Int8 => s.store_bf16(to, mean),
                    }
                }
            }
        }
    }
}

/// Replaces the first `visible` scores by e^(score − largest), the others by 0, and returns their sum.
#[inline(always)]
fn exponentials<S: Simd>(s: S, scores: &mut [f32], visible: usize) -> f32 {
    scores[visible..].fill(f32::NEG_INFINITY);
    let mut top = s.splat(f32::NEG_INFINITY);
    for vector in scores.chunks_exact(S::LANES) {
        // SAFETY: the chunk holds `LANES` values.
        top = s.max(top, unsafe { s.load(vector.as_ptr()) });
    }
    let largest = s.splat(s.largest(top));
    let mut sum = s.splat(0.0);
    for vector in scores.chunks_exact_mut(S::LANES) {
        // SAFETY: as above.
        unsafe {
            let weight = math::exp(s, s.sub(s.load(vector.as_ptr()), largest));
            s.store(vector.as_mut_ptr(), weight);
            sum = s.add(sum, weight);
        }
    }
    s.sum(sum)
}
