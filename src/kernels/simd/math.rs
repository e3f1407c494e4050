//! The elementary functions of the model on vectors: exp, QuickGELU and GELU, each with its plain twin in f64.
//!
//! Used where a linear layer finishes its rows and by attention's softmax. Bounds are tested below, in units in the
//! last place or as an absolute error.

use super::Simd;
use std::f64::consts::FRAC_1_SQRT_2;

// ln 2 in two parts: the first has 9 trailing zero bits, so that its product with an exponent is exact (Cody and Waite).
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
// Beyond these exp is 0 and ∞ in f32; the clamp keeps the exponent inside what `Simd::scale` takes.
const EXP_MIN: f32 = -105.0;
const EXP_MAX: f32 = 89.0;
// Taylor's coefficients from r^7 down to r^2: on |r| <= ln 2 / 2 the first term left out is below 6e-9 of the result.
const EXP_TERMS: [f32; 6] = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5];

/// QuickGELU's slope, `x · σ(1.702 x)`: Hendrycks and Gimpel 2016, section 2; CLIP uses it.
const QUICK: f32 = 1.702;

// erfc(z) ≈ (a1 t + … + a5 t⁵) exp(−z²), t = 1 / (1 + p z), off by at most 1.5e-7: Abramowitz and Stegun 7.1.26.
const ERFC_P: f32 = 0.327_591_1;
const ERFC_TERMS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];

/// e^x, within 2 units in the last place where the result is normal; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.min(s.splat(EXP_MAX), s.max(s.splat(EXP_MIN), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    let r = s.mul_add(n, s.splat(-LN_2_HIGH), x);
    let r = s.mul_add(n, s.splat(-LN_2_LOW), r);
    let mut tail = s.splat(EXP_TERMS[0]);
    for term in &EXP_TERMS[1..] {
        tail = s.mul_add(tail, r, s.splat(*term));
    }
    let e = s.add(s.mul_add(tail, s.mul(r, r), r), s.splat(1.0));
    s.scale(e, n)
}

/// x · σ(1.702 x).
#[inline(always)]
pub(crate) fn quick_gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let e = exp(s, s.mul(x, s.splat(-QUICK)));
    s.div(x, s.add(s.splat(1.0), e))
}

/// x · Φ(x), as max(x, 0) − |x| / 2 · erfc(|x| / √2): no cancellation on either side.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let size = s.abs(x);
    let z = s.mul(size, s.splat(FRAC_1_SQRT_2 as f32));
    let t = s.div(s.splat(1.0), s.mul_add(z, s.splat(ERFC_P), s.splat(1.0)));
    let mut erfc = s.splat(ERFC_TERMS[0]);
    for term in &ERFC_TERMS[1..] {
        erfc = s.mul_add(erfc, t, s.splat(*term));
    }
    let decay = exp(s, s.mul(s.mul(z, z), s.splat(-1.0)));
    let tail = s.mul(s.mul(s.mul(erfc, t), decay), s.mul(size, s.splat(0.5)));
    s.sub(s.max(s.splat(0.0), x), tail)
}

/// [`quick_gelu`] of one number: x / (1 + e^(−1.702 x)).
pub(crate) fn quick_gelu_plain(x: f32) -> f32 {
    let x = f64::from(x);
    (x / (1.0 + (f64::from(-QUICK) * x).exp())) as f32
}

