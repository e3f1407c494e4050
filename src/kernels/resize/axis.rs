//! The input of a resize pass: rows of bytes, and the weights of each output position along one axis.

use std::ops::Range;

/// Fractional bits of a weight: 32 bits minus 8 for the byte and 2 for the overshoot of a bicubic sum.
pub(crate) const WEIGHT_BITS: u32 = 32 - 8 - 2;
/// The largest absolute weight, 1.99: the largest number with three signed 8-bit digits. Bicubic weights are below 1.2.
pub(super) const WEIGHT_MAX: i32 = 0x7f_7f7f;
/// One half, with the fractional bits of weights. Sums start with it so that the final shift rounds.
pub(super) const ROUNDING: i32 = 1 << (WEIGHT_BITS - 1);

/// The input positions that each output position reads along one axis, and their weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Axis {
    /// The first input position of each output position.
    firsts: Vec<usize>,
    /// The end of each output position's weights in `weights`. They start at the end of the previous ones.
    ends: Vec<usize>,
    /// The weights of all output positions, contiguous.
    weights: Vec<i32>,
}

impl Axis {
    /// Appends an output position that reads the input from `first` on.
    pub(crate) fn push(&mut self, first: usize, weights: impl IntoIterator<Item = i32>) {
        self.firsts.push(first);
        self.weights.extend(weights);
        self.ends.push(self.weights.len());
        let largest = self.taps(self.len() - 1).1.iter().map(|w| w.abs()).max().unwrap_or(0);
        assert!(largest <= WEIGHT_MAX, "a weight of {largest} is over {WEIGHT_MAX}");
    }

    /// The number of output positions.
    pub(crate) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// The first input position and the weights of output position `i`.
    pub(super) fn taps(&self, i: usize) -> (usize, &[i32]) {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        (self.firsts[i], &self.weights[start..self.ends[i]])
    }

    /// The range of input positions that are read.
    pub(crate) fn span(&self) -> Range<usize> {
        let start = self.firsts.iter().min().copied().unwrap_or(0);
        let end = (0..self.len())
            .map(|i| self.taps(i))
            .map(|(first, weights)| first + weights.len())
            .max();
        start..end.unwrap_or(start)
    }

    /// The same axis for an input without its first `n` positions.
    pub(crate) fn shifted_back(mut self, n: usize) -> Self {
        for first in &mut self.firsts {
            *first -= n;
        }
        self
    }
}

/// Pixel rows of interleaved bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelRows<'a> {
    /// `(height, width, channels)`, row-major.
    pub(crate) bytes: &'a [u8],
    /// Pixels per row.
    pub(crate) width: usize,
    /// Bytes per pixel, 1 to 4.
    pub(crate) channels: usize,
}

impl<'a> PixelRows<'a> {
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

/// The first `N` bytes; if there are fewer, those, followed by the zeroes of `padded`.
#[inline(always)]
pub(super) fn first_bytes<'a, const N: usize>(bytes: &'a [u8], padded: &'a mut [u8; N]) -> &'a [u8; N] {
    match bytes.first_chunk() {
        Some(whole) => whole,
        None => {
            padded[..bytes.len()].copy_from_slice(bytes);
            padded
        }
    }
}
