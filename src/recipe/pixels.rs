//! How images become the pixels that the image tower reads.

use serde::{Deserialize, Serialize};

/// Mean of red, green and blue in CLIP's training images, on a scale of 0 to 1 (OpenAI CLIP, `clip.py`, `_transform`).
pub const MEAN: [f32; 3] = [0.48145466, 0.4578275, 0.40821073];
/// Standard deviation of red, green and blue, from the same source.
#[expect(clippy::excessive_precision, reason = "the digits as published")]
pub const STD: [f32; 3] = [0.26862954, 0.26130258, 0.27577711];

/// How images become the pixels that the image tower reads, after they were decoded: colours, resize, crop,
/// normalisation. The side of the square that remains is the image tower's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelRecipe {
    /// The size that an image is resized to.
    pub resize: Resize,
    /// The filter of the resize.
    pub filter: Filter,
    /// Where the square is cut out of the resized image.
    pub centre: Centre,
    /// When an image is converted to RGB.
    pub colours: Colours,
    /// How bytes become numbers.
    pub rescale: Rescale,
    /// Subtracted from red, green and blue, after rescaling.
    pub mean: [f32; 3],
    /// What red, green and blue are divided by then.
    pub std: [f32; 3],
}

impl Default for PixelRecipe {
    fn default() -> Self {
        PixelRecipe {
            resize: Resize::default(),
            filter: Filter::default(),
            centre: Centre::default(),
            colours: Colours::default(),
            rescale: Rescale::default(),
            mean: MEAN,
            std: STD,
        }
    }
}

/// The size that an image is resized to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// The short side becomes the tower's side, the long side keeps the proportion.
    #[default]
    Shortest,
    /// The short side becomes this many pixels.
    ShortestTo(usize),
    /// The long side becomes the tower's side; the rest of the square has this level in every channel.
    Longest {
        /// The level of the rest.
        fill: u8,
    },
    /// Both sides become the tower's side, whatever the proportion.
    Squash,
    /// Both sides become these sizes, whatever the proportion.
    SquashTo {
        /// Pixels per column.
        height: usize,
        /// Pixels per row.
        width: usize,
    },
    /// Not at all.
    Off,
}

/// The filter of the resize, as Pillow computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Keys' cubic convolution.
    #[default]
    Bicubic,
    /// A triangle.
    Bilinear,
}

/// Where the square is cut out, if what remains has an odd number of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Centre {
    /// torchvision's `CenterCrop`: half the difference, rounded to even; padding is rounded down.
    #[default]
    Torchvision,
    /// transformers' `center_crop`: half the difference, rounded down; padding is rounded up.
    Transformers,
}

/// When an image that isn't RGB is converted to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colours {
    /// After the resize, which is done in the image's own mode.
    #[default]
    ConvertedLast,
    /// Before everything else, over white where it is transparent, as transformers 5 does.
    ConvertedFirst,
}

/// How bytes become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rescale {
    /// `byte / 255` in f32, as torchvision's `ToTensor`.
    #[default]
    By255,
    /// `byte * factor` in f64, rounded to f32, as transformers.
    Factor(f64),
}
