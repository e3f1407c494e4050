//! Attention, `softmax(q · kᵀ / √d) · v` for each head, and its gradients, over contiguous sequences.
//!
//! With the weights `P` and the gradient `g` of the result: `dV = Pᵀ g`, `dP = g Vᵀ`, `dS = P ∘ (dP − rowsum(P ∘ dP))`,
//! `dQ = dS K / √d`, `dK = dSᵀ Q / √d`. The backward pass computes the weights again, because storing them would take
//! most of the memory of training. A task takes one sequence. Its gradients are added up in the order of sequences,
//! because several may share the rows of a common prefix.

use rayon::prelude::*;

use super::isa;
use super::product::{Matrix, Update, Workers, product};
use crate::kernels::attention::{Heads, Mask, Sequence};
use crate::kernels::simd::{Kernel, Simd, Vector, math};

/// Queries, keys and values of all rows.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    queries: Columns<'a>,
    keys: Columns<'a>,
    values: Columns<'a>,
}

/// Some columns of a row-major matrix.
#[derive(Clone, Copy)]
struct Columns<'a> {
    data: &'a [f32],
    stride: usize,
    offset: usize,
}

impl<'a> Columns<'a> {
    /// The data from `row` and `column` on, where `column` counts within these columns.
    fn from(&self, row: usize, column: usize) -> &'a [f32] {
        &self.data[row * self.stride + self.offset + column..]
    }
}

impl<'a> Inputs<'a> {
    /// From rows of `3 * width` values: query, key, value.
    pub(crate) fn fused(data: &'a [f32], width: usize) -> Self {
        let columns = |i| Columns {
            data,
            stride: 3 * width,
            offset: i * width,
        };
        Inputs {
            queries: columns(0),
            keys: columns(1),
            values: columns(2),
        }
    }

    /// From queries of `width` values and rows of `2 * width` values: key, value.
    pub(crate) fn apart(queries: &'a [f32], data: &'a [f32], width: usize) -> Self {
        let columns = |i| Columns {
            data,
            stride: 2 * width,
            offset: i * width,
        };
        Inputs {
            queries: Columns {
                data: queries,
                stride: width,
                offset: 0,
            },
            keys: columns(0),
            values: columns(1),
        }
    }
}

/// The attention to compute.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    /// Their queries are contiguous.
    pub(crate) sequences: &'a [Sequence],
    pub(crate) heads: Heads,
    pub(crate) mask: Mask,
}

/// The gradients with respect to queries `(n_queries, width)`, and to keys and values `(n_rows, 2 * width)`.
pub(crate) struct Gradients {
    pub(crate) queries: Vec<f32>,
    pub(crate) keys_values: Vec<f32>,
}

/// The keys and values of one sequence, `(n_keys, width)` each, contiguous.
struct Gathered {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Attention<'_> {
    /// Returns `(n_queries, width)`.
    pub(crate) fn forward(&self, inputs: Inputs<'_>) -> Vec<f32> {
        let parts: Vec<Vec<f32>> = self
            .sequences
            .par_iter()
            .map(|sequence| self.attend(inputs, sequence))
            .collect();
        parts.concat()
    }

