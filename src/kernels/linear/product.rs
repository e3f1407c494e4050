//! One worker's way through a product: which tile of rows meets which panel of outputs when, and what lies in which cache.
//!
//! Called by [`Linear`] on each worker with its stretch of the [`Order`]. A block of rows stays in the second cache while all
//! panels pass over it. Panels come from memory: while a panel's tiles are computed the next one is asked for, a slice of it
//! at each tile. What the CPU's own prefetcher fetches ends at a page of 4 KiB, and the first tile would wait at each.

use super::finish::{Finish, Output};
use super::tile::{Ahead, Dot, DotBf16, DotF32, DotInt8, LINE_STEPS, Operands, PANEL, STEP, TILE_ROWS_MAX, tile};
use super::{Activation, Linear, portable};
use crate::kernels::activations::{Activations, Precision};
use crate::kernels::buffer::LINE;
use crate::kernels::simd::{Kernel, Simd, Vector};
use std::ops::Range;

/// Bytes of activations that stay in a core's second cache while all panels of weights pass over them: less than the 1 MiB
/// of Zen 4 and 5 by what the panel in use and the next one want. A picture's rows of a ViT-B in f32 are 591 KiB: as one
/// block each worker reads half of the weights, as two both read all of them (512 KiB here: 7 % slower in f32, `longclip
/// bench` in turn).
const BLOCK_BYTES: usize = 640 << 10;

// A panel of a deep layer is larger than the first cache. Cutting it by depth, so that all tiles meet one cut of 8 to 64 KiB
// before the next, made f32 and bf16 2 to 7 % slower (B and L, `longclip bench` in turn): the second cache is fast enough.

/// The order in which tiles of rows meet panels: blocks of tiles that fit a cache, in a block panel by panel, for a panel
/// all tiles of the block. Workers take equal stretches of it: one row block is cut by outputs, many blocks by rows.
#[derive(Clone, Copy)]
pub(super) struct Order {
    tiles: usize,
    panels: usize,
    block: usize,
}

impl Order {
    /// For `tiles` of activations that have `bytes` together.
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

    /// The tile and the panel at place `i`, and which tile of how many of its block this is.
    fn at(&self, i: usize) -> Place {
        let first = i / (self.block * self.panels) * self.block;
        let block = self.block.min(self.tiles - first);
        let i = i - first * self.panels;
        Place {
            tile: first + i % block,
            panel: i / block,
            of_block: (i % block, block),
        }
    }
}

/// Where a tile of rows meets a panel.
#[derive(Clone, Copy)]
struct Place {
    tile: usize,
    panel: usize,
    /// The tile's place in its block, and the block's tiles.
    of_block: (usize, usize),
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

    /// This tile's slice of the panel that follows, of which a tile of the block asks for as much as any other.
    fn ahead(&self, at: Place) -> Ahead {
        let (tile, tiles) = at.of_block;
        let panel = self.linear.panel(at.panel).as_ptr_range();
        let per_line = (LINE_STEPS * STEP / LINE).div_ceil(tiles);
        Ahead {
            from: panel.end.wrapping_add(tile * per_line * self.linear.lines * LINE),
            per_line,
        }
    }

    #[inline(always)]
    fn run<S: Simd, D: Dot>(&self, s: S, dot: D) {
        let mut sums = [0_u32; TILE_ROWS_MAX * PANEL];
        for at in self.part.clone().map(|i| self.order.at(i)) {
            let rows = self.x.shape().tile(at.tile);
            let (a, b) = (self.x.tile_bytes(&rows), self.linear.panel(at.panel));
            let (height, lines) = (rows.len(), self.linear.lines);
            assert!(height <= S::TILE_ROWS && a.len() == height * lines * LINE && b.len() == lines * LINE_STEPS * STEP);
            let operands = Operands {
                a: a.as_ptr(),
                rows: height,
                b: b.as_ptr(),
                lines,
                to: sums.as_mut_ptr().cast(),
                to_stride: STEP,
                ahead: self.ahead(at),
            };
            // SAFETY: the assertion above; `sums` has 32 words for each row of the tallest tile.
            unsafe { tile(s, dot, operands) };
            self.finish(rows, at.panel).vector(s, &sums);
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
        for at in self.part.clone().map(|i| self.order.at(i)) {
            let rows = self.x.shape().tile(at.tile);
            let (a, b) = (self.x.tile_bytes(&rows), self.linear.panel(at.panel));
            let sums = portable::sums(self.linear.precision, a, b, rows.len());
            self.finish(rows, at.panel).plain(&sums);
        }
    }
}
