//! Elementary functions of the model on vectors: 2^t, QuickGELU, GELU and its tanh form. The activations have plain
//! versions in f64.
//!
//! Linear layers use them for their activations, attention for its softmax. The error bounds, in units in the last
//! place or as absolute errors, are tested below.

use super::Simd;
use crate::kernels::QUICK_GELU_SLOPE;
use std::f32::consts::{LN_2, LOG2_E};
use std::f64::consts::FRAC_1_SQRT_2;

// At the minimum, where f32 has no more normal numbers, the result is 0; see `Simd::scale`. No result exceeds 2^126, the
// largest power with a normal reciprocal.
const EXP2_MIN: f32 = -127.0;
const EXP2_MAX: f32 = 126.0;
// 2^f for |f| <= 1/2, from the coefficient of f^6 down to that of f: the interpolating polynomial at Chebyshev points
// with its constant set to 1. Rounded to f32 as here, its error is at most 2e-8 of the result, a third of half a unit
// in the last place.
const EXP2_TERMS: [f32; 6] = [
    0.000_154_614_44,
    0.001_340_042_8,
    0.009_618_057,
    0.055_503_27,
    0.240_226_5,
    LN_2,
];

/// The slope of QuickGELU.
const SLOPE: f32 = QUICK_GELU_SLOPE as f32;

// The tanh form of GELU, x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³))): Hendrycks and Gimpel 2016, section 2.
const TANH_CUBIC: f32 = 0.044_715;
const TANH_SLOPE: f64 = 0.797_884_560_802_865_4;

// erfc(z) ≈ (a1 t + … + a5 t⁵) exp(−z²), t = 1 / (1 + p z), with an error of at most 1.5e-7: Abramowitz and Stegun
// 7.1.26.
const ERFC_P: f32 = 0.327_591_1;
const ERFC_TERMS: [f32; 5] = [1.061_405_4, -1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];

/// 2^t, accurate to 2 units in the last place, and at most 2^126; 0 for t < -126.5. NaN stays NaN.
#[inline(always)]
pub(crate) fn exp2<S: Simd>(s: S, t: S::F) -> S::F {
    let t = s.min(s.splat(EXP2_MAX), s.max(s.splat(EXP2_MIN), t));
    let n = s.round(t);
    let f = s.sub(t, n);
    let mut power = s.splat(EXP2_TERMS[0]);
    for term in &EXP2_TERMS[1..] {
        power = s.mul_add(power, f, s.splat(*term));
    }
    s.scale(s.mul_add(power, f, s.splat(1.0)), n)
}

/// x · σ(1.702 x).
#[inline(always)]
pub(crate) fn quick_gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let e = exp2(s, s.mul(x, s.splat(-SLOPE * LOG2_E)));
    s.mul(x, s.reciprocal(s.add(s.splat(1.0), e)))
}

/// x · Φ(x), computed as max(x, 0) − |x| / 2 · erfc(|x| / √2), which has no cancellation on either side.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(s: S, x: S::F) -> S::F {
    let size = s.abs(x);
    let z = s.mul(size, s.splat(FRAC_1_SQRT_2 as f32));
    let t = s.reciprocal(s.min(s.splat(1e30), s.mul_add(z, s.splat(ERFC_P), s.splat(1.0))));
    let mut erfc = s.splat(ERFC_TERMS[0]);
    for term in &ERFC_TERMS[1..] {
        erfc = s.mul_add(erfc, t, s.splat(*term));
    }
    let decay = exp2(s, s.mul(s.mul(z, z), s.splat(-LOG2_E)));
    let tail = s.mul(s.mul(s.mul(erfc, t), decay), s.mul(size, s.splat(0.5)));
    s.sub(s.max(s.splat(0.0), x), tail)
}

/// The tanh form of GELU. As (1 + tanh u) / 2 = σ(2u), it is x · σ(2 √(2/π) (x + 0.044715 x³)).
#[inline(always)]
pub(crate) fn gelu_tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let cubic = s.mul(s.mul(x, x), s.splat(TANH_CUBIC));
    let u = s.mul_add(cubic, x, x);
    let e = exp2(s, s.mul(u, s.splat(-2.0 * TANH_SLOPE as f32 * LOG2_E)));
    s.mul(x, s.reciprocal(s.add(s.splat(1.0), e)))
}

/// [`quick_gelu`] of one number, x / (1 + e^(−1.702 x)), in f64.
pub(crate) fn quick_gelu_plain(x: f32) -> f32 {
    let x = f64::from(x);
    (x / (1.0 + (f64::from(-SLOPE) * x).exp())) as f32
}

