//! Attention, `softmax(q · kᵀ / √d) · v` head by head, and its gradients, over sequences that stand end to end.
//!
//! With `P` the weights and `g` the gradient of the result: `dV = Pᵀ g`, `dP = g Vᵀ`, `dS = P ∘ (dP − rowsum(P ∘ dP))`,
//! `dQ = dS K / √d`, `dK = dSᵀ Q / √d`. Weights are computed again on the way back instead of being kept: they would be
//! most of a training's memory. A task takes a sequence; what it finds for its rows is added up in the order of the
//! sequences, since several may share the rows of a common beginning.

use rayon::prelude::*;

use super::isa;
use super::product::{Matrix, Output, Workers, product};
use crate::kernels::attention::{Heads, Mask, Sequence};
use crate::kernels::simd::{Kernel, Simd, Vector, math};

/// Queries, keys and values of all rows.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    queries: Part<'a>,
    keys: Part<'a>,
    values: Part<'a>,
}

/// Some columns of a row-major matrix.
#[derive(Clone, Copy)]
struct Part<'a> {
    data: &'a [f32],
    stride: usize,
    offset: usize,
}

impl<'a> Part<'a> {
    /// Columns `columns` of this part's, of rows from `row` on.
    fn from(&self, row: usize, column: usize) -> &'a [f32] {
        &self.data[row * self.stride + self.offset + column..]
    }
}

impl<'a> Inputs<'a> {
    /// From rows of `3 * width`: query, key, value.
    pub(crate) fn fused(data: &'a [f32], width: usize) -> Self {
        let part = |i| Part {
            data,
            stride: 3 * width,
            offset: i * width,
        };
        Inputs {
            queries: part(0),
            keys: part(1),
            values: part(2),
        }
    }

    /// From queries of `width` and rows of `2 * width`: key, value.
    pub(crate) fn apart(queries: &'a [f32], data: &'a [f32], width: usize) -> Self {
        let part = |i| Part {
            data,
            stride: 2 * width,
            offset: i * width,
        };
        Inputs {
            queries: Part {
                data: queries,
                stride: width,
                offset: 0,
            },
            keys: part(0),
            values: part(1),
        }
    }
}

/// What is computed with inputs.
#[derive(Clone, Copy)]
pub(crate) struct Attention<'a> {
    /// Their queries follow each other without gap.
    pub(crate) sequences: &'a [Sequence],
    pub(crate) heads: Heads,
    pub(crate) mask: Mask,
}

/// Gradients by queries `(n_queries, width)`, and by keys and values `(n_rows, 2 * width)`.
pub(crate) struct Gradients {
    pub(crate) queries: Vec<f32>,
    pub(crate) keys_values: Vec<f32>,
}

/// One sequence's keys and values, `(n_keys, width)` each, one row behind the other.
struct Gathered {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Attention<'_> {
    /// `(n_queries, width)`.
    pub(crate) fn forward(&self, inputs: Inputs<'_>) -> Vec<f32> {
        let parts: Vec<Vec<f32>> = self
            .sequences
            .par_iter()
            .map(|sequence| self.attend(inputs, sequence))
            .collect();
        parts.concat()
    }

    /// The gradients, of the gradient `g (n_queries, width)`.
    pub(crate) fn backward(&self, inputs: Inputs<'_>, g: &[f32]) -> Gradients {
        let width = self.heads.width();
        let parts: Vec<Gradients> = self
            .sequences
            .par_iter()
            .map(|sequence| self.go_back(inputs, sequence, g))
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
        let gather = |part: Part<'_>| -> Vec<f32> {
            let mut all = Vec::with_capacity(sequence.n_keys() * width);
            rows().for_each(|row| all.extend_from_slice(&part.from(row, 0)[..width]));
            all
        };
        Gathered {
            keys: gather(inputs.keys),
            values: gather(inputs.values),
        }
    }

    /// A sequence's rows of the result.
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
                Output::Store,
                Workers::One,
            );
        }
        out
    }

    /// A sequence's part of the gradients.
    fn go_back(&self, inputs: Inputs<'_>, sequence: &Sequence, g: &[f32]) -> Gradients {
        let Heads { count, dim } = self.heads;
        let (width, n, n_keys) = (self.heads.width(), sequence.queries.len(), sequence.n_keys());
        let gathered = self.gather(inputs, sequence);
        let mut found = Gradients {
            queries: vec![0.0; n * width],
            keys_values: vec![0.0; n_keys * 2 * width],
        };
        let (mut weights, mut slopes) = (vec![0.0; n * n_keys], vec![0.0; n * n_keys]);
        for head in 0..count {
            let head = Head::new(self, inputs, sequence, &gathered, head);
            let column = head.column;
            head.weights(&mut weights);
            let g = Matrix::strided(&g[sequence.queries.start * width + column..], n, dim, width);
            let by_values = (Matrix::new(&weights, n, n_keys).transposed(), g);
            let (to, stride) = (&mut found.keys_values[width + column..], 2 * width);
            product(by_values, 1.0, (to, stride), Output::Store, Workers::One);
            let by_weights = (g, head.values.transposed());
            product(by_weights, 1.0, (&mut slopes, n_keys), Output::Store, Workers::One);
            let rows = weights.chunks_exact(n_keys).zip(slopes.chunks_exact_mut(n_keys));
            rows.for_each(|(weights, slopes)| isa().run(SoftmaxBack { weights, slopes }));
            let slopes = Matrix::new(&slopes, n, n_keys);
            let to = (&mut found.queries[column..], width);
            product((slopes, head.keys), head.scale, to, Output::Store, Workers::One);
            let to = (&mut found.keys_values[column..], 2 * width);
            let by_keys = (slopes.transposed(), head.queries);
            product(by_keys, head.scale, to, Output::Store, Workers::One);
        }
        found
    }
}

