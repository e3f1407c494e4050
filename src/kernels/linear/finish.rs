//! The processing of a tile's sums while they are in the first-level cache: scale, bias, activation, residual,
//! rounding.

use super::{Activation, Linear};
use crate::kernels::activations::{Writer, store_float};
use crate::kernels::buffer::{LINE, Shared};
use crate::kernels::precision::Precision;
use crate::kernels::simd::tile::{Dot, PANEL};
use crate::kernels::simd::{Simd, math};
use half::bf16;
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

/// Where a column of a tile goes.
struct Destination {
    /// The place in the first row.
    to: *mut u8,
    /// Bytes from one row to the next.
    stride: usize,
    precision: Precision,
    /// Whether to add to what is there.
    adds: bool,
}

/// The parameters of `LANES` outputs of a panel.
#[derive(Clone, Copy)]
struct Lanes<S: Simd> {
    bias: S::F,
    scales: S::F,
    offsets: S::I,
}

/// An activation on vectors. It is a type because a closure would not be compiled with the instruction set enabled.
trait Function {
    fn apply<S: Simd>(s: S, x: S::F) -> S::F;
}

struct Identity;
struct QuickGelu;
struct Gelu;
struct GeluTanh;

impl Function for Identity {
    #[inline(always)]
    fn apply<S: Simd>(_: S, x: S::F) -> S::F {
        x
    }
}

impl Function for QuickGelu {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::F) -> S::F {
        math::quick_gelu(s, x)
    }
}

impl Function for Gelu {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::F) -> S::F {
        math::gelu(s, x)
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    fn apply<S: Simd>(s: S, x: S::F) -> S::F {
        math::gelu_tanh(s, x)
    }
}

impl Finish<'_> {
    /// Finishes `sums`, `[rows][32]` words.
    #[inline(always)]
    pub(super) fn vector<S: Simd, D: Dot>(&self, s: S, sums: &[u32]) {
        match self.activation {
            Activation::Identity => self.activate::<S, D, Identity>(s, sums),
            Activation::QuickGelu => self.activate::<S, D, QuickGelu>(s, sums),
            Activation::Gelu => self.activate::<S, D, Gelu>(s, sums),
            Activation::GeluTanh => self.activate::<S, D, GeluTanh>(s, sums),
        }
    }

    #[inline(always)]
    fn activate<S: Simd, D: Dot, A: Function>(&self, s: S, sums: &[u32]) {
        if self.columns() < PANEL {
            return self.finish_last::<S, D, A>(s, sums);
        }
        for i in (0..PANEL).step_by(S::LANES) {
            let lanes = self.lanes(s, i);
            let Destination {
                mut to,
                stride,
                precision,
                adds,
            } = self.destination(self.panel * PANEL + i);
            for (row, sums) in self.rows.clone().zip(sums.chunks_exact(PANEL)) {
                let x = A::apply(s, self.value::<S, D>(s, lanes, row, &sums[i..i + S::LANES]));
                // SAFETY: row and column are inside the output, whose length `Linear` asserted; no other worker has this
                // tile and panel.
                unsafe {
                    let x = if adds { s.add(s.load(to.cast()), x) } else { x };
                    store_float(s, precision, to, x);
                }
                to = to.wrapping_add(stride);
            }
        }
    }

    /// Where a column of the first row goes.
    #[inline(always)]
    fn destination(&self, column: usize) -> Destination {
        match self.output {
            Output::Store(out) | Output::Add(out) => Destination {
                to: out
                    .get()
                    .wrapping_add(self.rows.start * self.linear.n_out + column)
                    .cast(),
                stride: self.linear.n_out * 4,
                precision: Precision::F32,
                adds: matches!(self.output, Output::Add(_)),
            },
            Output::Pack(writer) => Destination {
                to: writer.row_in(&self.rows, self.rows.start).at(column),
                stride: LINE,
                precision: writer.precision,
                adds: false,
            },
        }
    }

    /// Finishes a panel with fewer than 32 outputs, which is the last one.
    #[inline(always)]
    fn finish_last<S: Simd, D: Dot, A: Function>(&self, s: S, sums: &[u32]) {
        for (row, sums) in self.rows.clone().zip(sums.chunks_exact(PANEL)) {
            let mut values = [0.0; PANEL];
            for (i, to) in (0..PANEL).step_by(S::LANES).zip(values.chunks_exact_mut(S::LANES)) {
                let x = A::apply(s, self.value::<S, D>(s, self.lanes(s, i), row, &sums[i..i + S::LANES]));
                // SAFETY: the chunk holds `LANES` values.
                unsafe { s.store(to.as_mut_ptr(), x) };
            }
            self.store_part(row, &values);
        }
    }

    /// The parameters of outputs `i..i + LANES` of this panel.
    #[inline(always)]
    fn lanes<S: Simd>(&self, s: S, i: usize) -> Lanes<S> {
        let columns = self.panel * PANEL + i..self.panel * PANEL + i + S::LANES;
        let linear = self.linear;
        let (bias, scales) = (&linear.bias[columns.clone()], &linear.scales[columns.clone()]);
        let offsets = &linear.offsets[columns];
        // SAFETY: all three slices have `LANES` values.
        unsafe {
            Lanes {
                bias: s.load(bias.as_ptr()),
                scales: s.load(scales.as_ptr()),
                offsets: s.load_words(offsets.as_ptr().cast()),
            }
        }
    }

    /// `LANES` outputs of `row`, before the activation.
    #[inline(always)]
    fn value<S: Simd, D: Dot>(&self, s: S, lanes: Lanes<S>, row: usize, sums: &[u32]) -> S::F {
        assert_eq!(sums.len(), S::LANES);
        // SAFETY: the slice has `LANES` words.
        let words = unsafe { s.load_words(sums.as_ptr().cast()) };
        let product = match D::PRECISION {
            Precision::F32 | Precision::Bf16 => s.as_f32(words),
            Precision::Int8 => {
                let exact = s.add_words(words, lanes.offsets);
                s.mul(s.to_f32(exact), s.mul(s.splat(self.row_scales[row]), lanes.scales))
            }
        };
        s.add(product, lanes.bias)
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
                    Activation::GeluTanh => math::gelu_tanh_plain(x),
                };
            }
            self.store_part(row, &values);
        }
    }

    /// The number of outputs of this panel: 32, or fewer in the last one.
    fn columns(&self) -> usize {
        PANEL.min(self.linear.n_out - self.panel * PANEL)
    }

    /// Writes those of a panel's `values` that are outputs.
    fn store_part(&self, row: usize, values: &[f32; PANEL]) {
        for (i, x) in values[..self.columns()].iter().enumerate() {
            let column = self.panel * PANEL + i;
            // SAFETY: as in `activate`.
            unsafe {
                match self.output {
                    Output::Store(out) => out.get().add(row * self.linear.n_out + column).write(*x),
                    Output::Add(out) => *out.get().add(row * self.linear.n_out + column) += x,
                    Output::Pack(writer) => {
                        let to = writer.row_in(&self.rows, row).at(column);
                        match writer.precision {
                            Precision::F32 => to.cast::<f32>().write(*x),
                            Precision::Bf16 | Precision::Int8 => to.cast::<bf16>().write_unaligned(bf16::from_f32(*x)),
                        }
                    }
                }
            }
        }
    }
}
