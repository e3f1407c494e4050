//! Checks that each instruction set gives the same bytes as the portable code.

use super::axis::WEIGHT_MAX;
use super::*;
use crate::random::Random;

/// Output positions with up to `taps_max` taps each and weights of all sizes and both signs.
fn random_axis(random: &mut Random, size_in: usize, size_out: usize, taps_max: usize) -> Axis {
    let mut axis = Axis::default();
    for _ in 0..size_out {
        let first = random.below(size_in);
        let taps = 1 + random.below(taps_max.min(size_in - first));
        axis.push(
            first,
            (0..taps).map(|_| ((random.number() as i32) >> 8).clamp(-WEIGHT_MAX, WEIGHT_MAX)),
        );
    }
    axis
}

fn vector_isas() -> impl Iterator<Item = Isa> {
    let levels = Level::ALL
        .into_iter()
        .filter(|&level| level > Level::Portable && level <= Level::best());
    levels.map(Isa::detect)
}

#[track_caller]
fn check(random: &mut Random, [width, height, n_out, taps_max]: [usize; 4], channels: usize) {
    let bytes: Vec<u8> = (0..width * height * channels).map(|_| random.number() as u8).collect();
    let rows = PixelRows {
        bytes: &bytes,
        width,
        channels,
    };
    let (across, down) = (
        random_axis(random, width, n_out, taps_max),
        random_axis(random, height, n_out, taps_max),
    );
    let mut expected = [vec![0; height * n_out * channels], vec![0; n_out * width * channels]];
    portable::horizontal(rows, &across, &mut expected[0]);
    portable::vertical(rows, &down, &mut expected[1]);
    for isa in vector_isas() {
        let mut out = expected.clone().map(|e| vec![7; e.len()]);
        horizontal_with(isa, rows, &across, &mut out[0]);
        vertical_with(isa, rows, &down, &mut out[1]);
        let case = format!(
            "{width}x{height}x{channels} to {n_out} with {taps_max} taps, {}",
            isa.level().name()
        );
        assert!(out[0] == expected[0], "horizontal {case}");
        assert!(out[1] == expected[1], "vertical {case}");
    }
}

#[test]
fn vector_passes_match_the_portable_bytes_at_odd_sizes() {
    let mut random = Random::new(1, 0);
    for channels in 1..=4 {
        for side in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 21, 31, 32, 33, 63, 64, 65, 129] {
            for taps in [1, 4, 5, 16, 17, 64, 65, 200] {
                check(&mut random, [side, 1 + side % 6, 9, taps], channels);
                check(&mut random, [1 + side % 6, side, 9, taps], channels);
            }
        }
    }
}

#[test]
fn vector_passes_match_the_portable_bytes_at_random_sizes() {
    let mut random = Random::new(2, 0);
    for _ in 0..300 {
        let sizes = [
            1 + random.below(300),
            1 + random.below(90),
            1 + random.below(40),
            1 + random.below(120),
        ];
        let channels = 1 + random.below(4);
        check(&mut random, sizes, channels);
    }
}

#[test]
fn sums_out_of_range_wrap_in_the_same_way() {
    let bytes = vec![255; 4 * 80];
    let rows = PixelRows {
        bytes: &bytes,
        width: 80,
        channels: 4,
    };
    let mut axis = Axis::default();
    axis.push(0, [WEIGHT_MAX; 80]);
    axis.push(0, [-WEIGHT_MAX; 80]);
    let mut expected = vec![0; 8];
    portable::horizontal(rows, &axis, &mut expected);
    for isa in vector_isas() {
        let mut out = vec![0; 8];
        horizontal_with(isa, rows, &axis, &mut out);
        assert_eq!(out, expected, "{}", isa.level().name());
    }
}
