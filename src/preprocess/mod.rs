//! Preprocessing: from the bytes of a picture to the normalised `(3, R, R)` pixels that the image tower reads.
//!
//! Decode, turn upright, resize the short side to R with Pillow's bicubic, crop the centre, RGB, subtract the mean, divide by the deviation:
//! upstream's `_transform` (`model/longclip.py`), to the bit for lossless files. Called by the pipeline, a picture at a time, on
//! its decoding threads; knows neither model nor terminal. Pixels are `(channel, row, column)`, f32; bytes in between are
//! `(row, column, channel)`.

mod decode;
mod jpeg;
mod picture;
mod recognise;
mod resize;

/// Whether a file that begins so is a picture of a format with a signature, decoded here or not.
pub fn begins_like_a_picture(start: &[u8]) -> bool {
    image::guess_format(start).is_ok()
}

pub use decode::{Limits, Orientation, decode};
pub use picture::{Mode, Picture};

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::kernels::resize::Rows;

/// Mean of red, green and blue in CLIP's training pictures, at full scale 1 (OpenAI CLIP, `clip.py`, `_transform`).
pub const MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
/// Their standard deviation, of the same source.
#[expect(clippy::excessive_precision, reason = "the digits of the source")]
pub const STD: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];

/// Normalised pixels `(3, R, R)`, row-major, f32: what the image tower reads. Roughly -1.8 to 2.2.
///
/// Those of a photo are kept as its bytes, and normalised when they are read: a quarter of the memory, between threads that
/// prepare and one that computes.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    values: Values,
    resolution_px: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    /// Of a photo, `(3, R, R)`.
    Bytes(Vec<u8>),
    /// Normalised elsewhere.
    Floats(Vec<f32>),
}

impl Pixels {
    /// Of `(R, R, 3)` bytes.
    fn from_rgb(rgb: &[u8], resolution_px: usize) -> Self {
        let planes = (0..3).flat_map(|c| rgb.chunks_exact(3).map(move |pixel| pixel[c]));
        Self {
            values: Values::Bytes(planes.collect()),
            resolution_px,
        }
    }

    /// Pixels that were normalised elsewhere, `(3, resolution_px, resolution_px)`, row-major.
    ///
    /// # Errors
    /// [`Error::Usage`] where the number of values is another, or one is not finite.
    pub fn from_normalised(values: Vec<f32>, resolution_px: usize) -> Result<Self> {
        let expected = resolution_px.checked_pow(2).and_then(|n| n.checked_mul(3));
        if expected != Some(values.len()) || values.is_empty() {
            return Err(Error::usage(
                format!(
                    "{} values are not pixels of (3, {resolution_px}, {resolution_px})",
                    values.len()
                ),
                "give red, green and blue planes of R rows and R columns each",
            ));
        }
        if let Some(i) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::usage(
                format!("pixel value {i} is {}", values[i]),
                "normalised pixels are finite numbers, about -1.8 to 2.2",
            ));
        }
        Ok(Self {
            values: Values::Floats(values),
            resolution_px,
        })
    }

    /// `(3, R, R)`, row-major.
    pub fn values(&self) -> Cow<'_, [f32]> {
        match &self.values {
            Values::Floats(values) => Cow::Borrowed(values),
            Values::Bytes(bytes) => {
                let planes = bytes.chunks_exact(bytes.len() / 3).enumerate();
                let levels = planes.flat_map(|(c, plane)| plane.iter().map(move |byte| level(c, *byte)));
                Cow::Owned(levels.collect())
            }
        }
    }

    /// Appends the values of one row of a channel, columns `columns`.
    pub(crate) fn append_row(&self, channel: usize, row: usize, columns: Range<usize>, to: &mut Vec<f32>) {
        let start = (channel * self.resolution_px + row) * self.resolution_px;
        let places = start + columns.start..start + columns.end;
        match &self.values {
            Values::Floats(values) => to.extend_from_slice(&values[places]),
            Values::Bytes(bytes) => to.extend(bytes[places].iter().map(|byte| level(channel, *byte))),
        }
    }

    /// R.
    pub fn resolution_px(&self) -> usize {
        self.resolution_px
    }
}