/// [`gelu`] of one number, by the same formula for erfc, in f64.
pub(crate) fn gelu_plain(x: f32) -> f32 {
    let size = f64::from(x.abs());
    let z = size * FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + f64::from(ERFC_P) * z);
    let poly = ERFC_TERMS.iter().fold(0.0, |sum, term| sum * t + f64::from(*term)) * t;
    // The standard library's `max` drops a NaN; the subtraction restores it, because `size` is NaN too.
    (f64::from(x).max(0.0) - size / 2.0 * poly * (-z * z).exp()) as f32
}

/// [`gelu_tanh`] of one number, in f64.
pub(crate) fn gelu_tanh_plain(x: f32) -> f32 {
    let x = f64::from(x);
    let u = TANH_SLOPE * (x + f64::from(TANH_CUBIC) * x * x * x);
    (x / (1.0 + (-2.0 * u).exp())) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::cpu::{Isa, Level};
    use crate::kernels::simd::{Kernel, Vector};

    #[derive(Clone, Copy)]
    enum Function {
        Exp2,
        QuickGelu,
        Gelu,
        GeluTanh,
    }

    /// Applies a function to a multiple of 16 values.
    struct Apply<'a>(Function, &'a mut [f32]);

    impl Vector for Apply<'_> {
        #[inline(always)]
        fn vector<S: Simd>(self, s: S) {
            assert!(self.1.len().is_multiple_of(S::LANES));
            for x in self.1.chunks_exact_mut(S::LANES) {
                // SAFETY: the chunk holds `LANES` values.
                unsafe {
                    let y = match self.0 {
                        Function::Exp2 => exp2(s, s.load(x.as_ptr())),
                        Function::QuickGelu => quick_gelu(s, s.load(x.as_ptr())),
                        Function::Gelu => gelu(s, s.load(x.as_ptr())),
                        Function::GeluTanh => gelu_tanh(s, s.load(x.as_ptr())),
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
                    Function::Exp2 => f64::from(if *x > 126.0 { 126.0 } else { *x }).exp2() as f32,
                    Function::QuickGelu => quick_gelu_plain(*x),
                    Function::Gelu => gelu_plain(*x),
                    Function::GeluTanh => gelu_tanh_plain(*x),
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

    /// Numbers of both signs, with all exponents up to that of `top`.
    fn all_sizes(top: f32) -> Vec<f32> {
        (0..top.to_bits())
            .step_by(4099)
            .map(f32::from_bits)
            .flat_map(|x| [x, -x])
            .collect()
    }

    #[test]
    fn exp2_is_accurate_to_two_units_in_the_last_place() {
        let mut x = all_sizes(160.0);
        x.retain(|x| *x <= 126.0);
        for level in Level::ALL {
            for (x, y) in x.iter().zip(apply(Function::Exp2, level, &x)) {
                let exact = f64::from(*x).exp2();
                let normal = f64::from(f32::MIN_POSITIVE);
                let unit = f64::from(f32::EPSILON) * 2_f64.powf(exact.log2().floor());
                // Below the normal numbers, the result may be 0.
                let bound = if exact < normal { normal } else { 2.0 * unit };
                assert!((f64::from(y) - exact).abs() <= bound, "2^{x} is {exact}, found {y}");
            }
        }
    }

    #[test]
    fn exp2_keeps_nan_and_is_limited_at_both_ends() {
        let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e30, -151.0];
        for level in Level::ALL {
            let y = apply(Function::Exp2, level, &x);
            assert!(y[0].is_nan());
            let most = 126_f32.exp2();
            assert_eq!(y[1..], [most, 0.0, 1.0, 1.0, most, 0.0], "{level:?}");
        }
    }

    #[test]
    fn activations_match_their_plain_versions() {
        let x = all_sizes(60.0);
        for (function, plain) in [
            (Function::QuickGelu, quick_gelu_plain as fn(f32) -> f32),
            (Function::Gelu, gelu_plain),
            (Function::GeluTanh, gelu_tanh_plain),
        ] {
            for level in Level::ALL {
                for (x, y) in x.iter().zip(apply(function, level, &x)) {
                    // The argument of exp is rounded: half a unit of up to 1.702 |x|, which becomes a relative error.
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
    fn activations_keep_nan() {
        for level in Level::ALL {
            for function in [Function::QuickGelu, Function::Gelu, Function::GeluTanh] {
                let y = apply(function, level, &[f32::NAN, f32::INFINITY, 0.0]);
                assert!(y[0].is_nan() && y[2] == 0.0);
            }
        }
    }
}
