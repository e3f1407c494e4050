//! Layer norm of rows, `(x − mean) / √(variance + ε) · w + b`, and its gradients.
//!
//! With the normalised row `x̂`, its standard deviation `σ` and `h = g · w`: `dx = (h − mean(h) − x̂ · mean(h x̂)) /
//! σ`, `dw = Σ g x̂`, `db = Σ g` (Ba et al. 2016). The backward pass computes mean and deviation again, because it has
//! the row in the cache anyway.

use rayon::prelude::*;

use super::{ROWS_PER_TASK, isa, sum_of_parts};
use crate::kernels::simd::{Kernel, Simd, Vector};

/// Gain and bias, one value per column, and the number that is added to the variance.
#[derive(Clone, Copy)]
pub(crate) struct Parameters<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) epsilon: f32,
}

/// The gradients with respect to the rows, the gain and the bias.
pub(crate) struct Gradients {
    pub(crate) x: Vec<f32>,
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

/// The rows of `x`, normalised.
pub(crate) fn forward(x: &[f32], parameters: Parameters<'_>) -> Vec<f32> {
    let width = parameters.weight.len();
    let mut y = vec![0.0; x.len()];
    let tasks = y
        .par_chunks_mut(ROWS_PER_TASK * width)
        .zip(x.par_chunks(ROWS_PER_TASK * width));
    tasks.for_each(|(y, x)| isa().run(Forward { x, y, parameters }));
    y
}

/// The gradients, where `g` is the gradient with respect to the normalised rows.
pub(crate) fn backward(x: &[f32], g: &[f32], parameters: Parameters<'_>) -> Gradients {
    let width = parameters.weight.len();
    let mut dx = vec![0.0; x.len()];
    let (of_weight, of_bias): (Vec<Vec<f32>>, Vec<Vec<f32>>) = dx
        .par_chunks_mut(ROWS_PER_TASK * width)
        .zip(
            x.par_chunks(ROWS_PER_TASK * width)
                .zip(g.par_chunks(ROWS_PER_TASK * width)),
        )
        .map(|(dx, (x, g))| {
            let (mut weight, mut bias) = (vec![0.0; width], vec![0.0; width]);
            isa().run(Backward {
                x,
                g,
                dx,
                weight: &mut weight,
                bias: &mut bias,
                parameters,
            });
            (weight, bias)
        })
        .unzip();
    Gradients {
        x: dx,
        weight: sum_of_parts(&of_weight, width),
        bias: sum_of_parts(&of_bias, width),
    }
}

struct Forward<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    parameters: Parameters<'a>,
}

struct Backward<'a> {
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
    parameters: Parameters<'a>,
}

impl Vector for Forward<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        let Parameters { weight, bias, epsilon } = self.parameters;
        let n = weight.len();
        assert!(bias.len() == n && self.x.len() == self.y.len(), "rows of {n}");
        for (x, y) in self.x.chunks_exact(n).zip(self.y.chunks_exact_mut(n)) {
            let (mean, inverse) = moments(s, x, epsilon);
            let whole = n - n % S::LANES;
            for i in (0..whole).step_by(S::LANES) {
                // SAFETY: `i + LANES` is at most `n`, the length of all four slices.
                unsafe {
                    let centred = s.mul(s.sub(s.load(x.as_ptr().add(i)), s.splat(mean)), s.splat(inverse));
                    let scaled = s.mul_add(centred, s.load(weight.as_ptr().add(i)), s.load(bias.as_ptr().add(i)));
                    s.store(y.as_mut_ptr().add(i), scaled);
                }
            }
            for i in whole..n {
                y[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
            }
        }
    }
}

