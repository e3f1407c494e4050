//! Shared by the tests of kernels: pseudo-random values, and a loop over the instruction sets of this CPU.

use super::cpu::{Isa, Level};
use super::threads::Threads;
use crate::random::Random;

/// `n` pseudo-random values from -1 to 1 that depend only on the seed.
pub(crate) fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    (0..n).map(|_| random.signed_unit()).collect()
}

/// Runs `body` at every level of this CPU, with one worker and with three.
pub(crate) fn each_level(body: impl Fn(&Threads)) {
    for level in Level::ALL
        .into_iter()
        .filter(|level| Isa::detect(*level).level() == *level)
    {
        for count in [1, 3] {
            body(&Threads::with_level(count, level));
        }
    }
}
