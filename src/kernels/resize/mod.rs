//! The two passes of a separable resize of bytes, in Pillow's fixed point. `preprocess::resize` combines them.
//!
//! An output byte is `clamp((2^21 + Σ weight · byte) >> 22)`, with integer weights of 22 fractional bits, as in Pillow's
//! `src/libImaging/Resample.c`. All arithmetic is exact on integers, so every instruction set gives the portable code's
//! bytes. Rows are interleaved channels without padding, `(height, width, channels)`, row-major. An instruction set
//! without its own passes (see [`Simd::resize_rows`]) runs the portable ones.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
pub(super) mod axis;
pub(super) mod portable;
#[cfg(test)]
mod tests;

pub(crate) use axis::{Axis, Rows, WEIGHT_BITS};

use super::cpu::{Isa, Level};
use super::simd::{Kernel, Simd, Vector};

/// Resizes every row along its length: `(height, width, channels)` → `(height, axis.len(), channels)` into `out`.
pub(crate) fn horizontal(rows: Rows<'_>, axis: &Axis, out: &mut [u8]) {
    horizontal_with(Isa::detect(Level::best()), rows, axis, out);
}

/// Resizes the columns: `(height, width, channels)` → `(axis.len(), width, channels)` into `out`.
pub(crate) fn vertical(rows: Rows<'_>, axis: &Axis, out: &mut [u8]) {
    vertical_with(Isa::detect(Level::best()), rows, axis, out);
}

fn horizontal_with(isa: Isa, rows: Rows<'_>, axis: &Axis, out: &mut [u8]) {
    rows.check();
    assert!(
        axis.span().end <= rows.width,
        "axis reads to {}, rows have {}",
        axis.span().end,
        rows.width
    );
    assert_eq!(
        out.len(),
        rows.height() * axis.len() * rows.channels,
        "bytes of the output"
    );
    isa.run(Horizontal { rows, axis, out });
}

fn vertical_with(isa: Isa, rows: Rows<'_>, axis: &Axis, out: &mut [u8]) {
    rows.check();
    assert!(
        axis.span().end <= rows.height(),
        "axis reads to {}, there are {}",
        axis.span().end,
        rows.height()
    );
    assert_eq!(out.len(), axis.len() * rows.row_bytes(), "bytes of the output");
    isa.run(Vertical { rows, axis, out });
}

/// The horizontal pass, for [`Isa::run`].
struct Horizontal<'a> {
    rows: Rows<'a>,
    axis: &'a Axis,
    out: &'a mut [u8],
}

impl Vector for Horizontal<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S) {
        simd.resize_rows(self.rows, self.axis, self.out);
    }
}

impl Kernel for Horizontal<'_> {
    fn plain(self) {
        portable::horizontal(self.rows, self.axis, self.out);
    }
}

/// The vertical pass, for [`Isa::run`].
struct Vertical<'a> {
    rows: Rows<'a>,
    axis: &'a Axis,
    out: &'a mut [u8],
}

impl Vector for Vertical<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S) {
        simd.resize_columns(self.rows, self.axis, self.out);
    }
}

impl Kernel for Vertical<'_> {
    fn plain(self) {
        portable::vertical(self.rows, self.axis, self.out);
    }
}