/// [`gelu`] of one number, by the same formula for erfc in f64.
pub(crate) fn gelu_plain(x: f32) -> f32 {
    let size = f64::from(x.abs());
    let z = size * FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + f64::from(ERFC_P) * z);
    let poly = ERFC_TERMS.iter().fold(0.0, |sum, term| sum * t + f64::from(*term)) * t;
    // `max` of the library drops a NaN; the subtraction brings it back, since `size` carries it.
    (f64::from(x).max(0.0) - size / 2.0 * poly * (-z * z).exp()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::{Isa, Level};
    use crate::kernels::simd::{Kernel, Vector};

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        QuickGelu,
        Gelu,
    }

    /// Applies a function to whole groups of 16.
    struct Apply<'a>(Function, &'a mut [f32]);

    impl Vector for Apply<'_> {
        #[inline(always)]
        fn vector<S: Simd>(self, s: S) {
            assert!(self.1.len().is_multiple_of(S::LANES));
            for x in self.1.chunks_exact_mut(S::LANES) {
                // SAFETY: the chunk holds `LANES` values.
                unsafe {
                    let y = match self.0 {
                        Function::Exp => exp(s, s.load(x.as_ptr())),
                        Function::QuickGelu => quick_gelu(s, s.load(x.as_ptr())),
                        Function::Gelu => gelu(s, s.load(x.as_ptr())),
                    };
                    s.store(x.as_mut_ptr(), y);
                }
            }
        }
    }

    impl Kernel for Apply<'_> {
        fn plain(self) {
            for x in self.1 {
                *x = match self.0 {
                    Function::Exp => f64::from(*x).exp() as f32,
                    Function::QuickGelu => quick_gelu_plain(*x),
                    Function::Gelu => gelu_plain(*x),
                };
            }
        }
    }

    fn apply(function: Function, level: Level, x: &[f32]) -> Vec<f32> {
        let mut y = x.to_vec();
        y.resize(x.len().next_multiple_of(16), 0.0);
        Isa::detect(level).run(Apply(function, &mut y));
        y.truncate(x.len());
        y
    }

    /// Numbers of both signs and all sizes up to `top`.
    fn all_sizes(top: f32) -> Vec<f32> {
        (0..top.to_bits())
            .step_by(4099)
            .map(f32::from_bits)
            .flat_map(|x| [x, -x])
            .collect()
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let x = all_sizes(88.7);
        for level in Level::ALL {
            for (x, y) in x.iter().zip(apply(Function::Exp, level, &x)) {
                let exact = f64::from(*x).exp();
                // One unit of the result; below the normal numbers, that of the smallest of them.
                let unit = f64::from(f32::EPSILON) * 2_f64.powf(exact.log2().floor()).max(f64::from(f32::MIN_POSITIVE));
                assert!(
                    (f64::from(y) - exact).abs() <= 2.0 * unit,
                    "exp({x}) is {exact}, found {y}"
                );
            }
        }
    }

    #[test]
    fn exp_keeps_what_is_not_a_number_and_ends_at_zero_and_infinity() {
        let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 100.0, -110.0];
        for level in Level::ALL {
            let y = apply(Function::Exp, level, &x);
            assert!(y[0].is_nan());
            assert_eq!(y[1..], [f32::INFINITY, 0.0, 1.0, 1.0, f32::INFINITY, 0.0], "{level:?}");
        }
    }

    #[test]
    fn activations_equal_their_plain_twins() {
        let x = all_sizes(60.0);
        for (function, plain) in [
            (Function::QuickGelu, quick_gelu_plain as fn(f32) -> f32),
            (Function::Gelu, gelu_plain),
        ] {
            for level in Level::ALL {
                for (x, y) in x.iter().zip(apply(function, level, &x)) {
                    // The argument of exp is rounded: half a unit of up to 1.702 |x| enters as a relative error.
                    let bound = f32::EPSILON * (8.0 + 2.0 * x.abs()) * plain(*x).abs() + f32::EPSILON * x.abs();
                    let bound = bound.max(f32::MIN_POSITIVE);
                    assert!(
                        (y - plain(*x)).abs() <= bound,
                        "of {x}: {} expected, {y} found",
                        plain(*x)
                    );
                }
            }
        }
    }

    #[test]
    fn activations_keep_what_is_not_a_number() {
        for level in Level::ALL {
            for function in [Function::QuickGelu, Function::Gelu] {
                let y = apply(function, level, &[f32::NAN, f32::INFINITY, 0.0]);
                assert!(y[0].is_nan() && y[2] == 0.0);
            }
        }
    }
}
