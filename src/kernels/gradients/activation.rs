//! QuickGELU, `y = x · σ(1.702 x)`, and its gradient, `dx = g · (σ + 1.702 x σ (1 − σ))`.

use rayon::prelude::*;

use super::isa;
use crate::kernels::QUICK_GELU_SLOPE;
use crate::kernels::simd::{Kernel, Simd, Vector, math};

/// Values per task: 64 KiB, which stay in the second-level cache.
const VALUES_PER_TASK: usize = 1 << 14;
const SLOPE: f32 = QUICK_GELU_SLOPE as f32;

/// QuickGELU of each value.
pub(crate) fn forward(x: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; x.len()];
    let tasks = y.par_chunks_mut(VALUES_PER_TASK).zip(x.par_chunks(VALUES_PER_TASK));
    tasks.for_each(|(y, x)| isa().run(Forward { x, y }));
    y
}

/// The gradient with respect to `x`, where `g` is the gradient with respect to the result.
pub(crate) fn backward(x: &[f32], g: &[f32]) -> Vec<f32> {
    let mut dx = vec![0.0; x.len()];
    let operands = x.par_chunks(VALUES_PER_TASK).zip(g.par_chunks(VALUES_PER_TASK));
    let tasks = dx.par_chunks_mut(VALUES_PER_TASK).zip(operands);
    tasks.for_each(|(dx, (x, g))| isa().run(Backward { x, g, dx }));
    dx
}

struct Forward<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

struct Backward<'a> {
    x: &'a [f32],
    g: &'a [f32],
    dx: &'a mut [f32],
}

/// σ(1.702 x).
#[inline(always)]
fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let e = math::exp2(s, s.mul(x, s.splat(-SLOPE * std::f32::consts::LOG2_E)));
    s.reciprocal(s.add(s.splat(1.0), e))
}

impl Vector for Forward<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        assert_eq!(self.x.len(), self.y.len(), "values");
        let whole = self.x.len() - self.x.len() % S::LANES;
        for (x, y) in self.x[..whole]
            .chunks_exact(S::LANES)
            .zip(self.y.chunks_exact_mut(S::LANES))
        {
            // SAFETY: both chunks hold `LANES` values.
            unsafe { s.store(y.as_mut_ptr(), math::quick_gelu(s, s.load(x.as_ptr()))) };
        }
        let (x, y) = (&self.x[whole..], &mut self.y[whole..]);
        Forward { x, y }.plain();
    }
}

impl Kernel for Forward<'_> {
    fn plain(self) {
        for (x, y) in self.x.iter().zip(self.y) {
            *y = math::quick_gelu_plain(*x);
        }
    }
}

impl Vector for Backward<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        assert!(self.x.len() == self.dx.len() && self.g.len() == self.dx.len(), "values");
        let whole = self.x.len() - self.x.len() % S::LANES;
        for i in (0..whole).step_by(S::LANES) {
            // SAFETY: `i + LANES` is at most the length of all three.
            unsafe {
                let x = s.load(self.x.as_ptr().add(i));
                let sigma = sigmoid(s, x);
                let rest = s.mul(s.mul(x, s.splat(SLOPE)), s.sub(s.splat(1.0), sigma));
                let slope = s.mul_add(sigma, rest, sigma);
                s.store(
                    self.dx.as_mut_ptr().add(i),
                    s.mul(s.load(self.g.as_ptr().add(i)), slope),
                );
            }
        }
        Backward {
            x: &self.x[whole..],
            g: &self.g[whole..],
            dx: &mut self.dx[whole..],
        }
        .plain();
    }
}

impl Kernel for Backward<'_> {
    fn plain(self) {
        for ((x, g), dx) in self.x.iter().zip(self.g).zip(self.dx) {
            let x = f64::from(*x);
            let sigma = 1.0 / (1.0 + (-f64::from(SLOPE) * x).exp());
            *dx = (f64::from(*g) * (sigma + f64::from(SLOPE) * x * sigma * (1.0 - sigma))) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::{Isa, Level};

    #[test]
    fn vector_and_plain_versions_agree_at_all_sizes() {
        let x: Vec<f32> = (-400..=400).map(|i| i as f32 / 13.0).collect();
        let g: Vec<f32> = x.iter().map(|x| (x * 7.0).sin()).collect();
        let at = |level, n: usize| {
            let (mut y, mut dx) = (vec![0.0; n], vec![0.0; n]);
            let isa = Isa::detect(level);
            isa.run(Forward { x: &x[..n], y: &mut y });
            isa.run(Backward {
                x: &x[..n],
                g: &g[..n],
                dx: &mut dx,
            });
            [y, dx].concat()
        };
        for n in [0, 1, 15, 16, 17, x.len()] {
            for level in Level::ALL {
                for (found, expected) in at(level, n).iter().zip(at(Level::Portable, n)) {
                    assert!(
                        (found - expected).abs() <= 2e-6 * (1.0 + expected.abs()),
                        "{level:?}: {found} {expected}"
                    );
                }
            }
        }
    }
}
