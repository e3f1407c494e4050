//! What happens to a tile's sums while they are still in the first cache: scale, bias, activation, residual, rounding.

use super::tile::PANEL;
use super::{Activation, Linear};
use crate::kernels::activations::{Precision, Writer, store_float};
use crate::kernels::buffer::Shared;
use crate::kernels::simd::{Simd, math};
use std::ops::Range;

/// Where outputs go.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    /// Row-major `(rows, n_out)`, overwritten.
    Store(Shared<f32>),
    /// Row-major `(rows, n_out)`, added to.
    Add(Shared<f32>),
    /// The next layer's activations, f32 or bf16.
    Pack(Writer),
}

/// One tile of one panel, to be finished.
pub(super) struct Finish<'a> {
    pub(super) linear: &'a Linear,
    pub(super) row_scales: &'a [f32],
    pub(super) rows: Range<usize>,
    pub(super) panel: usize,
    pub(super) activation: Activation,
    pub(super) output: Output,
}

impl Finish<'_> {
    /// Finishes `sums`, `[rows][32]` words.
    #[inline(always)]
    pub(super) fn vector<S: Simd>(&self, s: S, sums: &[u32]) {
        for (row, sums) in self.rows.clone().zip(sums.chunks_exact(PANEL)) {
            if self.columns() == PANEL {
                for i in (0..PANEL).step_by(S::LANES) {
                    self.emit_vector(s, row, i, self.value(s, row, i, sums));
                }
            } else {
                let mut values = [0.0; PANEL];
                for (i, to) in (0..PANEL).step_by(S::LANES).zip(values.chunks_exact_mut(S::LANES)) {
                    // SAFETY: the chunk holds `LANES` values.
                    unsafe { s.store(to.as_mut_ptr(), self.value(s, row, i, sums)) };
                }
                self.emit_part(row, &values);
            }
        }
    }

    /// Outputs `i..i + LANES` of this panel for `row`.
    #[inline(always)]
    fn value<S: Simd>(&self, s: S, row: usize, i: usize, sums: &[u32]) -> S::F {
        let column = self.panel * PANEL + i;
        let linear = self.linear;
        let columns = column..column + S::LANES;
        let (bias, scales) = (&linear.bias[columns.clone()], &linear.scales[columns.clone()]);
        let (sums, offsets) = (&sums[i..i + S::LANES], &linear.offsets[columns]);
        // SAFETY: all four slices have `LANES` values.
        let x = unsafe {
            let words = s.load_words(sums.as_ptr().cast());
            let product = match linear.precision {
                Precision::F32 | Precision::Bf16 => s.as_f32(words),
                Precision::Int8 => {
                    let exact = s.add_words(words, s.load_words(offsets.as_ptr().cast()));
                    let scale = s.mul(s.splat(self.row_scales[row]), s.load(scales.as_ptr()));
                    s.mul(s.to_f32(exact), scale)
                }
            };
            s.add(product, s.load(bias.as_ptr()))
        };
        match self.activation {
            Activation::Identity => x,
            Activation::QuickGelu => math::quick_gelu(s, x),
            Activation::Gelu => math::gelu(s, x),
        }
    }

    /// [`Finish::vector`] in plain code.
    pub(super) fn plain(&self, sums: &[u32]) {
        for (row, sums) in self.rows.clone().zip(sums.chunks_exact(PANEL)) {
            let mut values = [0.0; PANEL];
            for (i, (value, sum)) in values.iter_mut().zip(sums).enumerate() {
                let column = self.panel * PANEL + i;
                let product = match self.linear.precision {
                    Precision::F32 | Precision::Bf16 => f32::from_bits(*sum),
                    Precision::Int8 => {
                        let exact = sum.cast_signed().wrapping_add(self.linear.offsets[column]);
                        exact as f32 * (self.row_scales[row] * self.linear.scales[column])
                    }
                };
                let x = product + self.linear.bias[column];
                *value = match self.activation {
                    Activation::Identity => x,
                    Activation::QuickGelu => math::quick_gelu_plain(x),
                    Activation::Gelu => math::gelu_plain(x),
                };
            }
            self.emit_part(row, &values);
        }
    }

    /// Outputs of this panel: 32, or fewer in the last.
    fn columns(&self) -> usize {
        PANEL.min(self.linear.n_out - self.panel * PANEL)
    }

    /// Writes outputs `i..i + LANES` of a whole panel.
    #[inline(always)]
    fn emit_vector<S: Simd>(&self, s: S, row: usize, i: usize, x: S::F) {
        let column = self.panel * PANEL + i;
        // SAFETY: row and column lie inside the output, whose length `Linear` asserted; no other worker has this tile
        // and panel.
        unsafe {
            match self.output {
                Output::Store(out) => s.store(out.get().add(row * self.linear.n_out + column), x),
                Output::Add(out) => {
                    let to = out.get().add(row * self.linear.n_out + column);
                    s.store(to, s.add(s.load(to), x));
                }
                Output::Pack(writer) => {
                    store_float(s, writer.precision, writer.at_in(&self.rows, row, column), x);
                }
            }
        }
    }

    fn emit_part(&self, row: usize, values: &[f32; PANEL]) {
        for (i, x) in values[..self.columns()].iter().enumerate() {
            let column = self.panel * PANEL + i;
            // SAFETY: as in `emit_vector`.
            unsafe {
                match self.output {
                    Output::Store(out) => out.get().add(row * self.linear.n_out + column).write(*x),
                    Output::Add(out) => *out.get().add(row * self.linear.n_out + column) += x,
                    Output::Pack(writer) if writer.precision == Precision::F32 => {
                        writer.at(row, column).cast::<f32>().write(*x);
                    }
                    Output::Pack(writer) => {
                        writer
                            .at(row, column)
                            .cast::<u16>()
                            .write_unaligned(half::bf16::from_f32(*x).to_bits());
                    }
                }
            }
        }
    }
}