/// One head of one sequence.
struct Head<'a> {
    queries: Matrix<'a>,
    keys: Matrix<'a>,
    values: Matrix<'a>,
    /// Where its columns begin.
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

    /// The weights of all queries, `(n, n_keys)`; 0 where a query may not look.
    fn weights(&self, weights: &mut [f32]) {
        let n_keys = self.sequence.n_keys();
        let operands = (self.queries, self.keys.transposed());
        product(operands, self.scale, (weights, n_keys), Output::Store, Workers::One);
        for (i, row) in weights.chunks_exact_mut(n_keys).enumerate() {
            let (seen, hidden) = row.split_at_mut(self.sequence.visible(self.mask, i));
            hidden.fill(0.0);
            isa().run(Softmax { scores: seen });
        }
    }
}

/// Scores become weights.
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

/// Slopes by the weights become slopes by the scores.
struct SoftmaxBack<'a> {
    weights: &'a [f32],
    slopes: &'a mut [f32],
}

impl Vector for SoftmaxBack<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        assert_eq!(self.weights.len(), self.slopes.len(), "a row of weights");
        let n = self.weights.len();
        let whole = n - n % S::LANES;
        let mut sum = s.splat(0.0);
        for i in (0..whole).step_by(S::LANES) {
            // SAFETY: `i + LANES` is at most the length of both.
            unsafe {
                let (weight, slope) = (
                    s.load(self.weights.as_ptr().add(i)),
                    s.load(self.slopes.as_ptr().add(i)),
                );
                sum = s.mul_add(weight, slope, sum);
            }
        }
        let rest: f32 = (whole..n).map(|i| self.weights[i] * self.slopes[i]).sum();
        let mean = s.sum(sum) + rest;
        for i in (0..whole).step_by(S::LANES) {
            // SAFETY: as above.
            unsafe {
                let to = self.slopes.as_mut_ptr().add(i);
                let distance = s.sub(s.load(to), s.splat(mean));
                s.store(to, s.mul(s.load(self.weights.as_ptr().add(i)), distance));
            }
        }
        (whole..n).for_each(|i| self.slopes[i] = self.weights[i] * (self.slopes[i] - mean));
    }
}

impl Kernel for SoftmaxBack<'_> {
    fn plain(self) {
        let pairs = self.weights.iter().zip(self.slopes.iter());
        let mean: f64 = pairs
            .map(|(weight, slope)| f64::from(*weight) * f64::from(*slope))
            .sum();
        for (weight, slope) in self.weights.iter().zip(self.slopes) {
            *slope = (f64::from(*weight) * (f64::from(*slope) - mean)) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::{Isa, Level};
    use crate::kernels::testing::noise;

    #[test]
    fn vectors_and_their_plain_twins_agree_at_edge_sizes() {
        for n in [1, 2, 15, 16, 17, 33, 248] {
            let scores: Vec<f32> = noise(1, n).iter().map(|x| 30.0 * x).collect();
            let slopes = noise(2, n);
            let at = |level| {
                let (mut weights, mut slopes) = (scores.clone(), slopes.clone());
                let isa = Isa::detect(level);
                isa.run(Softmax { scores: &mut weights });
                isa.run(SoftmaxBack {
                    weights: &weights,
                    slopes: &mut slopes,
                });
                [weights, slopes].concat()
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
