//! What a pass of a resize reads: rows of bytes, and the weights of each output place along one axis.

use std::ops::Range;

/// Fractional bits of a weight: 32 less 8 for the byte and 2 for the overshoot of a bicubic sum.
pub(crate) const WEIGHT_BITS: u32 = 32 - 8 - 2;
/// Largest weight, positive or negative: what three signed digits of 8 bits can say, 1.99. A bicubic's stay below 1.2.
pub(super) const WEIGHT_MAX: i32 = 0x7f_7f7f;
/// Half of one, in weights' units: the sum's start, so that the shift rounds.
pub(super) const ROUNDING: i32 = 1 << (WEIGHT_BITS - 1);

/// Which input places each output place reads along one axis, and with which weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Axis {
    /// First input place of each output place.
    firsts: Vec<usize>,
    /// Where each output place's weights end in `weights`; they begin where the one before ends.
    ends: Vec<usize>,
    /// All weights, one output place after the other.
    weights: Vec<i32>,
}

impl Axis {
    /// Appends an output place that reads the input from `first` on.
    pub(crate) fn push(&mut self, first: usize, weights: impl IntoIterator<Item = i32>) {
        self.firsts.push(first);
        self.weights.extend(weights);
        self.ends.push(self.weights.len());
        let largest = self.taps(self.len() - 1).1.iter().map(|w| w.abs()).max().unwrap_or(0);
        assert!(largest <= WEIGHT_MAX, "a weight of {largest} is over {WEIGHT_MAX}");
    }

    /// How many output places there are.
    pub(crate) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// First input place and weights of output place `i`.
    pub(super) fn taps(&self, i: usize) -> (usize, &[i32]) {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        (self.firsts[i], &self.weights[start..self.ends[i]])
    }

    /// The input places that any output place reads.
    pub(crate) fn span(&self) -> Range<usize> {
        let start = self.firsts.iter().min().copied().unwrap_or(0);
        let end = (0..self.len())
            .map(|i| self.taps(i))
            .map(|(first, weights)| first + weights.len())
            .max();
        start..end.unwrap_or(start)
    }

    /// The same axis for an input that begins `n` places later.
    pub(crate) fn shifted_back(mut self, n: usize) -> Self {
        for first in &mut self.firsts {
            *first -= n;
        }
        self
    }
}

/// Rows of interleaved bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// `(height, width, channels)`, row-major.
    pub(crate) bytes: &'a [u8],
    /// Pixels a row.
    pub(crate) width: usize,
    /// Bytes a pixel: 1 to 4.
    pub(crate) channels: usize,
}

impl<'a> Rows<'a> {
    /// Bytes from one row to the next.
    pub(crate) fn row_bytes(&self) -> usize {
        self.width * self.channels
    }

    pub(super) fn height(&self) -> usize {
        self.bytes.len() / self.row_bytes()
    }

    pub(super) fn iter(&self) -> std::slice::ChunksExact<'a, u8> {
        self.bytes.chunks_exact(self.row_bytes())
    }

    pub(super) fn check(&self) {
        assert!(
            (1..=4).contains(&self.channels),
            "1 to 4 channels, not {}",
            self.channels
        );
        assert!(self.width > 0, "rows have at least one pixel");
        assert_eq!(
            self.bytes.len() % self.row_bytes(),
            0,
            "whole rows of {} bytes",
            self.row_bytes()
        );
    }
}
