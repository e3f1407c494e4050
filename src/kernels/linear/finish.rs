//! What happens to a tile's sums while they are still in the first cache: scale, bias, activation, residual, rounding.

use super::tile::PANEL;
use super::{Activation, Linear};
use crate::kernels::activations::{Precision, Writer};
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
        let column = self.panel * PANEL;
        let (bias, scales) = (
            &self.linear.bias[column..][..PANEL],
            &self.linear.scales[column..][..PANEL],
        );
        let offsets = &self.linear.offsets[column..][..PANEL];
        for (row, sums) in self.rows.clone().zip(sums.chunks_exact(PANEL)) {
            let mut values = [0.0; PANEL];
            for i in (0..PANEL).step_by(S::LANES) {
                // SAFETY: all five slices have 32 values, and `LANES` divides 32.
                unsafe {
                    let words = s.load_words(sums.as_ptr().add(i).cast());
                    let product = match self.linear.precision {
                        Precision::F32 | Precision::Bf16 => s.as_f32(words),
                        Precision::Int8 => {
                            let exact = s.add_words(words, s.load_words(offsets.as_ptr().add(i).cast()));
                            let scale = s.mul(s.splat(self.row_scales[row]), s.load(scales.as_ptr().add(i)));
                            s.mul(s.to_f32(exact), scale)
                        }
                    };
                    let x = s.add(product, s.load(bias.as_ptr().add(i)));
                    let x = match self.activation {
                        Activation::Identity => x,
                        Activation::QuickGelu => math::quick_gelu(s, x),
                        Activation::Gelu => math::gelu(s, x),
                    };
                    s.store(values.as_mut_ptr().add(i), x);
                }
            }
            if self.columns() == PANEL {
                self.emit_whole(s, row, &values);
            } else {
                self.emit_part(row, &values);
            }
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

    #[inline(always)]
    fn emit_whole<S: Simd>(&self, s: S, row: usize, values: &[f32; PANEL]) {
        let column = self.panel * PANEL;
        for i in (0..PANEL).step_by(S::LANES) {
            // SAFETY: row and column lie inside the output, whose length `Linear` asserted; no other worker has this
            // tile and panel.
            unsafe {
                let x = s.load(values.as_ptr().add(i));
                match self.output {
                    Output::Store(out) => s.store(out.get().add(row * self.linear.n_out + column + i), x),
                    Output::Add(out) => {
                        let to = out.get().add(row * self.linear.n_out + column + i);
                        s.store(to, s.add(s.load(to), x));
                    }
                    Output::Pack(writer) if writer.precision == Precision::F32 => {
                        s.store(writer.at(row, column + i).cast(), x);
                    }
                    Output::Pack(writer) => s.store_bf16(writer.at(row, column + i), x),
                }
            }
        }
    }

    fn emit_part(&self, row: usize, values: &[f32; PANEL]) {
        for (i, x) in values[..self.columns()].iter().enumerate() {
            let column = self.panel * PANEL + i;
            // SAFETY: as in `emit_whole`.
            unsafe {
                match self.output {
                    Output::Store(out) => out.get().add(row * self.linear.n_out + column).write(*x),
                    Output::Add(out) => *out.get().add(row * self.linear.n_out + column) += x,
                    Output::Pack(writer) if writer.precision == Precision::F32 => {
                        writer.at(row, column).cast::<f32>().write_unaligned(*x);
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
