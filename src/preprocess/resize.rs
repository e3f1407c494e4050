//! Pillow's bicubic resize of the short side to R, combined with the centre crop: only the crop's pixels are computed.
//!
//! Follows Pillow's `src/libImaging/Resample.c` (coefficients in f64, then in fixed point; two passes, each rounded to
//! bytes; a pass that changes no size is skipped) and torchvision's `resize` and `center_crop` (sizes and offsets).
//! `(height, width, channels)` bytes become `(R, R, channels)` bytes, row-major. Called by [`super::Preprocess`].

use std::ops::Range;

use crate::kernels::resize::{Axis, PixelRows, WEIGHT_BITS, horizontal, vertical};

/// The filter's radius in input pixels, at scale 1.
const SUPPORT: f64 = 2.0;
/// The parameter of the bicubic filter in Pillow and in PyTorch's antialiased resize. OpenCV and PyTorch without
/// antialiasing use -0.75.
const A: f64 = -0.5;

/// Resizes the short side to `resolution`, then crops the central `(resolution, resolution)`. `pixels` must not be
/// empty.
pub(super) fn resize_and_crop(pixels: PixelRows<'_>, resolution: usize) -> Vec<u8> {
    let (width, height) = (pixels.width, pixels.bytes.len() / pixels.row_bytes());
    let (width_new, height_new) = resized(width, height, resolution);
    let columns = AxisPlan::new(width, width_new, crop(width_new, resolution));
    let lines = AxisPlan::new(height, height_new, crop(height_new, resolution));
    if is_vertical_first([width, width_new], [height, height_new]) {
        let shorter = resize_vertically(pixels, &lines);
        resize_horizontally(
            PixelRows {
                bytes: &shorter,
                ..pixels
            },
            &columns,
        )
    } else {
        let needed = lines.input();
        let bytes = &pixels.bytes[needed.start * pixels.row_bytes()..needed.end * pixels.row_bytes()];
        let narrower = resize_horizontally(PixelRows { bytes, ..pixels }, &columns);
        let rows = PixelRows {
            bytes: &narrower,
            width: resolution,
            ..pixels
        };
        resize_vertically(rows, &lines.shifted_back(needed.start))
    }
}

/// Whether Pillow does the vertical pass first, which changes the last bits. Each side is `[before, after]`.
///
/// Since Pillow 13 it does if the height shrinks by more than twice as much as the width. The image is taller than wide
/// then, so the crop shows all its columns.
fn is_vertical_first([width, width_new]: [usize; 2], [height, height_new]: [usize; 2]) -> bool {
    let shrinks_by = |before: usize, after: usize| before as i128 - after as i128;
    let (down, across) = (shrinks_by(height, height_new), shrinks_by(width, width_new));
    down > 0 && down > across * 2
}

/// Whether resizing to `resolution` changes no size, in which case Pillow copies the image.
pub(super) fn keeps_size(width: usize, height: usize, resolution: usize) -> bool {
    resized(width, height, resolution) == (width, height)
}

/// Width and height once the short side is `resolution`. The long side is rounded down, as torchvision does.
fn resized(width: usize, height: usize, resolution: usize) -> (usize, usize) {
    let long = |long: usize, short: usize| (resolution as u128 * long as u128 / short as u128) as usize;
    if width <= height {
        (resolution, long(height, width))
    } else {
        (long(width, height), resolution)
    }
}

/// The central `resolution` of `size`. The start is half the difference, rounded half to even like Python's `round`.
fn crop(size: usize, resolution: usize) -> Range<usize> {
    let difference = size - resolution;
    let start = difference / 2 + usize::from(difference % 4 == 3);
    start..start + resolution
}

/// How one axis is resized and cropped.
enum AxisPlan {
    /// The size stays the same; this range is cut out.
    Keep(Range<usize>),
    /// The size changes; the axis has the weights of the output positions in the crop.
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

    /// The range of input positions that are read.
    fn input(&self) -> Range<usize> {
        match self {
            AxisPlan::Keep(range) => range.clone(),
            AxisPlan::Resize(axis) => axis.span(),
        }
    }

    /// The same plan for an input without its first `n` positions.
    fn shifted_back(self, n: usize) -> Self {
        match self {
            AxisPlan::Keep(range) => AxisPlan::Keep(range.start - n..range.end - n),
            AxisPlan::Resize(axis) => AxisPlan::Resize(axis.shifted_back(n)),
        }
    }
}

/// The weights of the output positions `wanted`, when `size_in` positions are resized to `size_out`.
fn bicubic(size_in: usize, size_out: usize, wanted: Range<usize>) -> Axis {
    let scale = size_in as f64 / size_out as f64;
    let filter_scale = scale.max(1.0);
    let support = SUPPORT * filter_scale;
    // Pillow multiplies by the reciprocal; a division would give different last bits.
    let reciprocal = 1.0 / filter_scale;

    let mut axis = Axis::default();
    for x in wanted {
        let centre = (x as f64 + 0.5) * scale;
        // `as` truncates towards zero and saturates at 0, like C's cast with Pillow's check.
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

/// Applies the plan to the columns.
fn resize_horizontally(rows: PixelRows<'_>, plan: &AxisPlan) -> Vec<u8> {
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

/// Applies the plan to the rows.
fn resize_vertically(rows: PixelRows<'_>, plan: &AxisPlan) -> Vec<u8> {
    match plan {
        AxisPlan::Keep(range) => rows.bytes[range.start * rows.row_bytes()..range.end * rows.row_bytes()].to_vec(),
        AxisPlan::Resize(axis) => {
            let mut out = vec![0; axis.len() * rows.row_bytes()];
            vertical(rows, axis, &mut out);
            out
        }
    }
}
