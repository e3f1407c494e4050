//! Layer norm of rows, `(x − mean) / √(variance + ε) · weight + bias` (Ba et al. 2016), in f32.
//!
//! Both towers use it before each layer. It writes the next layer's [`Activations`] directly, rounded once. The
//! variance is the mean square of the differences, computed in a second pass over a row that is in the first-level
//! cache.

use super::activations::{Activations, Writer};
use super::buffer::Shared;
use super::simd::{Kernel, Simd, Vector};
use super::threads::{Threads, share};
use std::ops::Range;

/// The number of independent sums, so that the latency of additions (3 to 4 cycles) overlaps.
const CHAINS: usize = 4;

/// The parameters of a layer norm for rows of some width.
pub struct LayerNorm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl LayerNorm {
    /// `weight` and `bias` have one value per column.
    pub fn new(weight: Vec<f32>, bias: Vec<f32>, epsilon: f32) -> Self {
        assert_eq!(weight.len(), bias.len(), "weight and bias of a layer norm");
        assert!(!weight.is_empty(), "a layer norm of width 0");
        LayerNorm { weight, bias, epsilon }
    }

    /// Values per row.
    pub fn width(&self) -> usize {
        self.weight.len()
    }

    /// Normalises the rows of `x`, row-major `(rows, width)`, into the next layer's input.
    pub fn run_into(&self, x: &[f32], out: &mut Activations, threads: &Threads) {
        let rows = self.count_rows(x);
        let writer = out.reset(rows, self.width(), threads);
        self.work(rows, RowSource::Separate(x, writer), threads);
    }

    /// Normalises the rows of `x`, row-major `(rows, width)`, in place.
    pub fn run(&self, x: &mut [f32], threads: &Threads) {
        let rows = self.count_rows(x);
        self.work(rows, RowSource::InPlace(Shared::new(x)), threads);
    }

    fn count_rows(&self, x: &[f32]) -> usize {
        assert!(
            x.len().is_multiple_of(self.width()),
            "{} values in rows of {}",
            x.len(),
            self.width()
        );
        x.len() / self.width()
    }

    fn work(&self, rows: usize, source: RowSource<'_>, threads: &Threads) {
        threads.run(|worker, scratch| {
            threads.isa().run(RowsOfWorker {
                norm: self,
                source,
                rows: share(rows, threads.count(), worker),
                scratch_row: scratch.words(self.width()),
            });
        });
    }
}

/// The source and the destination of rows.
#[derive(Clone, Copy)]
enum RowSource<'a> {
    Separate(&'a [f32], Writer),
    InPlace(Shared<f32>),
}

impl RowSource<'_> {
    /// Row `row` of `width` values.
    fn row(&self, row: usize, width: usize) -> &[f32] {
        match self {
            RowSource::Separate(x, _) => &x[row * width..][..width],
            // SAFETY: the row is inside the slice that `run` holds, and only this worker uses it. It is read before it
            // is written, and not afterwards.
            RowSource::InPlace(x) => unsafe { std::slice::from_raw_parts(x.get().add(row * width), width) },
        }
    }
}

/// The rows of one worker.
struct RowsOfWorker<'a> {
    norm: &'a LayerNorm,
    source: RowSource<'a>,
    rows: Range<usize>,
    /// Scratch memory for one row.
    scratch_row: &'a mut [f32],
}

impl Vector for RowsOfWorker<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        for row in self.rows {
            normalise(s, self.norm, self.source.row(row, self.norm.width()), self.scratch_row);
            match self.source {
                // SAFETY: `run_into` holds the activations, and each row has one worker.
                RowSource::Separate(_, writer) => unsafe { writer.put(s, row, self.scratch_row) },
                // SAFETY: the row is inside the slice that `run` holds, and only this worker uses it.
                RowSource::InPlace(x) => unsafe {
                    x.get()
                        .add(row * self.scratch_row.len())
                        .copy_from(self.scratch_row.as_ptr(), self.scratch_row.len());
                },
            }
        }
    }
}

impl Kernel for RowsOfWorker<'_> {
    fn plain(self) {
        for row in self.rows {
            normalise_plain(self.norm, self.source.row(row, self.norm.width()), self.scratch_row);
            match self.source {
                // SAFETY: as above.
                RowSource::Separate(_, writer) => unsafe { writer.put_plain(row, self.scratch_row) },
                // SAFETY: as above.
                RowSource::InPlace(x) => unsafe {
                    x.get()
                        .add(row * self.scratch_row.len())
                        .copy_from(self.scratch_row.as_ptr(), self.scratch_row.len());
                },
            }
        }
    }
}

