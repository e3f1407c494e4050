//! The input of a linear layer: rows of activations in its number type, laid out for the register tile.
//!
//! Layer norm, attention and the previous layer write their results here directly, rounded once, so that no pass is
//! needed just to repack. Rows are grouped into tiles of nearly equal height. Within a tile the columns are split into
//! cache lines: `[tile][line][row of the tile][64 bytes]`. A tile is one ascending stream of memory, which suits the
//! hardware prefetcher. In row-major order, rows whose distance is a power of two would compete for the same cache
//! sets. A cache line is 16 words; a word is one f32, two bf16 or four bytes. Bytes are `round(127 x / largest |x| of
//! the row)`, plus 128 if the instruction set multiplies unsigned bytes, with the scale stored separately. For a layer in
//! bf16, activations stay f32 if the instruction set has no products of bf16.

use super::buffer::{Buffer, LINE, Shared};
use super::cpu::Isa;
use super::simd::{Kernel, Simd, Vector};
use super::threads::{Threads, share};
use std::ops::Range;

/// The number type of a linear layer's products. Sums are f32 (i32 for bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// f32 weights and activations.
    F32,
    /// bf16 weights. Activations are bf16 too, or f32 if the instruction set has no products of bf16.
    Bf16,
    /// Signed bytes: weights with one scale per output, activations with one scale per row, computed at run time.
    Int8,
}

impl Precision {
    /// Bytes per value.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
            Precision::Int8 => 1,
        }
    }

    /// Values per cache line.
    pub(crate) fn line_values(self) -> usize {
        LINE / self.bytes()
    }

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

    /// A buffer for `len` values that [`Activations::fill`] will take. Return it with [`Activations::give_staging`].
    pub(crate) fn take_staging(&mut self, len: usize) -> Vec<f32> {
        let mut staging = std::mem::take(&mut self.staging);
        staging.resize(len, 0.0);
        staging
    }

    pub(crate) fn give_staging(&mut self, staging: Vec<f32>) {
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
            let scale = encode(s, (self.precision, BYTE_TOP), x, self.base.get().add(start), stride);
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

/// The largest byte of activations.
pub(crate) const BYTE_TOP: u8 = 127;

/// Rounds a row to `precision` and writes it as cache lines, `stride` bytes apart, with zeroes after its end. Returns
/// the scale for signed bytes, of which the largest becomes `top`, and 1 for the other types.
///
/// # Safety
/// A line of 64 bytes is writable at each stride that `x` needs, including a partial last one.
#[inline(always)]
pub(crate) unsafe fn encode<S: Simd>(
    s: S,
    (precision, top): (Precision, u8),
    x: &[f32],
    to: *mut u8,
    stride: usize,
) -> f32 {
    let (scale, inverse) = match precision {
        Precision::Int8 => {
            let scale = largest(s, x) / f32::from(top);
            (scale, if scale > 0.0 { 1.0 / scale } else { 0.0 })
        }
        Precision::F32 | Precision::Bf16 => (1.0, 1.0),
    };
    let values = precision.line_values();
    let mut lines = x.chunks_exact(values);
    let mut to = to;
    for line in &mut lines {
        // SAFETY: the caller's promise for this line.
        unsafe { encode_line(s, precision, line, inverse, to) };
        to = to.wrapping_add(stride);
    }
    let rest = lines.remainder();
    if !rest.is_empty() {
        let mut line = [0.0; LINE];
        line[..rest.len()].copy_from_slice(rest);
        // SAFETY: the caller's promise for the last line.
        unsafe { encode_line(s, precision, &line[..values], inverse, to) };
    }
    scale
}

/// # Safety
/// 64 bytes are writable at `to`.
#[inline(always)]
unsafe fn encode_line<S: Simd>(s: S, precision: Precision, line: &[f32], inverse: f32, to: *mut u8) {
    assert_eq!(line.len(), precision.line_values());
    for i in (0..line.len()).step_by(S::LANES) {
        // SAFETY: `i + LANES` values fit the line in either form, since both are multiples of the lanes.
        unsafe {
            let x = s.load(line.as_ptr().add(i));
            match precision {
                Precision::F32 | Precision::Bf16 => store_float(s, precision, to.add(i * precision.bytes()), x),
                Precision::Int8 => s.store_i8(to.add(i), s.mul(x, s.splat(inverse))),
            }
        }
    }
}

/// Stores a vector as f32 or rounded to bf16.
///
/// # Safety
/// `LANES` values of that type are writable at `to`.
#[inline(always)]
pub(crate) unsafe fn store_float<S: Simd>(s: S, precision: Precision, to: *mut u8, x: S::F) {
    // SAFETY: the caller's promise.
    unsafe {
        match precision {
            Precision::F32 => s.store(to.cast(), x),
            Precision::Bf16 | Precision::Int8 => s.store_bf16(to, x),
        }
    }
}

/// Adds 128 to signed bytes, which makes them unsigned.
///
/// # Safety
/// `lines` lines of 64 bytes, `stride` apart, are readable and writable.
#[inline(always)]
unsafe fn offset<S: Simd>(s: S, at: *mut u8, stride: usize, lines: usize) {
    for line in 0..lines {
        for word in (0..LINE / 4).step_by(S::LANES) {
            // SAFETY: the caller's promise for this line.
            unsafe {
                let at = at.add(line * stride + word * 4);
                s.store_words(at, s.xor(s.load_words(at), s.splat_word(0x8080_8080)));
            }
        }
    }
}

/// The largest |x| of a row. If the row has a NaN or ∞, the result is NaN or ∞ too, so that nothing hides it.
#[inline(always)]
fn largest<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut top = s.splat(0.0);
    // `max` drops a NaN when the next value comes; 0 · x keeps it.
    let mut not_finite = s.splat(0.0);
    let mut vectors = x.chunks_exact(S::LANES);
    for vector in &mut vectors {
        // SAFETY: the chunk holds `LANES` values.
        let v = unsafe { s.load(vector.as_ptr()) };
        top = s.max(top, s.abs(v));
        not_finite = s.mul_add(v, s.splat(0.0), not_finite);
    }
    let rest = vectors.remainder();
    let (rest_top, rest_not_finite) = rest
        .iter()
        .fold((0.0_f32, 0.0), |(top, sum), v| (top.max(v.abs()), sum + 0.0 * v));
    s.largest(top).max(rest_top) + s.sum(not_finite) + rest_not_finite
}

/// The scale of a row of bytes, largest |x| / 127; 1 for the other types.
pub(crate) fn scale_plain(precision: Precision, x: &[f32]) -> f32 {
    match precision {
        Precision::F32 | Precision::Bf16 => 1.0,
        Precision::Int8 => x.iter().fold(0.0, |top: f32, v| top.max(v.abs()) + 0.0 * v) / 127.0,
    }
}

/// Encodes one line of a row in plain code: values are rounded to nearest even, with zeroes after the last.
pub(crate) fn encode_plain(precision: Precision, values: &[f32], scale: f32, line: &mut [u8; LINE]) {
    line.fill(0);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for (x, bytes) in values.iter().zip(line.chunks_exact_mut(precision.bytes())) {
        match precision {
            Precision::F32 => bytes.copy_from_slice(&x.to_le_bytes()),
            Precision::Bf16 => bytes.copy_from_slice(&half::bf16::from_f32(*x).to_le_bytes()),
            Precision::Int8 => bytes[0] = ((x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8).cast_unsigned(),
        }
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