/// The mean and the inverse of the standard deviation of a row.
#[inline(always)]
fn moments<S: Simd>(s: S, x: &[f32], epsilon: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum(s, x, |_, x| x, |x| x) / n;
    let square = |x: f32| (x - mean) * (x - mean);
    let variance = sum(
        s,
        x,
        |s, x| {
            let centred = s.sub(x, s.splat(mean));
            s.mul(centred, centred)
        },
        square,
    ) / n;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// The sum of `f` over a row: `f` for whole vectors, `rest` for the remaining values.
#[inline(always)]
fn sum<S: Simd>(s: S, x: &[f32], f: impl Fn(S, S::F) -> S::F, rest: impl Fn(f32) -> f32) -> f32 {
    let whole = x.len() - x.len() % S::LANES;
    let mut sum = s.splat(0.0);
    for x in x[..whole].chunks_exact(S::LANES) {
        // SAFETY: the chunk holds `LANES` values.
        sum = s.add(sum, f(s, unsafe { s.load(x.as_ptr()) }));
    }
    s.sum(sum) + x[whole..].iter().map(|x| rest(*x)).sum::<f32>()
}

impl Vector for Backward<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        let Parameters { weight, epsilon, .. } = self.parameters;
        let n = weight.len();
        assert!(
            self.x.len() == self.dx.len()
                && self.g.len() == self.dx.len()
                && self.weight.len() == n
                && self.bias.len() == n,
            "rows of {n}"
        );
        let rows = self.x.chunks_exact(n).zip(self.g.chunks_exact(n));
        for ((x, g), dx) in rows.zip(self.dx.chunks_exact_mut(n)) {
            let (mean, inverse) = moments(s, x, epsilon);
            let whole = n - n % S::LANES;
            let (mut sum_h, mut sum_hx) = (s.splat(0.0), s.splat(0.0));
            for i in (0..whole).step_by(S::LANES) {
                // SAFETY: `i + LANES` is at most `n`, the length of all five slices.
                unsafe {
                    let normal = s.mul(s.sub(s.load(x.as_ptr().add(i)), s.splat(mean)), s.splat(inverse));
                    let g = s.load(g.as_ptr().add(i));
                    let h = s.mul(g, s.load(weight.as_ptr().add(i)));
                    sum_h = s.add(sum_h, h);
                    sum_hx = s.mul_add(h, normal, sum_hx);
                    let (dw, db) = (self.weight.as_mut_ptr().add(i), self.bias.as_mut_ptr().add(i));
                    s.store(dw, s.mul_add(g, normal, s.load(dw)));
                    s.store(db, s.add(s.load(db), g));
                }
            }
            let (mut mean_h, mut mean_hx) = (s.sum(sum_h), s.sum(sum_hx));
            for i in whole..n {
                let normal = (x[i] - mean) * inverse;
                mean_h += g[i] * weight[i];
                mean_hx += g[i] * weight[i] * normal;
                self.weight[i] += g[i] * normal;
                self.bias[i] += g[i];
            }
            mean_h /= n as f32;
            mean_hx /= n as f32;
            for i in (0..whole).step_by(S::LANES) {
                // SAFETY: as above.
                unsafe {
                    let normal = s.mul(s.sub(s.load(x.as_ptr().add(i)), s.splat(mean)), s.splat(inverse));
                    let h = s.mul(s.load(g.as_ptr().add(i)), s.load(weight.as_ptr().add(i)));
                    let centred = s.sub(h, s.mul_add(normal, s.splat(mean_hx), s.splat(mean_h)));
                    s.store(dx.as_mut_ptr().add(i), s.mul(centred, s.splat(inverse)));
                }
            }
            for i in whole..n {
                let normal = (x[i] - mean) * inverse;
                dx[i] = (g[i] * weight[i] - mean_h - normal * mean_hx) * inverse;
            }
        }
    }
}

/// The mean and the inverse of the standard deviation of a row, in f64.
fn moments_plain(x: &[f32], epsilon: f32) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
    (mean, 1.0 / (variance + f64::from(epsilon)).sqrt())
}

impl Kernel for Forward<'_> {
    fn plain(self) {
        let Parameters { weight, bias, epsilon } = self.parameters;
        let n = weight.len();
        for (x, y) in self.x.chunks_exact(n).zip(self.y.chunks_exact_mut(n)) {
            let (mean, inverse) = moments_plain(x, epsilon);
            for i in 0..n {
                y[i] = ((f64::from(x[i]) - mean) * inverse * f64::from(weight[i]) + f64::from(bias[i])) as f32;
            }
        }
    }
}

impl Kernel for Backward<'_> {
    fn plain(self) {
        let Parameters { weight, epsilon, .. } = self.parameters;
        let n = weight.len();
        let rows = self.x.chunks_exact(n).zip(self.g.chunks_exact(n));
        for ((x, g), dx) in rows.zip(self.dx.chunks_exact_mut(n)) {
            let (mean, inverse) = moments_plain(x, epsilon);
            let normal = |i: usize| (f64::from(x[i]) - mean) * inverse;
            let h = |i: usize| f64::from(g[i]) * f64::from(weight[i]);
            let mean_h = (0..n).map(h).sum::<f64>() / n as f64;
            let mean_hx = (0..n).map(|i| h(i) * normal(i)).sum::<f64>() / n as f64;
            for i in 0..n {
                dx[i] = ((h(i) - mean_h - normal(i) * mean_hx) * inverse) as f32;
                self.weight[i] += (f64::from(g[i]) * normal(i)) as f32;
                self.bias[i] += g[i];
            }
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
        for (rows, width) in [(1, 1), (2, 15), (3, 16), (2, 17), (5, 64)] {
            let (x, g) = (noise(1, rows * width), noise(2, rows * width));
            let (weight, bias) = (noise(3, width), noise(4, width));
            let parameters = Parameters {
                weight: &weight,
                bias: &bias,
                epsilon: 1e-5,
            };
            let at = |level| {
                let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
                let (mut dw, mut db) = (vec![0.0; width], vec![0.0; width]);
                let isa = Isa::detect(level);
                isa.run(Forward {
                    x: &x,
                    y: &mut y,
                    parameters,
                });
                isa.run(Backward {
                    x: &x,
                    g: &g,
                    dx: &mut dx,
                    weight: &mut dw,
                    bias: &mut db,
                    parameters,
                });
                [y, dx, dw, db].concat()
            };
            let plain = at(Level::Portable);
            for level in Level::ALL {
                for (found, expected) in at(level).iter().zip(&plain) {
                    // A row of one value has deviation 0, and gradients are divided by √ε, which is a factor of about
                    // 300.
                    let bound = 1e-5 * (1.0 + expected.abs()) * if width == 1 { 300.0 } else { 1.0 };
                    assert!(
                        (found - expected).abs() <= bound,
                        "{level:?} {width}: {found} {expected}"
                    );
                }
            }
        }
    }
}
