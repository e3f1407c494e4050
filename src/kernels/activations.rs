//! The input of a linear layer: rows of activations in its number type, laid out for the register tile.
//!
//! Layer norm, attention and the previous layer write their results here directly, rounded once, so that no pass is
//! needed just to repack. Rows are grouped into tiles of nearly equal height. Within a tile the columns are split into
//! cache lines: `[tile][line][row of the tile][64 bytes]`. A tile is one ascending stream of memory, which suits the
//! hardware prefetcher. In row-major order, rows whose distance is a power of two would compete for the same cache
//! sets. A cache line is 16 words; a word is one f32, two bf16 or four bytes. Bytes are `round(127 x / largest |x| of
//! the row)`, plus 128 if the instruction set multiplies unsigned bytes, with the scale stored separately. For a layer in
//! bf16, activations stay f32 if the instruction set has no products of bf16.

mod encode;

use super::buffer::{Buffer, LINE, Shared};
use super::cpu::Isa;
use super::precision::Precision;
use super::simd::{Kernel, Simd, Vector};
use super::threads::{Threads, share};
use std::ops::Range;

use self::encode::offset;
pub(crate) use self::encode::{byte_scale, encode, encode_plain, scale_plain, store_float};

impl Precision {
    /// The type in which the activations of a layer of this type are stored.
    pub(crate) fn of_activations(self, isa: Isa) -> Precision {
        match self {
            Precision::Bf16 if isa.bf16_words() == 2 => Precision::F32,
            precision => precision,
        }
    }
}

/// Packed rows of activations, `(rows, width)`. Memory is kept for the next use.
pub struct Activations {
    /// The type of the layer that takes them.
    precision: Precision,
    /// The type they are stored in.
    stored: Precision,
    shape: Shape,
    buffer: Buffer,
    /// One per row, `largest |x| / 127`; only for bytes.
    scales: Vec<f32>,
    /// Rows in f32 until their scales are known; only for bytes.
    staging: Vec<f32>,
}

/// The layout of rows and columns in the buffer.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    /// Cache lines per row.
    pub(crate) lines: usize,
    /// The number of tiles; their heights differ by at most one.
    pub(crate) tiles: usize,
}

impl Shape {
    fn new(rows: usize, width: usize, stored: Precision, isa: Isa) -> Self {
        Shape {
            rows,
            width,
            lines: width.div_ceil(stored.line_values()),
            tiles: rows.div_ceil(isa.tile_rows()),
        }
    }

    /// The rows of tile `t`.
    pub(crate) fn tile(&self, t: usize) -> Range<usize> {
        share(self.rows, self.tiles, t)
    }

    /// The byte offset of a row and the distance between its lines. Finding its tile takes some divisions.
    fn row(&self, row: usize) -> (usize, usize) {
        self.row_in(&self.tile(((row + 1) * self.tiles - 1) / self.rows), row)
    }

    /// [`Shape::row`] for a row whose tile is known.
    #[inline(always)]
    fn row_in(&self, tile: &Range<usize>, row: usize) -> (usize, usize) {
        let start = tile.start * self.lines + (row - tile.start);
        (start * LINE, tile.len() * LINE)
    }
}

impl Activations {
    /// No rows.
    pub fn new(precision: Precision) -> Self {
        Activations {
            precision,
            stored: precision,
            shape: Shape {
                rows: 0,
                width: 0,
                lines: 0,
                tiles: 0,
            },
            buffer: Buffer::default(),
            scales: Vec::new(),
            staging: Vec::new(),
        }
    }

