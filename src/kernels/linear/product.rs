//! One worker's part of a product: the order in which tiles of rows are multiplied with panels of outputs, and cache
//! use.
//!
//! [`Linear`] calls it on each worker with its range of the [`Order`]. A block of rows stays in the second-level cache
//! while it is multiplied with all panels. Panels come from memory: while a panel is in use, each of its tiles
//! prefetches a part of the next panel. The hardware prefetcher stops at the end of a 4 KiB page, so without this the
//! first tile would wait at each page.

use super::finish::{Finish, Output};
use super::{Activation, Linear, portable};
use crate::kernels::activations::Activations;
use crate::kernels::buffer::{Buffer, LINE};
use crate::kernels::precision::Precision;
use crate::kernels::simd::tile::{Dot, DotBf16, DotF32, DotInt8, LINE_STEPS, Operands, PANEL, Prefetch, STEP, tile};
use crate::kernels::simd::{Kernel, Simd, Vector};
use crate::kernels::threads::share;
use std::ops::Range;

/// Bytes of activations that stay in a core's second-level cache while they are multiplied with all panels. Zen 4 and 5
/// have 1 MiB, of which the current and the next panel need a part. An image's rows of a ViT-B in f32 take 591 KiB:
/// with one block each worker reads half of the weights, with two blocks both workers read all of them (a block of 512
/// KiB is 7% slower in f32, alternating `longclip bench` runs).
const BLOCK_BYTES: usize = 640 << 10;

// With AVX-512, dividing a deep layer's panel by depth, so that all tiles use 8 to 64 KiB of it before the next part, made f32
// and bf16 2% to 7% slower (ViT-B and L, alternating `longclip bench` runs). With AVX2 it helps: `Simd::DEPTH_LINES`.

/// The order in which tiles of rows are multiplied with panels. Tiles form blocks that fit a cache; within a block,
/// panel after panel is multiplied with all tiles of the block. Workers take equal ranges of this order, so a single
/// block is divided by outputs and many blocks by rows.
#[derive(Clone, Copy)]
pub(super) struct Order {
    tiles: usize,
    panels: usize,
    block: usize,
}

impl Order {
    /// The order for `tiles` of activations, of which one block at a time uses `bytes` for all tiles together.
    pub(super) fn new(tiles: usize, panels: usize, bytes: usize) -> Self {
        let blocks = bytes.div_ceil(BLOCK_BYTES).max(1);
        Order {
            tiles,
            panels,
            block: tiles.div_ceil(blocks).max(1),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tiles * self.panels
    }

    /// The end of the block of index `i`.
    fn block_end(&self, i: usize) -> usize {
        let first = i / (self.block * self.panels) * self.block;
        (first + self.block).min(self.tiles) * self.panels
    }

    /// The tile and the panel at index `i` of the order.
    fn pair(&self, i: usize) -> TileAndPanel {
        let first = i / (self.block * self.panels) * self.block;
        let block = self.block.min(self.tiles - first);
        let i = i - first * self.panels;
        TileAndPanel {
            tile: first + i % block,
            panel: i / block,
            index_in_block: (i % block, block),
        }
    }
}

/// A tile of rows and the panel it is multiplied with.
#[derive(Clone, Copy)]
struct TileAndPanel {
    tile: usize,
    panel: usize,
    /// The index of the tile in its block, and the number of tiles in the block.
    index_in_block: (usize, usize),
}

/// One worker's part of a product.
pub(super) struct Product<'a> {
    pub(super) linear: &'a Linear,
    pub(super) x: &'a Activations,
    pub(super) order: Order,
    pub(super) part: Range<usize>,
    pub(super) activation: Activation,
    pub(super) output: Output,
    /// The worker's scratch memory.
    pub(super) scratch: &'a mut Buffer,
}