/// Normalises one row by the formula, with sums in f64.
fn normalise_plain(norm: &LayerNorm, x: &[f32], out: &mut [f32]) {
    let n = x.len() as f64;
    let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / (variance + f64::from(norm.epsilon)).sqrt();
    for (out, ((x, w), b)) in out.iter_mut().zip(x.iter().zip(&norm.weight).zip(&norm.bias)) {
        *out = ((f64::from(*x) - mean) * scale * f64::from(*w) + f64::from(*b)) as f32;
    }
}

/// Normalises one row with vectors.
#[inline(always)]
fn normalise<S: Simd>(s: S, norm: &LayerNorm, x: &[f32], out: &mut [f32]) {
    let n = x.len() as f32;
    let whole = x.len() - x.len() % S::LANES;
    let mean = (total(s, &x[..whole], None) + x[whole..].iter().sum::<f32>()) / n;
    let rest: f32 = x[whole..].iter().map(|x| (x - mean) * (x - mean)).sum();
    let variance = (total(s, &x[..whole], Some(mean)) + rest) / n;
    let scale = 1.0 / (variance + norm.epsilon).sqrt();
    assert!(
        out.len() == x.len() && norm.width() == x.len(),
        "a row of {} values",
        x.len()
    );
    for i in (0..whole).step_by(S::LANES) {
        // SAFETY: `i + LANES` is at most `whole`, and all four slices have the length of the row.
        unsafe {
            let centred = s.sub(s.load(x.as_ptr().add(i)), s.splat(mean));
            let weight = s.mul(s.load(norm.weight.as_ptr().add(i)), s.splat(scale));
            s.store(
                out.as_mut_ptr().add(i),
                s.mul_add(centred, weight, s.load(norm.bias.as_ptr().add(i))),
            );
        }
    }
    for i in whole..x.len() {
        out[i] = (x[i] - mean) * (norm.weight[i] * scale) + norm.bias[i];
    }
}

/// The sum of `x`, which is whole vectors; or, if a mean is given, the sum of squared differences from it.
#[inline(always)]
fn total<S: Simd>(s: S, x: &[f32], mean: Option<f32>) -> f32 {
    let mut sums = [s.splat(0.0); CHAINS];
    for (i, vector) in x.chunks_exact(S::LANES).enumerate() {
        // SAFETY: the chunk holds `LANES` values.
        let v = unsafe { s.load(vector.as_ptr()) };
        let sum = &mut sums[i % CHAINS];
        *sum = match mean {
            None => s.add(*sum, v),
            Some(mean) => {
                let difference = s.sub(v, s.splat(mean));
                s.mul_add(difference, difference, *sum)
            }
        };
    }
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{each_level, noise};

    /// The bound covers a mean and a variance of n numbers in f32, and about four roundings of a value of size 1.
    #[track_caller]
    fn check(width: usize, rows: usize, x: &[f32]) {
        let norm = LayerNorm::new(noise(1, width), noise(2, width), 1e-5);
        each_level(|threads| {
            let mut out = x.to_vec();
            norm.run(&mut out, threads);
            for row in 0..rows {
                let mut expected = vec![0.0; width];
                normalise_plain(&norm, &x[row * width..][..width], &mut expected);
                for (found, expected) in out[row * width..].iter().zip(&expected) {
                    let bound = f32::EPSILON * (8.0 + width as f32 / 8.0);
                    assert!(
                        (found - expected).abs() <= bound,
                        "{found} for {expected} in {width}, {:?}",
                        threads.level()
                    );
                }
            }
        });
    }

    #[test]
    fn matches_the_formula_at_any_width() {
        for width in [1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 192, 512, 768, 1000, 1024] {
            for rows in [0, 1, 3] {
                check(width, rows, &noise(3, rows * width));
            }
        }
    }

    #[test]
    fn a_constant_row_becomes_the_bias() {
        check(64, 1, &[3.0; 64]);
    }

    #[test]
    fn a_nan_affects_only_its_row() {
        let norm = LayerNorm::new(vec![1.0; 20], vec![0.0; 20], 1e-5);
        each_level(|threads| {
            let mut x = noise(4, 60);
            x[25] = f32::NAN;
            norm.run(&mut x, threads);
            assert!(x[..20].iter().chain(&x[40..]).all(|x| x.is_finite()));
            assert!(x[20..40].iter().all(|x| x.is_nan()));
        });
    }
}
