//! Compares each operation with its plain version, and each gradient with finite differences.

use super::attention::{Attention, Inputs};
use super::linear::{Layer, WeightOrder};
use super::{activation, norm};
use crate::kernels::attention::{Heads, Mask, Sequence};
use crate::kernels::testing::noise;

/// Compares the gradient of `Σ weights * f(x)` with central differences along a few directions.
#[track_caller]
fn check_slopes(what: &str, x: &[f32], weights: &[f32], f: impl Fn(&[f32]) -> Vec<f32>, gradient: &[f32]) {
    assert_eq!(gradient.len(), x.len(), "{what}");
    const STEP: f32 = 1e-2;
    let loss = |x: &[f32]| -> f64 {
        let products = f(x).into_iter().zip(weights).map(|(y, w)| f64::from(y) * f64::from(*w));
        products.sum()
    };
    for direction in 0..6 {
        let along = noise(100 + direction, x.len());
        let moved = |sign: f32| -> Vec<f32> { x.iter().zip(&along).map(|(x, d)| x + sign * STEP * d).collect() };
        let slope = (loss(&moved(1.0)) - loss(&moved(-1.0))) / (2.0 * f64::from(STEP));
        let products = gradient.iter().zip(&along).map(|(g, d)| f64::from(*g) * f64::from(*d));
        let expected: f64 = products.sum();
        let size: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        assert!(
            (slope - expected).abs() < 2e-3 * size.max(1e-3),
            "{what}: {slope} by differences, {expected} by the gradient of length {size}"
        );
    }
}

#[test]
fn linear_gradients_match_differences_in_both_weight_orders() {
    for (order, rows, n_in, n_out) in [
        (WeightOrder::OutIn, 5, 7, 3),
        (WeightOrder::InOut, 33, 20, 17),
        (WeightOrder::OutIn, 1, 64, 40),
    ] {
        let layer = Layer { n_in, n_out, order };
        let (x, w, b) = (noise(1, rows * n_in), noise(2, n_in * n_out), noise(3, n_out));
        let g = noise(4, rows * n_out);
        check_slopes("x", &x, &g, |x| layer.forward(x, &w, Some(&b)), &layer.by_input(&g, &w));
        check_slopes(
            "w",
            &w,
            &g,
            |w| layer.forward(&x, w, Some(&b)),
            &layer.by_weights(&g, &x),
        );
        check_slopes("b", &b, &g, |b| layer.forward(&x, &w, Some(b)), &layer.by_bias(&g));
        let by_hand = |row: usize, out: usize| -> f32 {
            let weight = |i: usize| match order {
                WeightOrder::OutIn => w[out * n_in + i],
                WeightOrder::InOut => w[i * n_out + out],
            };
            (0..n_in).map(|i| x[row * n_in + i] * weight(i)).sum()
        };
        let y = layer.forward(&x, &w, None);
        for (i, y) in y.iter().enumerate() {
            assert!((y - by_hand(i / n_out, i % n_out)).abs() < 1e-5 * n_in as f32);
        }
    }
}

#[test]
fn norm_gradients_match_differences_at_any_width() {
    for (rows, width) in [(3, 5), (40, 16), (70, 33), (1, 64)] {
        let (x, w, b) = (noise(1, rows * width), noise(2, width), noise(3, width));
        let g = noise(4, rows * width);
        let found = norm::backward(&x, &g, with(&w, &b));
        check_slopes("x", &x, &g, |x| norm::forward(x, with(&w, &b)), &found.x);
        check_slopes("w", &w, &g, |w| norm::forward(&x, with(w, &b)), &found.weight);
        check_slopes("b", &b, &g, |b| norm::forward(&x, with(&w, b)), &found.bias);
    }
}

#[test]
fn quick_gelu_gradient_matches_differences() {
    for n in [1, 15, 16, 1000] {
        let x: Vec<f32> = noise(1, n).iter().map(|x| 4.0 * x).collect();
        let g = noise(2, n);
        check_slopes("x", &x, &g, activation::forward, &activation::backward(&x, &g));
    }
}

fn with<'a>(weight: &'a [f32], bias: &'a [f32]) -> norm::Parameters<'a> {
    norm::Parameters {
        weight,
        bias,
        epsilon: 1e-5,
    }
}

/// Sequences, two of which share a prefix.
fn sequences() -> Vec<Sequence> {
    let own = |queries: std::ops::Range<usize>, prefix| Sequence {
        keys: queries.clone(),
        queries,
        prefix,
    };
    vec![own(0..3, 0..0), own(3..7, 0..3), own(7..8, 0..3), own(8..26, 0..0)]
}

#[test]
fn attention_gradients_match_differences_with_and_without_a_mask() {
    let heads = Heads { count: 2, dim: 8 };
    let sequences = sequences();
    for mask in [Mask::None, Mask::Causal] {
        let attention = Attention {
            sequences: &sequences,
            heads,
            mask,
        };
        let (qkv, g) = (noise(1, 26 * 48), noise(2, 26 * 16));
        let found = attention.backward(Inputs::fused(&qkv, 16), &g);
        let rows = found.queries.chunks_exact(16).zip(found.keys_values.chunks_exact(32));
        let joined: Vec<f32> = rows.flat_map(|(q, kv)| [q, kv].concat()).collect();
        check_slopes(
            "qkv",
            &qkv,
            &g,
            |qkv| attention.forward(Inputs::fused(qkv, 16)),
            &joined,
        );
    }
}

#[test]
fn one_query_per_sequence_attends_to_all_of_its_keys() {
    let heads = Heads { count: 2, dim: 8 };
    let with_one_query: Vec<Sequence> = [(8..26, 0..0), (3..7, 0..3)]
        .into_iter()
        .enumerate()
        .map(|(i, (keys, prefix))| Sequence {
            queries: i..i + 1,
            prefix,
            keys,
        })
        .collect();
    let attention = Attention {
        sequences: &with_one_query,
        heads,
        mask: Mask::None,
    };
    let (q, kv, g) = (noise(1, 2 * 16), noise(2, 26 * 32), noise(3, 2 * 16));
    let found = attention.backward(Inputs::apart(&q, &kv, 16), &g);
    check_slopes(
        "q",
        &q,
        &g,
        |q| attention.forward(Inputs::apart(q, &kv, 16)),
        &found.queries,
    );
    check_slopes(
        "kv",
        &kv,
        &g,
        |kv| attention.forward(Inputs::apart(&q, kv, 16)),
        &found.keys_values,
    );
    let without_query = &found.keys_values[7 * 32..8 * 32];
    assert!(
        without_query.iter().all(|slope| *slope == 0.0),
        "keys without a query have no gradient"
    );
}