impl<'a> Product<'a> {
    fn finish(&self, rows: Range<usize>, panel: usize) -> Finish<'a> {
        Finish {
            linear: self.linear,
            row_scales: self.x.scales(),
            rows,
            panel,
            activation: self.activation,
            output: self.output,
        }
    }

    /// What this tile prefetches of the next panel: bytes `at` of it. Each tile of the block prefetches the same amount.
    fn prefetch(&self, pair: TileAndPanel, at: &Range<usize>, lines: usize) -> Prefetch {
        let (tile, tiles) = pair.index_in_block;
        let per_line = (at.len() / LINE).div_ceil(lines * tiles);
        let next_panel = self.linear.panel(pair.panel).as_ptr_range().end;
        Prefetch {
            from: next_panel.wrapping_add(at.start + tile * per_line * lines * LINE),
            per_line,
        }
    }

    #[inline(always)]
    fn run<S: Simd, D: Dot>(&mut self, s: S, dot: D) {
        let lines = self.x.shape().lines;
        let n_parts = lines.div_ceil(S::DEPTH_LINES);
        let slot = S::TILE_ROWS * PANEL;
        let mut scratch = std::mem::take(self.scratch);
        let mut start = self.part.start;
        while start < self.part.end {
            let end = self.order.block_end(start).min(self.part.end);
            // Sums of a whole depth are finished at once, those of its parts are kept.
            let kept = if n_parts == 1 { 1 } else { end - start };
            let sums = scratch.words(kept * slot);
            for part in 0..n_parts {
                let depth = share(lines, n_parts, part);
                for i in start..end {
                    let pair = self.order.pair(i);
                    let rows = self.x.shape().tile(pair.tile);
                    let sums = &mut sums[(i - start) % kept * slot..][..slot];
                    self.add(s, dot, pair, &rows, &depth, sums);
                    if depth.end == lines {
                        self.finish(rows, pair.panel).vector::<S, D>(s, sums);
                    }
                }
            }
            start = end;
        }
        *self.scratch = scratch;
    }

    /// Adds the products of lines `depth` to `sums`, `[row][32]` words, or begins with them if they are the first.
    #[inline(always)]
    fn add<S: Simd, D: Dot>(
        &self,
        s: S,
        dot: D,
        pair: TileAndPanel,
        rows: &Range<usize>,
        depth: &Range<usize>,
        sums: &mut [u32],
    ) {
        let (height, line_bytes) = (rows.len(), LINE_STEPS / D::a_words::<S>() * STEP);
        let at = depth.start * line_bytes..depth.end * line_bytes;
        let a = &self.x.tile_bytes(rows)[depth.start * height * LINE..depth.end * height * LINE];
        let b = &self.linear.panel(pair.panel)[at.clone()];
        assert!(height <= S::TILE_ROWS && sums.len() >= height * PANEL);
        let operands = Operands {
            a: a.as_ptr(),
            rows: height,
            b: b.as_ptr(),
            lines: depth.len(),
            continues: depth.start > 0,
            to: sums.as_mut_ptr().cast(),
            to_stride: STEP,
            prefetch: self.prefetch(pair, &at, depth.len()),
        };
        // SAFETY: the slices have `lines` lines of the rows and of the panel; by the assertion, `sums` has 32 words for each row.
        unsafe { tile(s, dot, operands) };
    }
}

impl Vector for Product<'_> {
    #[inline(always)]
    fn vector<S: Simd>(mut self, s: S) {
        match self.linear.precision {
            Precision::F32 => self.run(s, DotF32),
            Precision::Bf16 => self.run(s, DotBf16),
            Precision::Int8 => self.run(s, DotInt8),
        }
    }
}

impl Kernel for Product<'_> {
    fn plain(self) {
        for pair in self.part.clone().map(|i| self.order.pair(i)) {
            let rows = self.x.shape().tile(pair.tile);
            let (a, b) = (self.x.tile_bytes(&rows), self.linear.panel(pair.panel));
            let sums = portable::sums(self.linear.precision, a, b, rows.len());
            self.finish(rows, pair.panel).plain(&sums);
        }
    }
}
