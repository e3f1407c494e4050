//! The two passes in plain loops, the oracle of the vector versions.

use super::axis::{Axis, PixelRows, ROUNDING, WEIGHT_BITS};

/// See [`super::horizontal`].
pub(crate) fn horizontal(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    let channels = rows.channels;
    for (row, out_row) in rows.iter().zip(out.chunks_exact_mut(axis.len() * channels)) {
        for (x, pixel) in out_row.chunks_exact_mut(channels).enumerate() {
            let (first, weights) = axis.taps(x);
            for (c, byte) in pixel.iter_mut().enumerate() {
                let taps = row[first * channels + c..].iter().step_by(channels);
                *byte = weighted_sum(weights, taps);
            }
        }
    }
}

/// See [`super::vertical`].
pub(crate) fn vertical(rows: PixelRows<'_>, axis: &Axis, out: &mut [u8]) {
    let row_bytes = rows.row_bytes();
    for (y, out_row) in out.chunks_exact_mut(row_bytes).enumerate() {
        let (first, weights) = axis.taps(y);
        for (x, byte) in out_row.iter_mut().enumerate() {
            let taps = rows.bytes[first * row_bytes + x..].iter().step_by(row_bytes);
            *byte = weighted_sum(weights, taps);
        }
    }
}

/// The rounded weighted sum of bytes. Wraps like Pillow's C code; bicubic weights stay far from wrapping.
pub(super) fn weighted_sum<'a>(weights: &[i32], taps: impl Iterator<Item = &'a u8>) -> u8 {
    let sum = weights.iter().zip(taps).fold(ROUNDING, |sum, (w, &tap)| {
        sum.wrapping_add(w.wrapping_mul(i32::from(tap)))
    });
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}
