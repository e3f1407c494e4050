//! The processing of a tile's sums while they are in the first-level cache: scale, bias, activation, residual,
//! rounding.

use super::{Activation, Linear};
use crate::kernels::activations::{Writer, store_float};
use crate::kernels::buffer::Shared;
use crate::kernels::precision::Precision;
use crate::kernels::simd::tile::PANEL;
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
    pub(super) fn vector<S: Simd>(&self, s: S, sums: &[u32]) {
        match self.activation {
            Activation::Identity => self.activate::<S, Identity>(s, sums),
            Activation::QuickGelu => self.activate::<S, QuickGelu>(s, sums),
            Activation::Gelu => self.activate::<S, Gelu>(s, sums),
            Activation::GeluTanh => self.activate::<S, GeluTanh>(s, sums),
        }
    }

    #[inline(always)]
    fn activate<S: Simd, A: Function>(&self, s: S, sums: &[u32]) {
        if self.columns() < PANEL {
            return self.finish_last::<S, A>(s, sums);
        }
        for i in (0..PANEL).step_by(S::LANES) {
            let lanes = self.lanes(s, i);
            for (row, sums) in self.rows.clone().zip(sums.chunks_exact(PANEL)) {
                let x = A::apply(s, self.value(s, lanes, row, &sums[i..i + S::LANES]));
                self.store_vector(s, row, i, x);
            }
        }
    }

    /// Finishes a panel with fewer than 32 outputs, which is the last one.
    #[inline(always)]
    fn finish_last<S: Simd, A: Function>(&self, s: S, sums: &[u32]) {
        for (row, sums) in self.rows.clone().zip(sums.chunks_exact(PANEL)) {
            let mut values = [0.0; PANEL];
            for (i, to) in (0..PANEL).step_by(S::LANES).zip(values.chunks_exact_mut(S::LANES)) {
                let x = A::apply(s, self.value(s, self.lanes(s, i), row, &sums[i..i + S::LANES]));
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
    fn value<S: Simd>(&self, s: S, lanes: Lanes<S>, row: usize, sums: &[u32]) -> S::F {
        assert_eq!(sums.len(), S::LANES);
        // SAFETY: the slice has `LANES` words.
        let words = unsafe { s.load_words(sums.as_ptr().cast()) };
        let product = match self.linear.precision {
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

    /// Writes outputs `i..i + LANES` of a whole panel.
    #[inline(always)]
    fn store_vector<S: Simd>(&self, s: S, row: usize, i: usize, x: S::F) {
        let column = self.panel * PANEL + i;
        // SAFETY: row and column are inside the output, whose length `Linear` asserted; no other worker has this tile
        // and panel.
        unsafe {
            match self.output {
                Output::Store(out) => s.store(out.get().add(row * self.linear.n_out + column), x),
                Output::Add(out) => {
                    let to = out.get().add(row * self.linear.n_out + column);
                    s.store(to, s.add(s.load(to), x));
                }
                Output::Pack(writer) => {
                    store_float(s, writer.precision, writer.row_in(&self.rows, row).at(column), x);
                }
            }
        }
    }

    /// Writes those of a panel's `values` that are outputs.
    fn store_part(&self, row: usize, values: &[f32; PANEL]) {
        for (i, x) in values[..self.columns()].iter().enumerate() {
            let column = self.panel * PANEL + i;
            // SAFETY: as in `store_vector`.
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
