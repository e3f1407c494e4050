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
use crate::kernels::buffer::LINE;
use crate::kernels::precision::Precision;
use crate::kernels::simd::tile::{
    Dot, DotBf16, DotF32, DotInt8, LINE_STEPS, Operands, PANEL, Prefetch, STEP, TILE_ROWS_MAX, tile,
};
use crate::kernels::simd::{Kernel, Simd, Vector};
use std::ops::Range;

/// Bytes of activations that stay in a core's second-level cache while they are multiplied with all panels. Zen 4 and 5
/// have 1 MiB, of which the current and the next panel need a part. An image's rows of a ViT-B in f32 take 591 KiB:
/// with one block each worker reads half of the weights, with two blocks both workers read all of them (a block of 512
/// KiB is 7% slower in f32, alternating `longclip bench` runs).
const BLOCK_BYTES: usize = 640 << 10;

// A panel of a deep layer is larger than the first-level cache. Dividing it by depth, so that all tiles use 8 to 64 KiB
// of it before the next part, made f32 and bf16 2% to 7% slower (ViT-B and L, alternating `longclip bench` runs): the
// second-level cache is fast enough.

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
    /// The order for `tiles` of activations that take `bytes` together.
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

    /// What this tile prefetches of the next panel. Each tile of the block prefetches the same amount.
    fn prefetch(&self, pair: TileAndPanel) -> Prefetch {
        let (tile, tiles) = pair.index_in_block;
        let (panel, lines) = (self.linear.panel(pair.panel), self.x.shape().lines);
        let per_line = (panel.len() / LINE).div_ceil(lines * tiles);
        Prefetch {
            from: panel.as_ptr_range().end.wrapping_add(tile * per_line * lines * LINE),
            per_line,
        }
    }

    #[inline(always)]
    fn run<S: Simd, D: Dot>(&self, s: S, dot: D) {
        let mut sums = [0_u32; TILE_ROWS_MAX * PANEL];
        for pair in self.part.clone().map(|i| self.order.pair(i)) {
            let rows = self.x.shape().tile(pair.tile);
            let (a, b) = (self.x.tile_bytes(&rows), self.linear.panel(pair.panel));
            let (height, lines) = (rows.len(), self.x.shape().lines);
            let steps = lines * LINE_STEPS / D::a_words::<S>();
            assert!(height <= S::TILE_ROWS && a.len() == height * lines * LINE && b.len() >= steps * STEP);
            let operands = Operands {
                a: a.as_ptr(),
                rows: height,
                b: b.as_ptr(),
                lines,
                to: sums.as_mut_ptr().cast(),
                to_stride: STEP,
                prefetch: self.prefetch(pair),
            };
            // SAFETY: by the assertion above; `sums` has 32 words for each row of the tallest tile.
            unsafe { tile(s, dot, operands) };
            self.finish(rows, pair.panel).vector(s, &sums);
        }
    }
}

impl Vector for Product<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
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