/// How pictures become [`Pixels`]: the model's resolution, and what is done with EXIF and with huge pictures.
///
/// ```
/// use longclip::preprocess::Preprocess;
///
/// let pixels = Preprocess::new(224).run("cat.jpg", &std::fs::read("img/cat.jpg")?)?;
/// assert_eq!(pixels.values().len(), 3 * 224 * 224);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Preprocess {
    resolution_px: usize,
    orientation: Orientation,
    limits: Limits,
}

impl Preprocess {
    /// For a model that reads `resolution_px` squared, at least 1; upright, with the default limits.
    pub fn new(resolution_px: usize) -> Self {
        assert!(resolution_px > 0, "an image tower reads at least one pixel");
        Self {
            resolution_px,
            orientation: Orientation::default(),
            limits: Limits::default(),
        }
    }

    /// Sets whether EXIF turns the picture.
    #[must_use]
    pub fn orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// Sets what a picture may cost.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Decodes, turns, resizes, crops and normalises a file's bytes. `name` is only for the error.
    ///
    /// # Errors
    /// [`Error::Picture`] as [`decode()`].
    pub fn run(&self, name: &str, bytes: &[u8]) -> Result<Pixels> {
        Ok(self.pixels(&self.decode(name, bytes)?))
    }

    /// The first half of [`Preprocess::run`], for those who want the picture too.
    ///
    /// # Errors
    /// [`Error::Picture`] as [`decode()`].
    pub fn decode(&self, name: &str, bytes: &[u8]) -> Result<Picture> {
        decode(name, bytes, self.orientation, &self.limits)
    }

    /// The second half of [`Preprocess::run`].
    pub fn pixels(&self, picture: &Picture) -> Pixels {
        Pixels::from_rgb(&self.crop_u8(picture), self.resolution_px)
    }

    /// Short side to R by bicubic, then the central `(R, R, 3)` as RGB bytes, row-major.
    ///
    /// As upstream, the picture is resized in its own mode: alpha is multiplied in before and divided out after, then dropped.
    pub fn crop_u8(&self, picture: &Picture) -> Vec<u8> {
        let (mode, width) = (picture.mode(), picture.width_px());
        let channels = mode.channels();
        let resize = |bytes: &[u8]| resize::resize_and_crop(Rows { bytes, width, channels }, self.resolution_px);
        let has_alpha = matches!(mode, Mode::GreyAlpha | Mode::Rgba);
        // Pillow copies a picture that has its size already, colours under transparent pixels and all.
        let cropped = if has_alpha && !resize::keeps_size(width, picture.height_px(), self.resolution_px) {
            let mut bytes = picture.bytes().to_vec();
            picture::premultiply(&mut bytes, channels);
            let mut cropped = resize(&bytes);
            picture::unpremultiply(&mut cropped, channels);
            cropped
        } else {
            resize(picture.bytes())
        };
        picture::to_rgb(mode, cropped)
    }
}

/// A byte of a channel, normalised.
#[inline(always)]
fn level(channel: usize, byte: u8) -> f32 {
    /// `(byte / 255 - mean) / std`, in torchvision's order of operations.
    static LEVELS: [[f32; 256]; 3] = {
        let mut levels = [[0.0; 256]; 3];
        let mut i = 0;
        while i < 3 * 256 {
            let (c, byte) = (i / 256, i % 256);
            levels[c][byte] = (byte as f32 / 255.0 - MEAN[c]) / STD[c];
            i += 1;
        }
        levels
    };
    LEVELS[channel][usize::from(byte)]
}

#[cfg(test)]
mod tests;
