//! Compares each kernel with the portable one, at sizes around the ends of vectors and tiles.

use super::*;
use crate::kernels::testing::{each_level, noise};

const HEADS: Heads = Heads { count: 3, dim: 64 };

/// The attention computed by the oracle, in f32.
fn expected(qkv: Projected<'_>, sequences: &[Sequence], heads: Heads, mask: Mask) -> Vec<f32> {
    let plain = Threads::with_level(1, crate::kernels::cpu::Level::Portable);
    let mut out = Activations::new(Precision::F32);
    attention(qkv, sequences, heads, mask, &mut out, &plain);
    out.decode(&plain)
}

/// The maximum error. In f32, errors of scores (at most `dim · ε · |q| |k|`) are amplified by e^x; sums over keys add
/// theirs, but their weights sum to one. bf16 rounds queries, keys, weights and values by 2^-8 each; scores are a few
/// units here.
fn bound(precision: Precision) -> f32 {
    match precision {
        Precision::F32 => 2e-5,
        Precision::Bf16 => 0.02,
        Precision::Int8 => 0.03,
    }
}

#[track_caller]
fn check(qkv: Projected<'_>, sequences: &[Sequence], heads: Heads, mask: Mask) {
    let expected = expected(qkv, sequences, heads, mask);
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        each_level(|threads| {
            let mut out = Activations::new(precision);
            attention(qkv, sequences, heads, mask, &mut out, threads);
            let found = out.decode(threads);
            assert_eq!(found.len(), expected.len());
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let off = (found - expected).abs();
                assert!(
                    off <= bound(precision),
                    "{i}: {found} for {expected}, {precision:?} {:?}",
                    threads.level()
                );
            }
        });
    }
}

fn ends(lengths: &[usize]) -> Vec<Sequence> {
    let starts = lengths.iter().scan(0, |at, n| {
        *at += n;
        Some(*at - n)
    });
    starts
        .zip(lengths)
        .map(|(start, n)| Sequence::whole(start..start + n))
        .collect()
}

#[test]
fn matches_the_formula_at_any_length() {
    for mask in [Mask::None, Mask::Causal] {
        for length in [0, 1, 2, 13, 14, 15, 16, 17, 29, 31, 32, 33, 63, 64, 65, 100] {
            let qkv = noise(length as u64, length * 3 * HEADS.width());
            check(
                Projected::fused(&qkv, HEADS.width()),
                &[Sequence::whole(0..length)],
                HEADS,
                mask,
            );
        }
    }
}

#[test]
fn matches_the_formula_at_any_head_width() {
    for dim in [1, 8, 16, 24, 32, 48, 64, 80, 96, 128] {
        let heads = Heads { count: 2, dim };
        let qkv = noise(dim as u64, 20 * 3 * heads.width());
        check(
            Projected::fused(&qkv, heads.width()),
            &[Sequence::whole(0..20)],
            heads,
            Mask::None,
        );
    }
}

#[test]
fn handles_contiguous_sequences_of_different_lengths() {
    let lengths = [3, 0, 21, 1, 40, 7];
    let qkv = noise(5, lengths.iter().sum::<usize>() * 3 * HEADS.width());
    for mask in [Mask::None, Mask::Causal] {
        check(Projected::fused(&qkv, HEADS.width()), &ends(&lengths), HEADS, mask);
    }
}

#[test]
fn large_scores_neither_overflow_nor_lose_the_largest() {
    let qkv: Vec<f32> = noise(6, 33 * 3 * HEADS.width()).iter().map(|x| x * 30.0).collect();
    let qkv_ref = Projected::fused(&qkv, HEADS.width());
    let expected = expected(qkv_ref, &[Sequence::whole(0..33)], HEADS, Mask::None);
    each_level(|threads| {
        let mut out = Activations::new(Precision::F32);
        attention(qkv_ref, &[Sequence::whole(0..33)], HEADS, Mask::None, &mut out, threads);
        for (found, expected) in out.decode(threads).iter().zip(&expected) {
            // Scores are up to 64 · 900 / 8, and their error of dim · ε is amplified by e^x.
            assert!((found - expected).abs() <= 0.05 * 30.0, "{found} for {expected}");
        }
    });
}

