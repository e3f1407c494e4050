//! The order in which samples are drawn: each epoch has all of them, in its own order, which the seed decides.
//!
//! A position in the order is two numbers, so a resumed training continues there without repeating earlier draws.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The position of the next draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// Completed epochs.
    pub epoch: u64,
    /// Samples drawn in the current epoch.
    pub drawn: u64,
}

/// One sample to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Draw {
    pub(super) position: Position,
    pub(super) sample_idx: usize,
    /// A random number that chooses among the captions of the sample.
    pub(super) number: u64,
}

/// All draws from a position on. It never ends.
pub(super) struct Order {
    seed: u64,
    n_samples: usize,
    next: Position,
    /// The order of the epoch of `next`; empty until it is needed.
    permutation: Vec<u32>,
}

impl Order {
    /// # Panics
    /// If `n_samples` is 0.
    pub(super) fn new(seed: u64, n_samples: usize, next: Position) -> Self {
        assert!(n_samples > 0, "an order needs samples");
        Order {
            seed,
            n_samples,
            next,
            permutation: Vec::new(),
        }
    }
}

impl Iterator for Order {
    type Item = Draw;

    fn next(&mut self) -> Option<Draw> {
        if self.next.drawn >= self.n_samples as u64 {
            self.next = Position {
                epoch: self.next.epoch + 1,
                drawn: 0,
            };
            self.permutation.clear();
        }
        if self.permutation.is_empty() {
            self.permutation = Random::new(self.seed, self.next.epoch).permutation(self.n_samples);
        }
        let position = self.next;
        let sample_idx = self.permutation[position.drawn as usize] as usize;
        self.next.drawn += 1;
        // The streams below 2^63 are those of permutations and of initial weights.
        let stream = (1 << 63) | (position.epoch << 32 ^ sample_idx as u64);
        Some(Draw {
            position,
            sample_idx,
            number: Random::new(self.seed, stream).number(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(from: Position, n: usize) -> Vec<Draw> {
        Order::new(3, 10, from).take(n).collect()
    }

    #[test]
    fn an_epoch_has_every_sample_once_in_its_own_order() {
        let draws = drawn(Position::default(), 20);
        let indices = |draws: &[Draw]| draws.iter().map(|draw| draw.sample_idx).collect::<Vec<_>>();
        let (first, second) = (indices(&draws[..10]), indices(&draws[10..]));
        assert_ne!(first, second);
        for mut epoch in [first, second] {
            epoch.sort_unstable();
            assert_eq!(epoch, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn draws_continue_from_any_position() {
        let all = drawn(Position::default(), 35);
        for (i, draw) in all.iter().enumerate() {
            assert_eq!(drawn(draw.position, 35 - i), all[i..]);
        }
        assert_eq!(drawn(Position { epoch: 0, drawn: 10 }, 1), all[10..11]);
    }
}