    /// The gradients, where `g (n_queries, width)` is the gradient with respect to the result.
    pub(crate) fn backward(&self, inputs: Inputs<'_>, g: &[f32]) -> Gradients {
        let width = self.heads.width();
        let parts: Vec<Gradients> = self
            .sequences
            .par_iter()
            .map(|sequence| self.gradients_of(inputs, sequence, g))
            .collect();
        let n_rows = inputs.keys.data.len() / inputs.keys.stride;
        let mut sums = Gradients {
            queries: Vec::with_capacity(g.len()),
            keys_values: vec![0.0; n_rows * 2 * width],
        };
        for (part, sequence) in parts.iter().zip(self.sequences) {
            sums.queries.extend_from_slice(&part.queries);
            let rows = sequence.prefix.clone().chain(sequence.keys.clone());
            for (row, part) in rows.zip(part.keys_values.chunks_exact(2 * width)) {
                let sum = &mut sums.keys_values[row * 2 * width..][..2 * width];
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
        sums
    }

    fn gather(&self, inputs: Inputs<'_>, sequence: &Sequence) -> Gathered {
        let width = self.heads.width();
        let rows = || sequence.prefix.clone().chain(sequence.keys.clone());
        let gather = |columns: Columns<'_>| -> Vec<f32> {
            let mut all = Vec::with_capacity(sequence.n_keys() * width);
            rows().for_each(|row| all.extend_from_slice(&columns.from(row, 0)[..width]));
            all
        };
        Gathered {
            keys: gather(inputs.keys),
            values: gather(inputs.values),
        }
    }

    /// The rows of the result for one sequence.
    fn attend(&self, inputs: Inputs<'_>, sequence: &Sequence) -> Vec<f32> {
        let (width, n, n_keys) = (self.heads.width(), sequence.queries.len(), sequence.n_keys());
        let gathered = self.gather(inputs, sequence);
        let mut out = vec![0.0; n * width];
        let mut weights = vec![0.0; n * n_keys];
        for head in 0..self.heads.count {
            let head = Head::new(self, inputs, sequence, &gathered, head);
            head.weights(&mut weights);
            let operands = (Matrix::new(&weights, n, n_keys), head.values);
            product(
                operands,
                1.0,
                (&mut out[head.column..], width),
                Update::Store,
                Workers::One,
            );
        }
        out
    }

    /// The gradients from one sequence.
    fn gradients_of(&self, inputs: Inputs<'_>, sequence: &Sequence, g: &[f32]) -> Gradients {
        let Heads { count, dim } = self.heads;
        let (width, n, n_keys) = (self.heads.width(), sequence.queries.len(), sequence.n_keys());
        let gathered = self.gather(inputs, sequence);
        let mut found = Gradients {
            queries: vec![0.0; n * width],
            keys_values: vec![0.0; n_keys * 2 * width],
        };
        let (mut weights, mut grads) = (vec![0.0; n * n_keys], vec![0.0; n * n_keys]);
        for head in 0..count {
            let head = Head::new(self, inputs, sequence, &gathered, head);
            let column = head.column;
            head.weights(&mut weights);
            let g = Matrix::strided(&g[sequence.queries.start * width + column..], n, dim, width);
            let by_values = (Matrix::new(&weights, n, n_keys).transposed(), g);
            let (to, stride) = (&mut found.keys_values[width + column..], 2 * width);
            product(by_values, 1.0, (to, stride), Update::Store, Workers::One);
            let by_weights = (g, head.values.transposed());
            product(by_weights, 1.0, (&mut grads, n_keys), Update::Store, Workers::One);
            let rows = weights.chunks_exact(n_keys).zip(grads.chunks_exact_mut(n_keys));
            rows.for_each(|(weights, grads)| isa().run(SoftmaxBackward { weights, grads }));
            let grads = Matrix::new(&grads, n, n_keys);
            let to = (&mut found.queries[column..], width);
            product((grads, head.keys), head.scale, to, Update::Store, Workers::One);
            let to = (&mut found.keys_values[column..], 2 * width);
            let by_keys = (grads.transposed(), head.queries);
            product(by_keys, head.scale, to, Update::Store, Workers::One);
        }
        found
    }
}

/// One head of one sequence.
struct Head<'a> {
    queries: Matrix<'a>,
    keys: Matrix<'a>,
    values: Matrix<'a>,
    /// The index of its first column.
    column: usize,
    /// 1 / √d.
    scale: f32,
    sequence: &'a Sequence,
    mask: Mask,
}

impl<'a> Head<'a> {
    fn new(
        attention: &Attention<'a>,
        inputs: Inputs<'a>,
        sequence: &'a Sequence,
        gathered: &'a Gathered,
        head: usize,
    ) -> Self {
        let Heads { dim, .. } = attention.heads;
        let (width, column, n_keys) = (attention.heads.width(), head * dim, sequence.n_keys());
        let queries = inputs.queries.from(sequence.queries.start, column);
        Head {
            queries: Matrix::strided(queries, sequence.queries.len(), dim, inputs.queries.stride),
            keys: Matrix::strided(&gathered.keys[column..], n_keys, dim, width),
            values: Matrix::strided(&gathered.values[column..], n_keys, dim, width),
            column,
            scale: 1.0 / (dim as f32).sqrt(),
            sequence,
            mask: attention.mask,
        }
    }

    /// The weights of all queries, `(n, n_keys)`; 0 for keys that a query does not attend to.
    fn weights(&self, weights: &mut [f32]) {
        let n_keys = self.sequence.n_keys();
        let operands = (self.queries, self.keys.transposed());
        product(operands, self.scale, (weights, n_keys), Update::Store, Workers::One);
        for (i, row) in weights.chunks_exact_mut(n_keys).enumerate() {
            let (seen, hidden) = row.split_at_mut(self.sequence.visible(self.mask, i));
            hidden.fill(0.0);
            isa().run(Softmax { scores: seen });
        }
    }
}

/// Turns scores into weights, in place.
struct Softmax<'a> {
    scores: &'a mut [f32],
}

