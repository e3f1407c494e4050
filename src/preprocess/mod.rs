//! Preprocessing: from the bytes of an image file to the normalised `(3, R, R)` pixels that the image tower reads.
//!
//! Decode, apply the EXIF orientation, resize the short side to R with Pillow's bicubic filter, crop the centre,
//! convert to RGB, normalise. This is upstream's `_transform` (`model/longclip.py`), to the bit for lossless files. A
//! model's [`PixelRecipe`] may say another size, filter, crop, order or normalisation. The pipeline calls it on its decoding threads, one image at a time. [`Pixels`] are `(channel, row, column)` in f32; the
//! bytes of decoded images are `(row, column, channel)`.

#[cfg(feature = "avif")]
mod avif;
mod decode;
mod directory;
mod gif;
#[cfg(feature = "heic")]
mod heic;
#[cfg(feature = "heic")]
mod heif;
mod ico;
mod jpeg;
#[cfg(feature = "jxl")]
mod jxl;
mod limits;
mod orientation;
mod picture;
mod png;
mod problem;
mod raw;
mod reading;
mod recognise;
mod reduction;
mod resize;
mod tiff;
mod tiles;

pub use decode::{decode, size};
pub use limits::Limits;
pub use picture::{Mode, Picture};
pub use raw::RAW_ENDINGS;
pub use reading::Orientation;
pub use reduction::Decoding;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use self::decode::decode_as_asked;
use self::reading::Reading;
use self::reduction::Reduction;
use self::resize::Plan;
use crate::error::{Error, Result};
use crate::kernels::resize::PixelRows;
use crate::named::named;
use crate::recipe::{Colours, PixelRecipe, Rescale, Resize};

pub use crate::recipe::{MEAN, STD};

/// Normalised pixels `(3, R, R)`, row-major, f32: the input of the image tower. Values are between about -1.8 and 2.2.
///
/// The pixels of a decoded image are kept as bytes and normalised when they are read. This takes a quarter of the
/// memory while they wait between the decoding threads and the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    values: Values,
    resolution_px: usize,
}

/// A hash of pixels, of one way to read images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

#[derive(Debug, Clone, PartialEq)]
enum Values {
    /// Of a decoded image, `(3, R, R)`, not yet normalised.
    Bytes { planes: Vec<u8>, levels: Arc<Levels> },
    /// Normalised by the caller, `(3, R, R)`.
    Floats(Vec<f32>),
}

impl Pixels {
    /// Takes `(R, R, 3)` bytes.
    fn from_rgb(rgb: &[u8], levels: &Arc<Levels>, resolution_px: usize) -> Self {
        let planes = (0..3).flat_map(|c| rgb.chunks_exact(3).map(move |pixel| pixel[c]));
        Self {
            values: Values::Bytes {
                planes: planes.collect(),
                levels: Arc::clone(levels),
            },
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
            Values::Bytes { planes, levels } => {
                let planes = planes.chunks_exact(planes.len() / 3).zip(levels.iter());
                let values = planes.flat_map(|(plane, levels)| plane.iter().map(|byte| levels[usize::from(*byte)]));
                Cow::Owned(values.collect())
            }
        }
    }

    /// What distinguishes these pixels from others.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        match &self.values {
            Values::Bytes { planes, .. } => hash.update(planes),
            Values::Floats(values) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
        }
        Fingerprint(hash.finalize().into())
    }

    /// Appends the values of one row of a channel, limited to `columns`, to `to`.
    pub(crate) fn append_row(&self, channel: usize, row: usize, columns: Range<usize>, to: &mut Vec<f32>) {
        let start = (channel * self.resolution_px + row) * self.resolution_px;
        let range = start + columns.start..start + columns.end;
        match &self.values {
            Values::Floats(values) => to.extend_from_slice(&values[range]),
            Values::Bytes { planes, levels } => {
                let levels = &levels[channel];
                to.extend(planes[range].iter().map(|byte| levels[usize::from(*byte)]));
            }
        }
    }

    /// The width and height R.
    pub fn resolution_px(&self) -> usize {
        self.resolution_px
    }
}