/// The bits of all rows.
fn bits(qkv: Projected<'_>, sequences: &[Sequence], mask: Mask, precision: Precision, threads: &Threads) -> Vec<u32> {
    let mut out = Activations::new(precision);
    attention(qkv, sequences, HEADS, mask, &mut out, threads);
    out.decode(threads).iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_sequence_has_the_same_bits_alone_and_among_others() {
    let (lengths, width) = ([17, 30, 5], HEADS.width());
    let qkv = noise(7, 52 * 3 * width);
    let all = Projected::fused(&qkv, width);
    let alone = Projected::fused(&qkv[17 * 3 * width..47 * 3 * width], width);
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        for mask in [Mask::None, Mask::Causal] {
            each_level(|threads| {
                let together = bits(all, &ends(&lengths), mask, precision, threads);
                let single = bits(alone, &ends(&[30]), mask, precision, threads);
                assert_eq!(together[17 * width..47 * width], single, "{precision:?}");
            });
        }
    }
}

#[test]
fn one_query_has_the_same_bits_alone_and_among_others() {
    let (n, width) = (50, HEADS.width());
    let qkv = noise(8, n * 3 * width);
    let kv: Vec<f32> = qkv.chunks(3 * width).flat_map(|row| row[width..].to_vec()).collect();
    for (mask, query) in [(Mask::None, 0), (Mask::Causal, n - 1)] {
        let q = &qkv[query * 3 * width..][..width];
        each_level(|threads| {
            let all = bits(
                Projected::fused(&qkv, width),
                &ends(&[n]),
                mask,
                Precision::F32,
                threads,
            );
            let apart = Projected::apart(q, &kv, width);
            let one = bits(apart, &[Sequence::one(0, 0..n)], mask, Precision::F32, threads);
            assert_eq!(one, all[query * width..][..width]);
        });
    }
}

#[test]
fn a_shared_prefix_gives_the_same_bits_as_whole_sequences() {
    let (prefix, own, width) = (6, 19, HEADS.width());
    let row = 3 * width;
    let qkv = noise(9, (prefix + own) * row);
    // The prefix, followed by two copies of the rest that share it.
    let shared = [&qkv[..], &qkv[prefix * row..]].concat();
    let tail = |start: usize| Sequence {
        queries: start..start + own,
        prefix: 0..prefix,
        keys: start..start + own,
    };
    let sequences = [Sequence::whole(0..prefix), tail(prefix), tail(prefix + own)];
    each_level(|threads| {
        let whole = bits(
            Projected::fused(&qkv, width),
            &ends(&[prefix + own]),
            Mask::Causal,
            Precision::F32,
            threads,
        );
        let parts = bits(
            Projected::fused(&shared, width),
            &sequences,
            Mask::Causal,
            Precision::F32,
            threads,
        );
        assert_eq!(parts[..(prefix + own) * width], whole);
        assert_eq!(parts[(prefix + own) * width..], whole[prefix * width..]);
    });
}

#[test]
fn a_nan_shows_and_stays_in_its_sequence() {
    let width = HEADS.width();
    let mut qkv = noise(10, 40 * 3 * width);
    qkv[3 * width * 3] = f32::NAN;
    each_level(|threads| {
        let found = bits(
            Projected::fused(&qkv, width),
            &ends(&[20, 20]),
            Mask::None,
            Precision::F32,
            threads,
        );
        assert!(f32::from_bits(found[3 * width]).is_nan());
        assert!(found[20 * width..].iter().all(|x| f32::from_bits(*x).is_finite()));
    });
}
