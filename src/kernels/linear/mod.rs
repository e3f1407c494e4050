//! A linear layer, `out = f(x · Wᵀ + b)`: weights are packed once, and all that follows the product is fused with it.
//!
//! The model calls it for patches, q/k/v, the output projection of attention, both layers of the MLP and the final
//! projection. Row-major `(n_out, n_in)` weights become panels of 32 outputs (see `simd/tile.rs`); [`Activations`] are read
//! directly. The result of a row is the same to the bit in any batch and on any number of threads.

mod finish;
mod pack;
mod portable;
mod product;
#[cfg(test)]
mod tests;

use super::activations::Activations;
use super::buffer::{Buffer, LINE, Shared};
use super::precision::Precision;
use super::simd::tile::{LINE_STEPS, PANEL, STEP};
use super::threads::{Threads, share};
pub(crate) use finish::Output;
pub use pack::{NotFinite, Weights};
use product::{Order, Product};

/// The function applied to each output after its bias was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// `x · σ(1.702 x)`, as in CLIP.
    QuickGelu,
    /// `x · Φ(x)`, with erf.
    Gelu,
    /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    GeluTanh,
}

/// The packed weights and bias of a layer from `n_in` to `n_out`.
pub struct Linear {
    n_out: usize,
    n_in: usize,
    precision: Precision,
    /// Cache lines per row of weights, each of which is 16 steps of a panel.
    lines: usize,
    panels: Buffer,
    /// One per output, like those below, padded with zeroes to whole panels.
    bias: Vec<f32>,
    /// `largest |w| / 127` for signed bytes, or more: see [`Simd`](super::simd::Simd::least_weight_scale). Otherwise 1.
    scales: Vec<f32>,
    /// −128 · Σ w for signed bytes, if 128 is added to the bytes of activations: compensates for it.
    offsets: Vec<i32>,
}

impl Linear {
    /// Packs `weights`, row-major `(n_out, n_in)`, and `bias`, `n_out` values or none. They need not be finite.
    pub fn pack(
        weights: Weights<'_>,
        bias: Option<&[f32]>,
        shape: (usize, usize),
        precision: Precision,
        threads: &Threads,
    ) -> Self {
        let mut linear = Linear::empty(precision);
        // Values that aren't finite are packed like any number and affect only their own output.
        let (Ok(()) | Err(NotFinite)) = linear.pack_again(weights, bias, shape, threads);
        linear
    }

    /// An empty layer of a number type, to be filled by [`Linear::pack_again`].
    pub fn empty(precision: Precision) -> Self {
        Linear {
            n_out: 0,
            n_in: 0,
            precision,
            lines: 0,
            panels: Buffer::default(),
            bias: Vec::new(),
            scales: Vec::new(),
            offsets: Vec::new(),
        }
    }

    /// Packs another layer into this one, reusing its memory if it is large enough.
    ///
    /// # Errors
    /// [`NotFinite`] if a weight isn't finite; the layer is packed nevertheless.
    pub fn pack_again(
        &mut self,
        weights: Weights<'_>,
        bias: Option<&[f32]>,
        (n_out, n_in): (usize, usize),
        threads: &Threads,
    ) -> Result<(), NotFinite> {
        assert_eq!(weights.len(), n_out * n_in, "weights of a layer from {n_in} to {n_out}");
        (self.n_out, self.n_in) = (n_out, n_in);
        self.lines = n_in.div_ceil(self.precision.line_values());
        self.panels.reserve(self.n_panels() * self.lines * LINE_STEPS * STEP);
        let n_padded = self.n_panels() * PANEL;
        self.bias.clear();
        if let Some(bias) = bias {
            assert_eq!(bias.len(), n_out, "a bias for {n_out} outputs");
            self.bias.extend_from_slice(bias);
        }
        self.bias.resize(n_padded, 0.0);
        self.scales.clear();
        self.scales.resize(n_padded, 1.0);
        self.offsets.clear();
        self.offsets.resize(n_padded, 0);
        pack::pack(self, weights, threads)
    }

    /// The number of outputs.
    pub fn n_out(&self) -> usize {
        self.n_out
    }

    /// The number of inputs.
    pub fn n_in(&self) -> usize {
        self.n_in
    }

    /// The number type of its products. The [`Activations`] given to it must have the same.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// `out = f(x · Wᵀ + b)`, `out` row-major `(rows, n_out)`.
    pub fn run(&self, x: &Activations, activation: Activation, out: &mut [f32], threads: &Threads) {
        assert_eq!(
            out.len(),
            x.rows() * self.n_out,
            "{} rows of {} outputs",
            x.rows(),
            self.n_out
        );
        self.product(x, activation, Output::Store(Shared::new(out)), threads);
    }

    /// `out += x · Wᵀ + b`, the residual connection; `out` row-major `(rows, n_out)`.
    pub fn run_add(&self, x: &Activations, out: &mut [f32], threads: &Threads) {
        assert_eq!(
            out.len(),
            x.rows() * self.n_out,
            "{} rows of {} outputs",
            x.rows(),
            self.n_out
        );
        self.product(x, Activation::Identity, Output::Add(Shared::new(out)), threads);
    }

    /// `out = f(x · Wᵀ + b)`, written as the next layer's input.
    pub fn run_into(&self, x: &Activations, activation: Activation, out: &mut Activations, threads: &Threads) {
        if out.precision() == Precision::Int8 {
            // The scale of a row is known only after all of its outputs.
            out.fill_by((x.rows(), self.n_out), threads, |rows| {
                self.run(x, activation, rows, threads);
            });
        } else {
            let writer = out.reset(x.rows(), self.n_out, threads);
            self.product(x, activation, Output::Pack(writer), threads);
        }
    }

    fn product(&self, x: &Activations, activation: Activation, output: Output, threads: &Threads) {
        let (precision, width) = (x.precision(), x.width());
        assert!(
            precision == self.precision
                && (width == self.n_in && x.stored() == precision.of_activations(threads.isa()) || x.rows() == 0),
            "{precision:?} activations of width {width} for a {:?} layer from {}",
            self.precision,
            self.n_in
        );
        let lines_at_once = x.shape().lines.min(threads.isa().depth_lines());
        let order = Order::new(x.shape().tiles, self.n_panels(), x.shape().rows * lines_at_once * LINE);
        threads.run(|worker, scratch| {
            threads.isa().run(Product {
                linear: self,
                x,
                order,
                part: share(order.len(), threads.count(), worker),
                activation,
                output,
                scratch,
            });
        });
    }

    fn n_panels(&self) -> usize {
        self.n_out.div_ceil(PANEL)
    }

    /// Panel `p` with all of its steps.
    fn panel(&self, p: usize) -> &[u8] {
        let bytes = self.lines * LINE_STEPS * STEP;
        &self.panels.bytes()[p * bytes..][..bytes]
    }
}
