//! A linear layer `y = x · Wᵀ + b` and its gradients `dx = g · W`, `dW = gᵀ · x`, `db = Σ g`.

use rayon::prelude::*;

use super::product::{Matrix, Update, Workers, product};
use super::{ROWS_PER_TASK, sum_of_parts};

/// The memory order of a layer's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WeightOrder {
    /// `(n_out, n_in)`, as in the layers of a block.
    OutIn,
    /// `(n_in, n_out)`, as in a projection.
    InOut,
}

/// The shape of a layer and the memory order of its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layer {
    pub(crate) n_in: usize,
    pub(crate) n_out: usize,
    pub(crate) order: WeightOrder,
}

impl Layer {
    /// The weights as an `(n_in, n_out)` matrix.
    fn weights<'a>(&self, values: &'a [f32]) -> Matrix<'a> {
        match self.order {
            WeightOrder::OutIn => Matrix::new(values, self.n_out, self.n_in).transposed(),
            WeightOrder::InOut => Matrix::new(values, self.n_in, self.n_out),
        }
    }

    /// `x (rows, n_in)` to `(rows, n_out)`.
    pub(crate) fn forward(&self, x: &[f32], weights: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let rows = x.len() / self.n_in;
        let x = Matrix::new(x, rows, self.n_in);
        let operands = (x, self.weights(weights));
        let Some(bias) = bias else {
            let mut y = vec![0.0; rows * self.n_out];
            product(operands, 1.0, (&mut y, self.n_out), Update::Store, Workers::All);
            return y;
        };
        let mut y = Vec::with_capacity(rows * self.n_out);
        (0..rows).for_each(|_| y.extend_from_slice(bias));
        product(operands, 1.0, (&mut y, self.n_out), Update::Add, Workers::All);
        y
    }

    /// The gradient with respect to `x`, where `g (rows, n_out)` is the gradient with respect to the result.
    pub(crate) fn by_input(&self, g: &[f32], weights: &[f32]) -> Vec<f32> {
        let rows = g.len() / self.n_out;
        let mut dx = vec![0.0; rows * self.n_in];
        let operands = (Matrix::new(g, rows, self.n_out), self.weights(weights).transposed());
        product(operands, 1.0, (&mut dx, self.n_in), Update::Store, Workers::All);
        dx
    }

    /// The gradient with respect to the weights, in their memory order.
    pub(crate) fn by_weights(&self, g: &[f32], x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.n_in;
        let (g, x) = (Matrix::new(g, rows, self.n_out), Matrix::new(x, rows, self.n_in));
        let (operands, columns) = match self.order {
            WeightOrder::OutIn => ((g.transposed(), x), self.n_in),
            WeightOrder::InOut => ((x.transposed(), g), self.n_out),
        };
        let mut dw = vec![0.0; self.n_in * self.n_out];
        product(operands, 1.0, (&mut dw, columns), Update::Store, Workers::All);
        dw
    }

    /// The gradient with respect to the bias.
    pub(crate) fn by_bias(&self, g: &[f32]) -> Vec<f32> {
        let parts: Vec<Vec<f32>> = g
            .par_chunks(ROWS_PER_TASK * self.n_out)
            .map(|rows| {
                let mut sums = vec![0.0; self.n_out];
                for row in rows.chunks_exact(self.n_out) {
                    sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
                }
                sums
            })
            .collect();
        sum_of_parts(&parts, self.n_out)
    }
}
