//! The two passes of a separable resize of bytes, in Pillow's fixed point. `preprocess::resize` combines them.
//!
//! An output byte is `clamp((2^21 + Σ weight · byte) >> 22)`, where weights are integers with 22 fractional bits, as in
//! Pillow's `src/libImaging/Resample.c`. All arithmetic is exact on integers, so all instruction sets give the same
//! bytes as the portable code. Pixel rows are interleaved channels without padding, `(height, width, channels)`,
//! row-major.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
pub(super) mod axis;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
mod portable;
#[cfg(test)]
mod tests;

pub(crate) use axis::{Axis, PixelRows, WEIGHT_BITS};

use super::cpu::{Isa, Level};
use super::simd::{Kernel, Simd, Vector};

/// Resizes the width: `(height, width, channels)` → `(height, axis.len(), channels)`, written to `out`.
pub(crate) fn horizontal(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    horizontal_with(Isa::detect(Level::best()), rows, axis, out);
}

/// Resizes the height: `(height, width, channels)` → `(axis.len(), width, channels)`, written to `out`.
pub(crate) fn vertical(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    vertical_with(Isa::detect(Level::best()), rows, axis, out);
}

fn horizontal_with(isa: Isa, rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    rows.check();
    assert!(
        axis.span().end <= rows.width,
        "the axis reads up to column {}, but rows have {}",
        axis.span().end,
        rows.width
    );
    assert_eq!(
        out.len(),
        rows.height() * axis.len() * rows.channels,
        "the output has the wrong size"
    );
    isa.run(Horizontal { rows, axis, out });
}

fn vertical_with(isa: Isa, rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    rows.check();
    assert!(
        axis.span().end <= rows.height(),
        "the axis reads up to row {}, but there are {}",
        axis.span().end,
        rows.height()
    );
    assert_eq!(
        out.len(),
        axis.len() * rows.row_bytes(),
        "the output has the wrong size"
    );
    isa.run(Vertical { rows, axis, out });
}

/// The horizontal pass, for [`Isa::run`].
struct Horizontal<'a> {
    rows: PixelRows<'a>,
    axis: &'a Axis,
    out: &'a mut [u8],
}

impl Vector for Horizontal<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S) {
        simd.resize_horizontally(self.rows, self.axis, self.out);
    }
}

impl Kernel for Horizontal<'_> {
    fn plain(self) {
        portable::horizontal(self.rows, self.axis, self.out);
    }
}

/// The vertical pass, for [`Isa::run`].
struct Vertical<'a> {
    rows: PixelRows<'a>,
    axis: &'a Axis,
    out: &'a mut [u8],
}

impl Vector for Vertical<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S) {
        simd.resize_vertically(self.rows, self.axis, self.out);
    }
}

impl Kernel for Vertical<'_> {
    fn plain(self) {
        portable::vertical(self.rows, self.axis, self.out);
    }
}
