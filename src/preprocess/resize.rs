//! Pillow's resize, combined with the centre crop: only the crop's pixels are computed.
//!
//! Follows Pillow's `src/libImaging/Resample.c` (coefficients in f64, then in fixed point; two passes, each rounded to
//! bytes; a pass that changes no size is skipped). Sizes and offsets are those of torchvision's `resize` and
//! `center_crop`, of open_clip's `ResizeKeepRatio` or of transformers' `center_crop`, as the recipe says.
//! `(height, width, channels)` bytes become `(R, R, channels)` bytes, row-major. Called by [`super::Preprocess`].

use std::ops::Range;

use crate::kernels::resize::{Axis, PixelRows, WEIGHT_BITS, horizontal, vertical};
use crate::recipe::{Centre, Filter, PixelRecipe, Resize};

/// The parameter of the bicubic filter in Pillow and in PyTorch's antialiased resize. OpenCV and PyTorch without
/// antialiasing use -0.75.
const A: f64 = -0.5;

/// How an image of one size becomes the square that the image tower reads.
pub(super) struct Plan {
    /// Width and height once resized.
    resized: [usize; 2],
    columns: Window,
    lines: Window,
    filter: Filter,
    side: usize,
}

impl Plan {
    /// For an image of this size, which must not be empty.
    pub(super) fn new([width, height]: [usize; 2], recipe: &PixelRecipe, side: usize) -> Self {
        let resized = resized([width, height], recipe.resize, side);
        Plan {
            resized,
            columns: Window::new(resized[0], side, recipe.centre),
            lines: Window::new(resized[1], side, recipe.centre),
            filter: recipe.filter,
            side,
        }
    }

    /// Whether the image already has the size that it is resized to, in which case Pillow copies it.
    pub(super) fn keeps_size(&self, [width, height]: [usize; 2]) -> bool {
        self.resized == [width, height]
    }

    /// The part of the resized image that is in the square, `(lines, columns, channels)`.
    pub(super) fn resize_and_crop(&self, pixels: PixelRows<'_>) -> Vec<u8> {
        let (width, height) = (pixels.width, pixels.bytes.len() / pixels.row_bytes());
        let [width_new, height_new] = self.resized;
        let columns = AxisPlan::new(width, width_new, self.columns.shown.clone(), self.filter);
        let lines = AxisPlan::new(height, height_new, self.lines.shown.clone(), self.filter);
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
                width: self.columns.shown.len(),
                ..pixels
            };
            resize_vertically(rows, &lines.shifted_back(needed.start))
        }
    }

    /// Adds what the image does not cover of the square, with `fill` in every channel.
    pub(super) fn pad(&self, bytes: Vec<u8>, channels: usize, fill: u8) -> Vec<u8> {
        if self.columns.covers(self.side) && self.lines.covers(self.side) {
            return bytes;
        }
        let mut square = vec![fill; self.side * self.side * channels];
        let left = self.columns.before * channels;
        let lines = square.chunks_exact_mut(self.side * channels).skip(self.lines.before);
        for (to, from) in lines.zip(bytes.chunks_exact(self.columns.shown.len() * channels)) {
            to[left..left + from.len()].copy_from_slice(from);
        }
        square
    }
}

/// Which part of an axis is in the square, and how far from its beginning.
struct Window {
    /// Positions of the resized image.
    shown: Range<usize>,
    /// Padding before them.
    before: usize,
}

impl Window {
    fn new(size: usize, side: usize, centre: Centre) -> Self {
        if size >= side {
            let start = start_of_crop(size - side, centre);
            return Window {
                shown: start..start + side,
                before: 0,
            };
        }
        let missing = side - size;
        let before = match centre {
            Centre::Torchvision => missing / 2,
            Centre::Transformers => missing.div_ceil(2),
        };
        Window { shown: 0..size, before }
    }

    fn covers(&self, side: usize) -> bool {
        self.shown.len() == side
    }
}

/// Half of the difference. torchvision rounds half to even, like Python's `round`.
fn start_of_crop(difference: usize, centre: Centre) -> usize {
    match centre {
        Centre::Torchvision => difference / 2 + usize::from(difference % 4 == 3),
        Centre::Transformers => difference / 2,
    }
}

/// Whether Pillow does the vertical pass first, which changes the last bits. Each side is `[before, after]`.
///
/// Since Pillow 13 it does if the height shrinks by more than twice as much as the width.
fn is_vertical_first([width, width_new]: [usize; 2], [height, height_new]: [usize; 2]) -> bool {
    let shrinks_by = |before: usize, after: usize| before as i128 - after as i128;
    let (down, across) = (shrinks_by(height, height_new), shrinks_by(width, width_new));
    down > 0 && down > across * 2
}

/// Width and height after the resize.
pub(super) fn resized([width, height]: [usize; 2], resize: Resize, side: usize) -> [usize; 2] {
    match resize {
        Resize::Shortest => shortest([width, height], side),
        Resize::ShortestTo(short) => shortest([width, height], short),
        Resize::Longest { .. } => {
            // As open_clip's `ResizeKeepRatio`, in Python's floats. A side of no pixels would be an error there.
            let ratio = (height as f64 / side as f64).max(width as f64 / side as f64);
            [width, height].map(|size| ((size as f64 / ratio).round_ties_even() as usize).max(1))
        }
        Resize::Squash => [side, side],
        Resize::SquashTo { height, width } => [width, height],
        Resize::Off => [width, height],
    }
}

/// Width and height once the short side is `new`. The long side is rounded down, as torchvision does.
fn shortest([width, height]: [usize; 2], new: usize) -> [usize; 2] {
    let long = |long: usize, short: usize| (new as u128 * long as u128 / short as u128) as usize;
    if width <= height {
        [new, long(height, width)]
    } else {
        [long(width, height), new]
    }
}

/// How one axis is resized and cropped.
enum AxisPlan {
    /// The size stays the same; this range is cut out.
    Keep(Range<usize>),
    /// The size changes; the axis has the weights of the output positions in the crop.
    Resize(Axis),
}

impl AxisPlan {
    fn new(size_in: usize, size_out: usize, wanted: Range<usize>, filter: Filter) -> Self {
        if size_in == size_out {
            AxisPlan::Keep(wanted)
        } else {
            AxisPlan::Resize(resampling(filter, [size_in, size_out], wanted))
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
fn resampling(filter: Filter, [size_in, size_out]: [usize; 2], wanted: Range<usize>) -> Axis {
    // The function and its radius in input pixels, at scale 1.
    let (weight_at, radius): (fn(f64) -> f64, f64) = match filter {
        Filter::Bicubic => (cubic, 2.0),
        Filter::Bilinear => (triangle, 1.0),
    };
    let scale = size_in as f64 / size_out as f64;
    let filter_scale = scale.max(1.0);
    let support = radius * filter_scale;
    // Pillow multiplies by the reciprocal; a division would give different last bits.
    let reciprocal = 1.0 / filter_scale;

    let mut axis = Axis::default();
    for x in wanted {
        let centre = (x as f64 + 0.5) * scale;
        // `as` truncates towards zero and saturates at 0, like C's cast with Pillow's check.
        let first = (centre - support + 0.5) as usize;
        let end = ((centre + support + 0.5) as usize).min(size_in);
        let weights: Vec<f64> = (first..end)
            .map(|i| weight_at((i as f64 - centre + 0.5) * reciprocal))
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

/// Linear interpolation.
fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
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