impl Vector for Softmax<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        let whole = self.scores.len() - self.scores.len() % S::LANES;
        let (vectors, rest) = self.scores.split_at_mut(whole);
        let mut top = s.splat(f32::NEG_INFINITY);
        for scores in vectors.chunks_exact(S::LANES) {
            // SAFETY: the chunk holds `LANES` values.
            top = s.max(top, unsafe { s.load(scores.as_ptr()) });
        }
        let largest = rest.iter().fold(s.largest(top), |most, score| most.max(*score));
        let mut sum = s.splat(0.0);
        for scores in vectors.chunks_exact_mut(S::LANES) {
            // SAFETY: as above.
            unsafe {
                let distance = s.sub(s.load(scores.as_ptr()), s.splat(largest));
                let weight = math::exp2(s, s.mul(distance, s.splat(std::f32::consts::LOG2_E)));
                sum = s.add(sum, weight);
                s.store(scores.as_mut_ptr(), weight);
            }
        }
        rest.iter_mut().for_each(|score| *score = (*score - largest).exp());
        let inverse = 1.0 / (s.sum(sum) + rest.iter().sum::<f32>());
        for weights in vectors.chunks_exact_mut(S::LANES) {
            // SAFETY: as above.
            unsafe { s.store(weights.as_mut_ptr(), s.mul(s.load(weights.as_ptr()), s.splat(inverse))) };
        }
        rest.iter_mut().for_each(|weight| *weight *= inverse);
    }
}

impl Kernel for Softmax<'_> {
    fn plain(self) {
        let largest = self.scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f64> = self.scores.iter().map(|x| f64::from(*x - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let weights = self.scores.iter_mut().zip(powers);
        weights.for_each(|(weight, power)| *weight = (power / sum) as f32);
    }
}

/// Turns the gradients with respect to weights into those with respect to scores, in place.
struct SoftmaxBackward<'a> {
    weights: &'a [f32],
    grads: &'a mut [f32],
}

impl Vector for SoftmaxBackward<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        assert_eq!(self.weights.len(), self.grads.len(), "a row of weights");
        let n = self.weights.len();
        let whole = n - n % S::LANES;
        let mut sum = s.splat(0.0);
        for i in (0..whole).step_by(S::LANES) {
            // SAFETY: `i + LANES` is at most the length of both slices.
            unsafe {
                let (weight, grad) = (s.load(self.weights.as_ptr().add(i)), s.load(self.grads.as_ptr().add(i)));
                sum = s.mul_add(weight, grad, sum);
            }
        }
        let rest: f32 = (whole..n).map(|i| self.weights[i] * self.grads[i]).sum();
        let mean = s.sum(sum) + rest;
        for i in (0..whole).step_by(S::LANES) {
            // SAFETY: as above.
            unsafe {
                let to = self.grads.as_mut_ptr().add(i);
                let distance = s.sub(s.load(to), s.splat(mean));
                s.store(to, s.mul(s.load(self.weights.as_ptr().add(i)), distance));
            }
        }
        (whole..n).for_each(|i| self.grads[i] = self.weights[i] * (self.grads[i] - mean));
    }
}

impl Kernel for SoftmaxBackward<'_> {
    fn plain(self) {
        let pairs = self.weights.iter().zip(self.grads.iter());
        let mean: f64 = pairs.map(|(weight, grad)| f64::from(*weight) * f64::from(*grad)).sum();
        for (weight, grad) in self.weights.iter().zip(self.grads) {
            *grad = (f64::from(*weight) * (f64::from(*grad) - mean)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::{Isa, Level};
    use crate::kernels::testing::noise;

    #[test]
    fn vector_and_plain_versions_agree_at_edge_sizes() {
        for n in [1, 2, 15, 16, 17, 33, 248] {
            let scores: Vec<f32> = noise(1, n).iter().map(|x| 30.0 * x).collect();
            let grads = noise(2, n);
            let at = |level| {
                let (mut weights, mut grads) = (scores.clone(), grads.clone());
                let isa = Isa::detect(level);
                isa.run(Softmax { scores: &mut weights });
                isa.run(SoftmaxBackward {
                    weights: &weights,
                    grads: &mut grads,
                });
                [weights, grads].concat()
            };
            let plain = at(Level::Portable);
            assert!((plain[..n].iter().sum::<f32>() - 1.0).abs() < 1e-5);
            for level in Level::ALL {
                for (found, expected) in at(level).iter().zip(&plain) {
                    assert!((found - expected).abs() <= 4e-6, "{level:?} {n}: {found} {expected}");
                }
            }
        }
    }
}
