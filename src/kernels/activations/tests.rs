//! Rows of activations in each number type.

use super::*;
use crate::kernels::testing::{each_level, noise};

/// Decoded rows must be within half a unit: exact in f32, 8 bits in bf16, a step of the row's scale in bytes.
#[track_caller]
fn check(rows: usize, width: usize) {
    let x = noise(width as u64, rows * width);
    for (precision, bound) in [
        (Precision::F32, 0.0),
        (Precision::Bf16, 1.0 / 512.0),
        (Precision::Int8, 0.501 / 127.0),
    ] {
        each_level(|threads| {
            let mut packed = Activations::new(precision);
            packed.fill(&x, width, threads);
            assert_eq!((packed.rows(), packed.width()), (rows, width));
            let bound = if packed.stored() == Precision::F32 { 0.0 } else { bound };
            for (found, x) in packed.decode(threads).iter().zip(&x) {
                assert!(
                    (found - x).abs() <= bound,
                    "{found} for {x}: {rows} rows of {width} {precision:?}"
                );
            }
        });
    }
}

#[test]
fn decodes_what_was_encoded_up_to_rounding() {
    for width in [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 200] {
        for rows in [0, 1, 5, 14, 15, 29] {
            check(rows, width);
        }
    }
}

#[test]
fn all_levels_round_to_a_type_in_the_same_way() {
    let x = noise(1, 20 * 77);
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        let plain = Threads::with_level(1, crate::kernels::cpu::Level::Portable);
        each_level(|threads| {
            let mut found = Activations::new(precision);
            found.fill(&x, 77, threads);
            let mut expected = Activations::new(found.stored());
            expected.fill(&x, 77, &plain);
            assert_eq!(
                found.decode(threads),
                expected.decode(&plain),
                "{precision:?} {:?}",
                threads.level()
            );
        });
    }
}

#[test]
fn reused_memory_leaves_no_trace() {
    each_level(|threads| {
        for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
            let mut packed = Activations::new(precision);
            packed.fill(&noise(1, 30 * 90), 90, threads);
            let x = noise(2, 7 * 33);
            packed.fill(&x, 33, threads);
            let mut fresh = Activations::new(precision);
            fresh.fill(&x, 33, threads);
            let bytes = 7 * packed.shape.lines * LINE;
            assert_eq!(packed.buffer.bytes()[..bytes], fresh.buffer.bytes()[..bytes]);
        }
    });
}

#[test]
fn a_row_of_bytes_uses_the_whole_range() {
    each_level(|threads| {
        let mut packed = Activations::new(Precision::Int8);
        packed.fill(&[-2.0, 2.0, 0.0, 1.0], 4, threads);
        let found = packed.decode(threads);
        assert_eq!(found[..3], [-2.0, 2.0, 0.0]);
        assert!((found[3] - 1.0).abs() <= 1.0 / 127.0);
    });
}
