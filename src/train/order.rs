//! In which order samples are drawn: each epoch all of them, in an order of its own that the seed decides.
//!
//! `loader.rs` draws from here. A place in it is two numbers, so that a training that goes on after an interruption finds
//! its place without drawing what was drawn.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The next draw: how many epochs are over, and how many samples of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    /// Epochs that are over.
    pub epoch: u64,
    /// Samples of this epoch that were drawn.
    pub drawn: u64,
}

/// One sample to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Draw {
    /// Its own place.
    pub(super) position: Position,
    pub(super) sample_idx: usize,
    /// Chooses among what a sample offers.
    pub(super) number: u64,
}

/// All draws from a position on, without end.
pub(super) struct Order {
    seed: u64,
    n_samples: usize,
    next: Position,
    /// Of the epoch of `next`; empty before it is known.
    permutation: Vec<u32>,
}

impl Order {
    /// # Panics
    /// If there are no samples.
    pub(super) fn new(seed: u64, n_samples: usize, next: Position) -> Self {
        assert!(n_samples > 0, "an order of no samples");
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
        // Streams of draws lie behind those of orders.
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
    fn an_epoch_has_every_sample_once_and_the_next_one_another_order() {
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
    fn from_any_position_the_same_draws_follow() {
        let all = drawn(Position::default(), 35);
        for (i, draw) in all.iter().enumerate() {
            assert_eq!(drawn(draw.position, 35 - i), all[i..]);
        }
        assert_eq!(drawn(Position { epoch: 0, drawn: 10 }, 1), all[10..11]);
    }
}
