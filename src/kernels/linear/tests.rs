//! Compares each kernel with plain sums, at sizes around the ends of vectors and tiles.

use super::*;
use crate::kernels::cpu::Level;
use crate::kernels::testing::{each_level, noise};
use half::{bf16, f16};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];
const ACTIVATIONS: [Activation; 4] = [
    Activation::Identity,
    Activation::QuickGelu,
    Activation::Gelu,
    Activation::GeluTanh,
];

/// A layer from `n_in` to `n_out`, and `rows` rows of input.
struct Case {
    rows: usize,
    n_in: usize,
    n_out: usize,
    x: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Case {
    fn new(rows: usize, n_in: usize, n_out: usize) -> Self {
        Case {
            rows,
            n_in,
            n_out,
            x: noise(1, rows * n_in),
            weights: noise(2, n_out * n_in),
            bias: noise(3, n_out),
        }
    }

    fn layer(&self, precision: Precision, threads: &Threads) -> (Linear, Activations) {
        let (shape, bias) = ((self.n_out, self.n_in), Some(&self.bias[..]));
        let linear = Linear::pack(Weights::F32(&self.weights), bias, shape, precision, threads);
        let mut x = Activations::new(precision);
        x.fill(&self.x, self.n_in, threads);
        (linear, x)
    }

    fn run(&self, precision: Precision, activation: Activation, threads: &Threads) -> Vec<f32> {
        let (linear, x) = self.layer(precision, threads);
        let mut out = vec![f32::NAN; self.rows * self.n_out];
        linear.run(&x, activation, &mut out, threads);
        out
    }

    /// The exact output before the activation, in f64, and the maximum error for `precision`.
    fn exact(&self, row: usize, output: usize, precision: Precision, threads: &Threads) -> (f64, f64) {
        let x = &self.x[row * self.n_in..][..self.n_in];
        let w = &self.weights[output * self.n_in..][..self.n_in];
        let (x_step, w_step) = (step(x), weight_step(w, threads));
        let (mut sum, mut size, mut rounding) = (0.0, 0.0, 0.0);
        for (x, w) in x.iter().zip(w) {
            let (x, w) = (f64::from(*x), f64::from(*w));
            sum += x * w;
            size += (x * w).abs();
            rounding += match precision {
                Precision::F32 => 0.0,
                // Each factor is rounded by up to half a unit of 8 bits.
                Precision::Bf16 => (x * w).abs() * (2.0 / 256.0 + 1.0 / 256.0_f64.powi(2)),
                // Each factor is rounded by up to half a step, plus the rounding of its division.
                Precision::Int8 => 0.5001 * (x.abs() * w_step + w.abs() * x_step) + 0.2501 * x_step * w_step,
            };
        }
        let bias = f64::from(self.bias[output]);
        // One rounding per product, two for bf16 pairs in plain code, and those of the bias and the scales.
        let chain = f64::from(f32::EPSILON) * (self.n_in as f64 + 4.0) * (size + bias.abs());
        (sum + bias, chain + rounding)
    }
}

/// The size of a byte's step for a row whose largest value becomes 127.
fn step(row: &[f32]) -> f64 {
    row.iter().fold(0.0, |top: f64, x| top.max(f64::from(x.abs()))) / 127.0
}

/// The size of a byte's step for a row of weights. AVX2 alone adds products of four weights in 16 bits.
fn weight_step(row: &[f32], threads: &Threads) -> f64 {
    let mut sums = [0.0_f64; 2];
    for eight in row.chunks(8) {
        for four in [[0, 1, 4, 5], [2, 3, 6, 7]] {
            let four = four.map(|i| f64::from(eight.get(i).copied().unwrap_or(0.0)));
            let sum = |sign: f64| four.iter().map(|w| (sign * w).max(0.0)).sum::<f64>();
            sums = [sums[0].max(sum(1.0)), sums[1].max(sum(-1.0))];
        }
    }
    match threads.level() {
        Level::Avx2 => step(row).max(sums[0].max(sums[1]) / 126.0),
        _ => step(row),
    }
}

#[test]
fn bytes_of_weights_have_the_largest_scale_that_sums_allow() {
    for n_in in [1, 7, 8, 9, 64, 70, 768] {
        let weights = noise(5, 40 * n_in);
        each_level(|threads| {
            let layer = Linear::pack(Weights::F32(&weights), None, (40, n_in), Precision::Int8, threads);
            for (row, scale) in weights.chunks(n_in).zip(&layer.scales) {
                let expected = weight_step(row, threads);
                assert!(
                    (f64::from(*scale) / expected - 1.0).abs() < 1e-6,
                    "{scale} for {expected}, {n_in}"
                );
            }
        });
    }
}

/// The activation in f64 and its maximum error. The functions have slopes of at most 1.13. In addition to a few
/// roundings of f32, GELU's erfc has an error of at most 1.5e-7, times |x| / 2.
fn activated(activation: Activation, (x, off): (f64, f64)) -> (f64, f64) {
    let rounding = 8.0 * f64::from(f32::EPSILON) * x.abs();
    match activation {
        Activation::Identity => (x, off),
        Activation::QuickGelu => (x / (1.0 + (-1.702 * x).exp()), 1.13 * off + rounding),
        Activation::Gelu => (x * normal(x), 1.13 * off + rounding + 1e-7 * x.abs()),
        Activation::GeluTanh => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            (x / 2.0 * (1.0 + u.tanh()), 1.13 * off + rounding)
        }
    }
}