/// How an image becomes a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The square in the centre; what is left and right of it, or above and below, is not seen.
    Crop,
    /// The whole image, with black bars.
    Pad,
    /// The whole image, with both sides scaled to the square's.
    Squash,
}

named!(Fit, "way to fit images": Crop = "crop", Pad = "pad", Squash = "squash");

/// How images become [`Pixels`]: the model's resolution and recipe, whether EXIF turns them, at which size they are decoded,
/// and their maximum size.
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
    recipe: PixelRecipe,
    levels: Arc<Levels>,
    orientation: Orientation,
    decoding: Decoding,
    limits: Limits,
}

impl Preprocess {
    /// For a model that reads `(resolution_px, resolution_px)` images as CLIP does; upright, with the default limits.
    ///
    /// # Panics
    /// If the resolution is 0.
    pub fn new(resolution_px: usize) -> Self {
        Preprocess::with_recipe(resolution_px, PixelRecipe::default())
    }

    /// As [`Preprocess::new`], with another recipe.
    ///
    /// # Panics
    /// If the resolution is 0.
    pub fn with_recipe(resolution_px: usize, recipe: PixelRecipe) -> Self {
        assert!(resolution_px > 0, "an image tower reads at least one pixel");
        Self {
            resolution_px,
            levels: Arc::new(levels(&recipe)),
            recipe,
            orientation: Orientation::default(),
            decoding: Decoding::default(),
            limits: Limits::default(),
        }
    }

    /// Sets whether the image is turned as EXIF says.
    #[must_use]
    pub fn orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// Sets at which size images are decoded.
    #[must_use]
    pub fn decoding(mut self, decoding: Decoding) -> Self {
        self.decoding = decoding;
        self
    }

    /// Sets how large an image may be.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how an image becomes a square, instead of how the model's recipe does it.
    #[must_use]
    pub fn fit(mut self, fit: Fit) -> Self {
        // What open_clip fills the rest with.
        const FILL: u8 = 0;
        self.recipe.resize = match (fit, self.recipe.resize) {
            (Fit::Crop, cropped @ (Resize::Shortest | Resize::ShortestTo(_))) => cropped,
            (Fit::Crop, _) => Resize::Shortest,
            (Fit::Pad, padded @ Resize::Longest { .. }) => padded,
            (Fit::Pad, _) => Resize::Longest { fill: FILL },
            (Fit::Squash, squashed @ (Resize::Squash | Resize::SquashTo { .. })) => squashed,
            (Fit::Squash, _) => Resize::Squash,
        };
        self
    }

    /// Decodes, turns, resizes, crops and normalises the bytes of a file. `name` appears only in errors.
    ///
    /// # Errors
    /// [`Error::Picture`] in the same cases as [`decode()`].
    pub fn run(&self, name: &str, bytes: &[u8]) -> Result<Pixels> {
        Ok(self.into_pixels(self.decode(name, bytes)?))
    }

    /// The first half of [`Preprocess::run`], for callers that also need the decoded image.
    ///
    /// # Errors
    /// [`Error::Picture`] in the same cases as [`decode()`].
    pub fn decode(&self, name: &str, bytes: &[u8]) -> Result<Picture> {
        let reduction = match self.decoding {
            Decoding::Whole => Reduction::None,
            Decoding::Reduced => Reduction::For {
                resize: self.recipe.resize,
                side: self.resolution_px,
            },
            Decoding::ReducedForTiles => Reduction::For {
                resize: Resize::Shortest,
                side: tiles::PARTS * self.resolution_px,
            },
        };
        let reading = Reading {
            orientation: self.orientation,
            reduction,
            limits: &self.limits,
        };
        decode_as_asked(name, bytes, &reading)
    }

    /// The second half of [`Preprocess::run`].
    pub fn pixels(&self, picture: &Picture) -> Pixels {
        Pixels::from_rgb(&self.crop_u8(picture), &self.levels, self.resolution_px)
    }