    /// The number type of the layer that takes them.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The type they are stored in: see [`Precision::of_activations`].
    pub(crate) fn stored(&self) -> Precision {
        self.stored
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// The number of values per row.
    pub fn width(&self) -> usize {
        self.shape.width
    }

    /// Takes the rows of `x`, row-major `(rows, width)`, and rounds them to the number type.
    pub fn fill(&mut self, x: &[f32], width: usize, threads: &Threads) {
        assert!(
            width > 0 && x.len().is_multiple_of(width),
            "{} values in rows of {width}",
            x.len()
        );
        let writer = self.reset(x.len() / width, width, threads);
        threads.split(x.len() / width, |rows| threads.isa().run(Fill { x, rows, writer }));
    }

    /// Makes room for `rows` rows of `width` values. Their content is unspecified, except that the last line is zero
    /// past `width`.
    pub(crate) fn reset(&mut self, rows: usize, width: usize, threads: &Threads) -> Writer {
        self.stored = self.precision.of_activations(threads.isa());
        let shape = Shape::new(rows, width, self.stored, threads.isa());
        self.shape = shape;
        self.buffer.reserve(rows * shape.lines * LINE);
        self.scales.resize(rows, 1.0);
        let bytes = self.buffer.bytes_mut();
        if !width.is_multiple_of(self.stored.line_values()) {
            for row in 0..rows {
                let (start, stride) = shape.row(row);
                bytes[start + (shape.lines - 1) * stride..][..LINE].fill(0);
            }
        }
        Writer {
            precision: self.stored,
            shape,
            base: Shared::new(bytes),
            scales: Shared::new(&mut self.scales),
        }
    }

    /// Takes the `rows` rows of `width` values that `compute` writes, row-major, to memory that is kept for the next use.
    pub(crate) fn fill_by(
        &mut self,
        (rows, width): (usize, usize),
        threads: &Threads,
        compute: impl FnOnce(&mut [f32]),
    ) {
        let mut staging = std::mem::take(&mut self.staging);
        if staging.len() < rows * width {
            staging.resize(rows * width, 0.0);
        }
        let x = &mut staging[..rows * width];
        compute(x);
        self.fill(x, width, threads);
        self.staging = staging;
    }

    /// The rows after rounding, row-major.
    #[cfg(test)]
    pub(crate) fn decode(&self, threads: &Threads) -> Vec<f32> {
        let added = threads.isa().added();
        let values = self.stored.line_values();
        let decode = |i: usize| {
            let (row, column) = (i / self.shape.width, i % self.shape.width);
            let (start, stride) = self.shape.row(row);
            let bytes = &self.buffer.bytes()[start + column / values * stride + column % values * (LINE / values)..];
            match self.stored {
                Precision::F32 => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                Precision::Bf16 => half::bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
                Precision::Int8 => f32::from(bytes[0].wrapping_sub(added).cast_signed()) * self.scales[row],
            }
        };
        (0..self.shape.rows * self.shape.width).map(decode).collect()
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// All lines of the tile that consists of `rows`.
    pub(crate) fn tile_bytes(&self, rows: &Range<usize>) -> &[u8] {
        &self.buffer.bytes()[rows.start * self.shape.lines * LINE..rows.end * self.shape.lines * LINE]
    }

    pub(crate) fn scales(&self) -> &[f32] {
        &self.scales
    }
}

/// Writes rows of [`Activations`]; workers can share it.
#[derive(Clone, Copy)]
pub(crate) struct Writer {
    pub(crate) precision: Precision,
    pub(crate) shape: Shape,
    base: Shared<u8>,
    scales: Shared<f32>,
}

impl Writer {
    /// Writes `x` as the whole of `row`.
    ///
    /// # Safety
    /// The `Activations` are still borrowed and have not been reset, and no other worker writes this row.
    #[inline(always)]
    pub(crate) unsafe fn put<S: Simd>(self, s: S, row: usize, x: &[f32]) {
        assert!(
            row < self.shape.rows && x.len() == self.shape.width,
            "row {row} of {} values",
            x.len()
        );
        let (start, stride) = self.shape.row(row);
        // SAFETY: the row and all of its lines are inside the buffer; the rest is the caller's promise.
        unsafe {
            let scale = match self.precision {
                Precision::Int8 => byte_scale(s, x),
                Precision::F32 | Precision::Bf16 => 1.0,
            };
            encode(s, (self.precision, scale), x, self.base.get().add(start), stride);
            if self.precision == Precision::Int8 {
                if S::ADDED != 0 {
                    offset(s, self.base.get().add(start), stride, self.shape.lines);
                }
                self.scales.get().add(row).write(scale);
            }
        }
    }

    /// [`Writer::put`] in plain code.
    ///
    /// # Safety
    /// As for [`Writer::put`].
    pub(crate) unsafe fn put_plain(self, row: usize, x: &[f32]) {
        assert!(
            row < self.shape.rows && x.len() == self.shape.width,
            "row {row} of {} values",
            x.len()
        );
        let (start, stride) = self.shape.row(row);
        let mut line = [0; LINE];
        let scale = scale_plain(self.precision, x);
        for (l, values) in x.chunks(self.precision.line_values()).enumerate() {
            encode_plain(self.precision, values, scale, &mut line);
            if self.precision == Precision::Int8 {
                line.iter_mut().for_each(|byte| *byte ^= 0x80);
            }
            // SAFETY: line `l` of the row is inside the buffer; the rest is the caller's promise.
            unsafe { self.base.get().add(start + l * stride).copy_from(line.as_ptr(), LINE) };
        }
        if self.precision == Precision::Int8 {
            // SAFETY: there is one scale per row; the rest is the caller's promise.
            unsafe { self.scales.get().add(row).write(scale) };
        }
    }

    /// The destination of `row`.
    #[inline(always)]
    pub(crate) fn row(self, row: usize) -> RowWriter {
        self.row_writer(self.shape.row(row))
    }

    /// [`Writer::row`] for a row whose tile is known; saves the divisions.
    #[inline(always)]
    pub(crate) fn row_in(self, tile: &Range<usize>, row: usize) -> RowWriter {
        self.row_writer(self.shape.row_in(tile, row))
    }

    #[inline(always)]
    fn row_writer(self, (start, stride): (usize, usize)) -> RowWriter {
        RowWriter {
            precision: self.precision,
            start: self.base.get().wrapping_add(start),
            stride,
        }
    }
}

/// The destination of one row: cache lines, `stride` bytes apart.
#[derive(Clone, Copy)]
pub(crate) struct RowWriter {
    pub(crate) precision: Precision,
    pub(crate) start: *mut u8,
    pub(crate) stride: usize,
}

impl RowWriter {
    /// The address of a column. The columns up to the next multiple of 16 follow it directly.
    #[inline(always)]
    pub(crate) fn at(self, column: usize) -> *mut u8 {
        let byte = column * self.precision.bytes();
        self.start.wrapping_add(byte / LINE * self.stride + byte % LINE)
    }
}

struct Fill<'a> {
    x: &'a [f32],
    rows: Range<usize>,
    writer: Writer,
}

impl Fill<'_> {
    fn row(&self, row: usize) -> &[f32] {
        let width = self.writer.shape.width;
        &self.x[row * width..][..width]
    }
}

impl Vector for Fill<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        for row in self.rows.clone() {
            // SAFETY: `Activations::fill` holds the buffer and assigns each row to one worker.
            unsafe { self.writer.put(s, row, self.row(row)) };
        }
    }
}

impl Kernel for Fill<'_> {
    fn plain(self) {
        for row in self.rows.clone() {
            // SAFETY: as above.
            unsafe { self.writer.put_plain(row, self.row(row)) };
        }
    }
}

#[cfg(test)]
mod tests;