/// The normal distribution function, by the series of erf around 0: Abramowitz and Stegun 26.2.11. Past 9 it is 0 or 1.
fn normal(x: f64) -> f64 {
    if x.abs() > 9.0 {
        return f64::from(u8::from(x > 0.0));
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..400 {
        term *= x * x / (2 * n + 1) as f64;
        sum += term;
    }
    (0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()).clamp(0.0, 1.0)
}

#[track_caller]
fn check(rows: usize, n_in: usize, n_out: usize) {
    let case = Case::new(rows, n_in, n_out);
    for precision in PRECISIONS {
        for activation in ACTIVATIONS {
            each_level(|threads| {
                let found = case.run(precision, activation, threads);
                for (i, found) in found.iter().enumerate() {
                    let (exact, off) = activated(activation, case.exact(i / n_out, i % n_out, precision, threads));
                    let error = (f64::from(*found) - exact).abs();
                    assert!(
                        error <= off,
                        "{rows}x{n_in}x{n_out} at {i}: {found} for {exact}, off by {error}, at most {off}: {precision:?} {activation:?} {:?}",
                        threads.level()
                    );
                }
            });
        }
    }
}

#[test]
fn matches_the_formula_at_any_height() {
    for rows in [0, 1, 2, 5, 6, 7, 12, 13, 14, 15, 27, 28, 29, 43] {
        check(rows, 40, 33);
    }
}

#[test]
fn matches_the_formula_at_any_depth() {
    for n_in in [1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 588] {
        check(3, n_in, 32);
    }
    // AVX2 multiplies these in parts of at most 768 values of f32, or 3072 bytes.
    for n_in in [768, 769, 1600, 3100] {
        check(2, n_in, 33);
    }
}

#[test]
fn matches_the_formula_at_any_width() {
    for n_out in [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100] {
        check(3, 20, n_out);
    }
}

#[test]
fn computes_several_blocks_of_rows() {
    // These take more bytes than one block has. AVX2 multiplies the second in two parts.
    for (rows, n_in) in [(600, 280), (300, 800)] {
        let case = Case::new(rows, n_in, 34);
        each_level(|threads| {
            let found = case.run(Precision::F32, Activation::Identity, threads);
            for (i, found) in found.iter().enumerate() {
                let (exact, off) = case.exact(i / 34, i % 34, Precision::F32, threads);
                assert!((f64::from(*found) - exact).abs() <= off, "{found} for {exact} at {i}");
            }
        });
    }
}

#[test]
fn run_add_adds_to_the_residual() {
    let case = Case::new(9, 24, 40);
    for precision in PRECISIONS {
        each_level(|threads| {
            let (linear, x) = case.layer(precision, threads);
            let before = noise(4, 9 * 40);
            let mut out = before.clone();
            linear.run_add(&x, &mut out, threads);
            let product = case.run(precision, Activation::Identity, threads);
            for ((out, before), product) in out.iter().zip(&before).zip(&product) {
                assert_eq!(*out, before + product);
            }
        });
    }
}

#[test]
fn run_into_packs_the_same_values_as_fill() {
    for n_out in [7, 32, 50, 96] {
        let case = Case::new(31, 24, n_out);
        for precision in PRECISIONS {
            each_level(|threads| {
                let (linear, x) = case.layer(precision, threads);
                let mut packed = Activations::new(precision);
                linear.run_into(&x, Activation::QuickGelu, &mut packed, threads);
                let mut filled = Activations::new(precision);
                filled.fill(&case.run(precision, Activation::QuickGelu, threads), n_out, threads);
                assert_eq!(packed.decode(threads), filled.decode(threads), "{precision:?} {n_out}");
            });
        }
    }
}

/// The bits of outputs.
fn bits(out: &[f32]) -> Vec<u32> {
    out.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_row_has_the_same_bits_in_any_batch() {
    let case = Case::new(45, 70, 50);
    for precision in PRECISIONS {
        each_level(|threads| {
            let all = case.run(precision, Activation::QuickGelu, threads);
            for rows in [0..1, 3..4, 7..20, 30..45] {
                let x = case.x[rows.start * 70..rows.end * 70].to_vec();
                let some = Case {
                    rows: rows.len(),
                    x,
                    ..Case::new(0, 70, 50)
                };
                let some = some.run(precision, Activation::QuickGelu, threads);
                assert_eq!(
                    bits(&all[rows.start * 50..rows.end * 50]),
                    bits(&some),
                    "{precision:?} {rows:?}"
                );
            }
        });
    }
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let case = Case::new(45, 70, 150);
    for level in Level::ALL {
        for precision in PRECISIONS {
            let run = |n| case.run(precision, Activation::Gelu, &Threads::with_level(n, level));
            let one = run(1);
            assert!(
                [2, 3, 8].into_iter().all(|n| bits(&run(n)) == bits(&one)),
                "{precision:?}"
            );
        }
    }
}

#[test]
fn half_precision_weights_pack_like_their_f32_values() {
    let case = Case::new(4, 37, 35);
    let half: Vec<f16> = case.weights.iter().map(|w| f16::from_f32(*w)).collect();
    let brain: Vec<bf16> = case.weights.iter().map(|w| bf16::from_f32(*w)).collect();
    for precision in PRECISIONS {
        each_level(|threads| {
            let pack = |weights| Linear::pack(weights, None, (35, 37), precision, threads);
            let same = |a: Linear, b: Linear| assert_eq!(a.panels.bytes(), b.panels.bytes(), "{precision:?}");
            let values: Vec<f32> = half.iter().map(|w| w.to_f32()).collect();
            same(pack(Weights::F16(&half)), pack(Weights::F32(&values)));
            let values: Vec<f32> = brain.iter().map(|w| w.to_f32()).collect();
            same(pack(Weights::Bf16(&brain)), pack(Weights::F32(&values)));
        });
    }
}

#[test]
fn reusing_a_layers_memory_leaves_no_trace() {
    let (large, small) = (Case::new(3, 70, 90), Case::new(3, 37, 35));
    for precision in PRECISIONS {
        each_level(|threads| {
            let fresh = small.run(precision, Activation::Identity, threads);
            let (mut reused, _) = large.layer(precision, threads);
            let (_, x) = small.layer(precision, threads);
            let (weights, shape) = (Weights::F32(&small.weights), (small.n_out, small.n_in));
            reused.pack_again(weights, Some(&small.bias), shape, threads).unwrap();
            let mut out = vec![f32::NAN; fresh.len()];
            reused.run(&x, Activation::Identity, &mut out, threads);
            assert_eq!(bits(&out), bits(&fresh), "{precision:?} {:?}", threads.level());
        });
    }
}

#[test]
fn reports_a_weight_that_is_not_finite_at_any_position() {
    for (bad, at) in [(f32::NAN, 0), (f32::INFINITY, 35 * 37 - 1), (f32::NEG_INFINITY, 700)] {
        let mut weights = noise(2, 35 * 37);
        weights[at] = bad;
        for precision in PRECISIONS {
            each_level(|threads| {
                let packed = Linear::empty(precision).pack_again(Weights::F32(&weights), None, (35, 37), threads);
                assert_eq!(packed, Err(NotFinite), "{bad} at {at}, {precision:?}");
            });
        }
    }
}

#[test]
fn a_value_that_is_not_finite_affects_only_its_row() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut case = Case::new(20, 33, 40);
        case.x[7 * 33 + 32] = bad;
        for precision in PRECISIONS {
            each_level(|threads| {
                let out = case.run(precision, Activation::Identity, threads);
                for (i, out) in out.iter().enumerate() {
                    assert_eq!(
                        out.is_finite(),
                        i / 40 != 7,
                        "{out} at {i}, {precision:?} {:?}",
                        threads.level()
                    );
                }
            });
        }
    }
}

