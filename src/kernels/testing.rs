//! What the kernels' tests share: seeded numbers, and each instruction set that this CPU has.

use super::cpu::{Isa, Level};
use super::threads::Threads;

/// `n` numbers in −1..1, the same for the same seed.
pub(crate) fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // xorshift64*, Vigna 2016.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

/// Runs `body` on every level of this CPU, with one worker and with three.
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