    /// As [`Preprocess::pixels`], in the memory of an image that is not needed any more.
    pub fn into_pixels(&self, mut picture: Picture) -> Pixels {
        let (mode, size) = (picture.mode(), [picture.width_px(), picture.height_px()]);
        let plan = Plan::new(size, &self.recipe, self.resolution_px);
        let is_converted_last = matches!(self.recipe.colours, Colours::ConvertedLast);
        if !is_converted_last || !multiplies_alpha(mode, size, &plan) {
            return self.pixels(&picture);
        }
        let cropped = self.crop_with_alpha(mode, size, &plan, picture.bytes_mut());
        Pixels::from_rgb(&picture::to_rgb(mode, cropped), &self.levels, self.resolution_px)
    }

    /// Resizes the image and returns the central `(R, R, 3)` as RGB bytes, row-major.
    ///
    /// As upstream does, this resizes the image in its own mode, unless the recipe says otherwise: colours are multiplied
    /// by alpha before and divided by it afterwards, then alpha is dropped.
    pub fn crop_u8(&self, picture: &Picture) -> Vec<u8> {
        match self.recipe.colours {
            Colours::ConvertedFirst if picture.mode() != Mode::Rgb => {
                let rgb = picture::over_white(picture.mode(), picture.bytes());
                self.crop(Mode::Rgb, picture, &rgb)
            }
            Colours::ConvertedFirst | Colours::ConvertedLast => {
                picture::to_rgb(picture.mode(), self.crop(picture.mode(), picture, picture.bytes()))
            }
        }
    }

    /// The central square of an image whose pixels have this mode.
    fn crop(&self, mode: Mode, picture: &Picture, bytes: &[u8]) -> Vec<u8> {
        let size = [picture.width_px(), picture.height_px()];
        let plan = Plan::new(size, &self.recipe, self.resolution_px);
        match multiplies_alpha(mode, size, &plan) {
            true => self.crop_with_alpha(mode, size, &plan, &mut bytes.to_vec()),
            false => self.padded(&plan, mode, resized(&plan, mode, size, bytes)),
        }
    }

    /// As [`Preprocess::crop`], with colours that are multiplied by alpha in place.
    fn crop_with_alpha(&self, mode: Mode, size: [usize; 2], plan: &Plan, bytes: &mut [u8]) -> Vec<u8> {
        picture::premultiply(bytes, mode.channels());
        let mut cropped = resized(plan, mode, size, bytes);
        picture::unpremultiply(&mut cropped, mode.channels());
        self.padded(plan, mode, cropped)
    }

    fn padded(&self, plan: &Plan, mode: Mode, cropped: Vec<u8>) -> Vec<u8> {
        let fill = match self.recipe.resize {
            Resize::Longest { fill } => fill,
            Resize::Shortest | Resize::ShortestTo(_) | Resize::Squash | Resize::SquashTo { .. } | Resize::Off => 0,
        };
        plan.pad(cropped, mode.channels(), fill)
    }
}

/// Pillow copies an image that already has the right size, including the colours of transparent pixels.
fn multiplies_alpha(mode: Mode, size: [usize; 2], plan: &Plan) -> bool {
    matches!(mode, Mode::GreyAlpha | Mode::Rgba) && !plan.keeps_size(size)
}

fn resized(plan: &Plan, mode: Mode, size: [usize; 2], bytes: &[u8]) -> Vec<u8> {
    plan.resize_and_crop(PixelRows {
        bytes,
        width: size[0],
        channels: mode.channels(),
    })
}

/// Whether a file that starts with these bytes is an image, by its signature. The format need not be one we decode.
pub fn begins_like_a_picture(start: &[u8]) -> bool {
    image::guess_format(start).is_ok() || recognise::is_photo(start)
}

/// The normalised value of each byte of red, green and blue.
type Levels = [[f32; 256]; 3];

/// `(byte / 255 - mean) / std`, in the order of operations of the library that the recipe comes from.
fn levels(recipe: &PixelRecipe) -> Levels {
    let mut levels = [[0.0; 256]; 3];
    for ((levels, mean), std) in levels.iter_mut().zip(recipe.mean).zip(recipe.std) {
        for (byte, level) in (0..=u8::MAX).zip(levels) {
            let value = match recipe.rescale {
                Rescale::By255 => f32::from(byte) / 255.0,
                Rescale::Factor(factor) => (f64::from(byte) * factor) as f32,
            };
            *level = (value - mean) / std;
        }
    }
    levels
}

#[cfg(test)]
mod tests;
