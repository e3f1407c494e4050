//! Preprocessing: from the bytes of an image file to the normalised `(3, R, R)` pixels that the image tower reads.
//!
//! Decode, apply the EXIF orientation, resize the short side to R with Pillow's bicubic filter, crop the centre,
//! convert to RGB, normalise. This is upstream's `_transform` (`model/longclip.py`), to the bit for lossless files. The
//! pipeline calls it on its decoding threads, one image at a time. [`Pixels`] are `(channel, row, column)` in f32; the
//! bytes of decoded images are `(row, column, channel)`.

mod decode;
mod jpeg;
mod limits;
mod picture;
mod problem;
mod recognise;
mod resize;

pub use decode::{Orientation, decode};
pub use limits::Limits;
pub use picture::{Mode, Picture};

use std::borrow::Cow;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::kernels::resize::PixelRows;

/// Mean of red, green and blue in CLIP's training images, on a scale of 0 to 1 (OpenAI CLIP, `clip.py`, `_transform`).
pub const MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
/// Standard deviation of red, green and blue, from the same source.
#[expect(clippy::excessive_precision, reason = "the digits as published")]
pub const STD: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];

/// Normalised pixels `(3, R, R)`, row-major, f32: the input of the image tower. Values are between about -1.8 and 2.2.
///
/// The pixels of a decoded image are kept as bytes and normalised when they are read. This takes a quarter of the
/// memory while they wait between the decoding threads and the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    values: Values,
    resolution_px: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    /// Of a decoded image, `(3, R, R)`, not yet normalised.
    Bytes(Vec<u8>),
    /// Normalised by the caller, `(3, R, R)`.
    Floats(Vec<f32>),
}

impl Pixels {
    /// Takes `(R, R, 3)` bytes.
    fn from_rgb(rgb: &[u8], resolution_px: usize) -> Self {
        let planes = (0..3).flat_map(|c| rgb.chunks_exact(3).map(move |pixel| pixel[c]));
        Self {
            values: Values::Bytes(planes.collect()),
            resolution_px,
        }
    }

    /// Takes pixels that the caller has normalised, `(3, resolution_px, resolution_px)`, row-major.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are not that many values, or if one is not finite.
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

    /// All values, `(3, R, R)`, row-major.
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

    /// Appends the values of one row of a channel, limited to `columns`, to `to`.
    pub(crate) fn append_row(&self, channel: usize, row: usize, columns: Range<usize>, to: &mut Vec<f32>) {
        let start = (channel * self.resolution_px + row) * self.resolution_px;
        let range = start + columns.start..start + columns.end;
        match &self.values {
            Values::Floats(values) => to.extend_from_slice(&values[range]),
            Values::Bytes(bytes) => to.extend(bytes[range].iter().map(|byte| level(channel, *byte))),
        }
    }

    /// The width and height R.
    pub fn resolution_px(&self) -> usize {
        self.resolution_px
    }
}

/// How images become [`Pixels`]: the model's resolution, whether EXIF turns them, and their maximum size.
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
    /// For a model that reads `(resolution_px, resolution_px)` images; upright, with the default limits. Panics on 0.
    pub fn new(resolution_px: usize) -> Self {
        assert!(resolution_px > 0, "an image tower reads at least one pixel");
        Self {
            resolution_px,
            orientation: Orientation::default(),
            limits: Limits::default(),
        }
    }

    /// Sets whether the image is turned as EXIF says.
    #[must_use]
    pub fn orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// Sets how large an image may be.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Decodes, turns, resizes, crops and normalises the bytes of a file. `name` appears only in errors.
    ///
    /// # Errors
    /// [`Error::Picture`] in the same cases as [`decode()`].
    pub fn run(&self, name: &str, bytes: &[u8]) -> Result<Pixels> {
        Ok(self.pixels(&self.decode(name, bytes)?))
    }

    /// The first half of [`Preprocess::run`], for callers that also need the decoded image.
    ///
    /// # Errors
    /// [`Error::Picture`] in the same cases as [`decode()`].
    pub fn decode(&self, name: &str, bytes: &[u8]) -> Result<Picture> {
        decode(name, bytes, self.orientation, &self.limits)
    }

    /// The second half of [`Preprocess::run`].
    pub fn pixels(&self, picture: &Picture) -> Pixels {
        Pixels::from_rgb(&self.crop_u8(picture), self.resolution_px)
    }

    /// Resizes the short side to R and returns the central `(R, R, 3)` as RGB bytes, row-major.
    ///
    /// As upstream does, this resizes the image in its own mode: colours are multiplied by alpha before and divided by
    /// it afterwards, then alpha is dropped.
    pub fn crop_u8(&self, picture: &Picture) -> Vec<u8> {
        let (mode, width) = (picture.mode(), picture.width_px());
        let channels = mode.channels();
        let resize = |bytes: &[u8]| resize::resize_and_crop(PixelRows { bytes, width, channels }, self.resolution_px);
        let has_alpha = matches!(mode, Mode::GreyAlpha | Mode::Rgba);
        // Pillow copies an image that already has the right size, including the colours of transparent pixels.
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

/// Whether a file that starts with these bytes is an image, by its signature. The format need not be one we decode.
pub fn begins_like_a_picture(start: &[u8]) -> bool {
    image::guess_format(start).is_ok()
}

/// The normalised value of a channel's byte.
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