#[test]
fn sums_of_the_largest_bytes_do_not_overflow() {
    let constant = |sign| vec![sign; 32 * 64];
    for weights in [constant(1.0), constant(-1.0), noise(2, 32 * 64)] {
        let case = Case {
            x: [[1.0; 64], [-1.0; 64]].concat(),
            weights,
            bias: vec![0.0; 32],
            ..Case::new(2, 64, 32)
        };
        each_level(|threads| {
            let found = case.run(Precision::Int8, Activation::Identity, threads);
            for (i, found) in found.iter().enumerate() {
                let (exact, off) = case.exact(i / 32, i % 32, Precision::Int8, threads);
                let error = (f64::from(*found) - exact).abs();
                assert!(error <= off, "{found} for {exact} at {i}, {:?}", threads.level());
            }
        });
    }
}

#[test]
fn a_layer_without_bias_and_a_row_of_zeroes_give_zeroes() {
    for precision in PRECISIONS {
        each_level(|threads| {
            let linear = Linear::pack(Weights::F32(&noise(1, 50 * 20)), None, (50, 20), precision, threads);
            let mut x = Activations::new(precision);
            x.fill(&[0.0; 40], 20, threads);
            let mut out = [1.0; 100];
            linear.run(&x, Activation::Identity, &mut out, threads);
            assert!(out.iter().all(|out| *out == 0.0), "{precision:?}");
        });
    }
}
