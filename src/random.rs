//! Pseudo-random numbers that depend only on the seed. Training uses them for the order of samples and templates and
//! for new weights, evaluation for the bootstrap, and tests for data.
//!
//! SplitMix64 (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014). A resumed training must
//! draw the same numbers again, so each use has its own stream, and no state needs to be saved.

#![cfg_attr(
    not(feature = "train"),
    allow(dead_code, reason = "training draws in more ways than evaluating")
)]

/// SplitMix64's increment: the golden ratio as a fraction of 2^64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of pseudo-random numbers.
pub(crate) struct Random(u64);

impl Random {
    /// The stream with this number under a seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Random(mix(mix(seed.wrapping_add(STEP)) ^ stream.wrapping_mul(STEP)))
    }

    /// A uniform number of 64 bits.
    pub(crate) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number less than `n`, which must be at least 1. Multiplies and takes the upper 64 bits; the probabilities are
    /// off by less than `n / 2^64`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.number()) * n as u128) >> 64) as usize
    }

    /// A number greater than 0 and at most 1.
    fn unit(&mut self) -> f64 {
        ((self.number() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A number from the standard normal distribution (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.unit().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A number from -1 to 1 with 24 random bits, for test data.
    #[cfg(test)]
    pub(crate) fn signed_unit(&mut self) -> f32 {
        (self.number() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A permutation of the numbers less than `n` (Fisher and Yates).
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<u32> {
        let n_u32 = u32::try_from(n).expect("fewer than 2^32 samples");
        let mut order: Vec<u32> = (0..n_u32).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_has_each_number_once_and_depends_on_seed_and_stream() {
        let permutation = |seed, stream| Random::new(seed, stream).permutation(100);
        let mut sorted = permutation(1, 0);
        assert_ne!(sorted, (0..100).collect::<Vec<u32>>());
        assert_eq!(sorted, permutation(1, 0));
        assert_ne!(sorted, permutation(1, 1));
        assert_ne!(sorted, permutation(2, 0));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<u32>>());
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_deviation_one() {
        let mut random = Random::new(7, 7);
        let numbers: Vec<f64> = (0..10_000).map(|_| random.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 1e4;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e4;
        // The standard errors of the two estimates are 0.01 and 0.014.
        assert!(mean.abs() < 0.04 && (variance - 1.0).abs() < 0.06, "{mean} {variance}");
    }
}
