//! Pillow's bicubic resize of the short side to R, and the centre crop of it, in one: only what the crop shows is computed.
//!
//! Follows Pillow's `src/libImaging/Resample.c` (coefficients in f64, then fixed point; two passes, each rounded to
//! bytes; one whose size doesn't change is skipped) and torchvision's `resize` and `center_crop` (sizes and offsets).
//! A picture of `(height, width, channels)` bytes becomes `(R, R, channels)` bytes, row-major. Called by [`super::Preprocess`].

use std::ops::Range;

use crate::kernels::resize::{Axis, Rows, WEIGHT_BITS, horizontal, vertical};

/// The bicubic's reach on each side, in input pixels at scale 1.
const SUPPORT: f64 = 2.0;
/// The bicubic's parameter; Pillow's, PyTorch's antialiased one's too. OpenCV and unantialiased PyTorch have -0.75.
const A: f64 = -0.5;

/// Short side to `resolution`, then the central `(resolution, resolution)`. `pixels` is not empty.
pub(super) fn resize_and_crop(pixels: Rows<'_>, resolution: usize) -> Vec<u8> {
    let (width, height) = (pixels.width, pixels.bytes.len() / pixels.row_bytes());
    let (width_new, height_new) = resized(width, height, resolution);
    let columns = AxisPlan::new(width, width_new, crop(width_new, resolution));
    let lines = AxisPlan::new(height, height_new, crop(height_new, resolution));
    if is_vertical_first([width, width_new], [height, height_new]) {
        let short = shortened(pixels, &lines);
        narrowed(
            Rows {
                bytes: &short,
                ..pixels
            },
            &columns,
        )
    } else {
        let needed = lines.input();
        let bytes = &pixels.bytes[needed.start * pixels.row_bytes()..needed.end * pixels.row_bytes()];
        let narrow = narrowed(Rows { bytes, ..pixels }, &columns);
        let rows = Rows {
            bytes: &narrow,
            width: resolution,
            ..pixels
        };
        shortened(rows, &lines.shifted_back(needed.start))
    }
}

/// Pillow's choice of the first pass, from `[before, after]` of each side; it shows in the last bits.
///
/// Since Pillow 13 the columns come first where the height shrinks by more than twice as much as the width. Then the picture is
/// upright, so the crop shows all its columns.
fn is_vertical_first([width, width_new]: [usize; 2], [height, height_new]: [usize; 2]) -> bool {
    let shrinks_by = |before: usize, after: usize| before as i128 - after as i128;
    let (down, across) = (shrinks_by(height, height_new), shrinks_by(width, width_new));
    down > 0 && down > across * 2
}

/// Whether a resize to `resolution` changes no size, so that Pillow copies the picture.
pub(super) fn keeps_size(width: usize, height: usize, resolution: usize) -> bool {
    resized(width, height, resolution) == (width, height)
}

/// Width and height once the short side is `resolution`; the long side is rounded down, as torchvision does.
fn resized(width: usize, height: usize, resolution: usize) -> (usize, usize) {
    let long = |long: usize, short: usize| (resolution as u128 * long as u128 / short as u128) as usize;
    if width <= height {
        (resolution, long(height, width))
    } else {
        (long(width, height), resolution)
    }
}

/// The central `resolution` of `size`: half the difference, rounded half to even, as Python's `round`.
fn crop(size: usize, resolution: usize) -> Range<usize> {
    let difference = size - resolution;
    let start = difference / 2 + usize::from(difference % 4 == 3);
    start..start + resolution
}

/// What happens along one axis.
enum AxisPlan {
    /// The size doesn't change; these places are cut out.
    Keep(Range<usize>),
    /// The size changes.
    Resize(Axis),
}

impl AxisPlan {
    fn new(size_in: usize, size_out: usize, wanted: Range<usize>) -> Self {
        if size_in == size_out {
            AxisPlan::Keep(wanted)
        } else {
            AxisPlan::Resize(bicubic(size_in, size_out, wanted))
        }
    }

    /// The input places that are read.
    fn input(&self) -> Range<usize> {
        match self {
            AxisPlan::Keep(range) => range.clone(),
            AxisPlan::Resize(axis) => axis.span(),
        }
    }

    /// The same for an input that begins `n` places later.
    fn shifted_back(self, n: usize) -> Self {
        match self {
            AxisPlan::Keep(range) => AxisPlan::Keep(range.start - n..range.end - n),
            AxisPlan::Resize(axis) => AxisPlan::Resize(axis.shifted_back(n)),
        }
    }
}

/// Weights of the output places `wanted` of a resize from `size_in` to `size_out` places.
fn bicubic(size_in: usize, size_out: usize, wanted: Range<usize>) -> Axis {
    let scale = size_in as f64 / size_out as f64;
    let filter_scale = scale.max(1.0);
    let support = SUPPORT * filter_scale;
    // Pillow multiplies by the reciprocal; dividing would give other last bits.
    let reciprocal = 1.0 / filter_scale;

    let mut axis = Axis::default();
    for x in wanted {
        let centre = (x as f64 + 0.5) * scale;
        // `as` truncates towards zero and saturates at 0, as C's cast and Pillow's check do.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(size_in);
        let weights: Vec<f64> = (first..end)
            .map(|i| cubic((i as f64 - centre + 0.5) * reciprocal))
            .collect();
        let sum: f64 = weights.iter().sum();
        axis.push(first, weights.iter().map(|w| fixed(w / sum)));
    }
    axis
}

/// Keys' cubic convolution kernel.
fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// A weight in fixed point, rounded half away from zero.
fn fixed(weight: f64) -> i32 {
    (weight * f64::from(1 << WEIGHT_BITS) + 0.5f64.copysign(weight)) as i32
}

/// The rows, changed along their length as planned.
fn narrowed(rows: Rows<'_>, plan: &AxisPlan) -> Vec<u8> {
    match plan {
        AxisPlan::Keep(range) => {
            let bytes = range.start * rows.channels..range.end * rows.channels;
            let lines = rows.bytes.chunks_exact(rows.row_bytes());
            lines.flat_map(|line| &line[bytes.clone()]).copied().collect()
        }
        AxisPlan::Resize(axis) => {
            let height = rows.bytes.len() / rows.row_bytes();
            let mut out = vec![0; height * axis.len() * rows.channels];
            horizontal(rows, axis, &mut out);
            out
        }
    }
}

/// The rows, changed in their number as planned.
fn shortened(rows: Rows<'_>, plan: &AxisPlan) -> Vec<u8> {
    match plan {
        AxisPlan::Keep(range) => rows.bytes[range.start * rows.row_bytes()..range.end * rows.row_bytes()].to_vec(),
        AxisPlan::Resize(axis) => {
            let mut out = vec![0; axis.len() * rows.row_bytes()];
            vertical(rows, axis, &mut out);
            out
        }
    }
}
