//! A decoded image with 8-bit channels, and Pillow's colour arithmetic: alpha, CMYK to RGB, EXIF orientation.
//!
//! [`super::decode()`] makes it, [`super::Preprocess`] reads it. The arithmetic follows Pillow's
//! `src/libImaging/Convert.c` and `ImageOps.exif_transpose`. Bytes are `(height, width, channels)`, row-major.

use crate::error::{Error, Result};

/// The channels of a pixel, one byte each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Grey.
    Grey,
    /// Grey, alpha.
    GreyAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue, alpha.
    Rgba,
    /// Cyan, magenta, yellow, black; 255 is full ink.
    Cmyk,
}

impl Mode {
    /// Bytes per pixel.
    pub fn channels(self) -> usize {
        match self {
            Mode::Grey => 1,
            Mode::GreyAlpha => 2,
            Mode::Rgb => 3,
            Mode::Rgba | Mode::Cmyk => 4,
        }
    }
}

/// A decoded image with at least one pixel and 8 bits per channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width_px: usize,
    height_px: usize,
    mode: Mode,
    bytes: Vec<u8>,
    is_preview: bool,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            width_px,
            height_px,
            mode,
            ..
        } = self;
        write!(f, "Picture({width_px}x{height_px} {mode:?})")
    }
}

impl Picture {
    /// Takes `(height_px, width_px, channels)` bytes, row-major.
    ///
    /// # Errors
    /// [`Error::Usage`] if a side is zero or the number of bytes doesn't match.
    pub fn new(mode: Mode, width_px: usize, height_px: usize, bytes: Vec<u8>) -> Result<Self> {
        let expected = width_px
            .checked_mul(height_px)
            .and_then(|n| n.checked_mul(mode.channels()));
        if expected != Some(bytes.len()) || bytes.is_empty() {
            return Err(Error::usage(
                format!(
                    "{} bytes are not an image of {width_px}x{height_px} pixels of {} bytes",
                    bytes.len(),
                    mode.channels()
                ),
                "give `height * width * channels` bytes, at least one pixel",
            ));
        }
        Ok(Self {
            width_px,
            height_px,
            mode,
            bytes,
            is_preview: false,
        })
    }

    /// Whether this is the preview inside a camera's raw photo.
    pub fn is_preview(&self) -> bool {
        self.is_preview
    }

    /// The same, as the preview inside a camera's raw photo.
    pub(super) fn into_preview(self) -> Self {
        Self {
            is_preview: true,
            ..self
        }
    }

    /// Width in pixels.
    pub fn width_px(&self) -> usize {
        self.width_px
    }

    /// Height in pixels.
    pub fn height_px(&self) -> usize {
        self.height_px
    }

    /// The channels of a pixel.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The pixels, `(height, width, channels)`, row-major.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The image as RGB, `(height, width, 3)`, row-major. Alpha is dropped.
    pub fn rgb(&self) -> Vec<u8> {
        to_rgb(self.mode, self.bytes.clone())
    }

    /// A part of the image: left, top, width and height, which are inside it.
    pub(super) fn part(&self, [left, top, width, height]: [usize; 4]) -> Self {
        let channels = self.mode.channels();
        let rows = self.bytes.chunks_exact(self.width_px * channels).skip(top).take(height);
        Self {
            bytes: rows
                .flat_map(|row| &row[left * channels..][..width * channels])
                .copied()
                .collect(),
            width_px: width,
            height_px: height,
            mode: self.mode,
            is_preview: self.is_preview,
        }
    }

    /// Drops the alpha channel, if there is one.
    pub(super) fn without_alpha(self) -> Self {
        let (mode, kept) = match self.mode {
            Mode::GreyAlpha => (Mode::Grey, 1),
            Mode::Rgba => (Mode::Rgb, 3),
            Mode::Grey | Mode::Rgb | Mode::Cmyk => return self,
        };
        let (mut bytes, n) = (self.bytes, self.width_px * self.height_px);
        for i in 0..n {
            bytes.copy_within(i * (kept + 1)..i * (kept + 1) + kept, i * kept);
        }
        bytes.truncate(n * kept);
        Self { mode, bytes, ..self }
    }

    /// Whether alpha is 0 everywhere.
    pub(super) fn is_transparent(&self) -> bool {
        let channels = self.mode.channels();
        let has_alpha = matches!(self.mode, Mode::GreyAlpha | Mode::Rgba);
        has_alpha && self.bytes.chunks_exact(channels).all(|pixel| pixel[channels - 1] == 0)
    }

    /// With colours that were multiplied by alpha divided by it again, as Pillow's `unpackRGBa` does.
    pub(super) fn with_separate_alpha(mut self) -> Self {
        if !matches!(self.mode, Mode::GreyAlpha | Mode::Rgba) {
            return self;
        }
        for pixel in self.bytes.chunks_exact_mut(self.mode.channels()) {
            if let Some((&mut alpha, colours)) = pixel.split_last_mut() {
                for colour in colours {
                    *colour = match alpha {
                        0 => 0,
                        alpha => (255 * u32::from(*colour) / u32::from(alpha)).min(255) as u8,
                    };
                }
            }
        }
        self
    }

    /// The pixels, writable.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Turned and mirrored as EXIF's orientation 1 to 8 says. Other values change nothing.
    pub(super) fn upright(self, exif_orientation: u8) -> Self {
        let (w, h) = (self.width_px, self.height_px);
        // Each closure maps an output pixel (x, y) to (column, row) of the stored image.
        match exif_orientation {
            2 => self.moved(w, h, |x, y| (w - 1 - x, y)),
            3 => self.moved(w, h, |x, y| (w - 1 - x, h - 1 - y)),
            4 => self.moved(w, h, |x, y| (x, h - 1 - y)),
            5 => self.moved(h, w, |x, y| (y, x)),
            6 => self.moved(h, w, |x, y| (y, h - 1 - x)),
            7 => self.moved(h, w, |x, y| (w - 1 - y, h - 1 - x)),
            8 => self.moved(h, w, |x, y| (w - 1 - y, x)),
            _ => self,
        }
    }

    fn moved(self, width: usize, height: usize, from: impl Fn(usize, usize) -> (usize, usize)) -> Self {
        let bytes = match self.mode.channels() {
            1 => moved::<1>(&self.bytes, self.width_px, width, height, from),
            2 => moved::<2>(&self.bytes, self.width_px, width, height, from),
            3 => moved::<3>(&self.bytes, self.width_px, width, height, from),
            _ => moved::<4>(&self.bytes, self.width_px, width, height, from),
        };
        Self {
            width_px: width,
            height_px: height,
            mode: self.mode,
            bytes,
            is_preview: self.is_preview,
        }
    }
}

/// Side of the square tiles in which pixels are moved, so that a turn by 90 degrees reads and writes within the cache:
/// 64 rows of 64 pixels take at most 16 KiB.
const TILE: usize = 64;

fn moved<const N: usize>(
    bytes: &[u8],
    stored_width: usize,
    width: usize,
    height: usize,
    from: impl Fn(usize, usize) -> (usize, usize),
) -> Vec<u8> {
    let (stored, _) = bytes.as_chunks::<N>();
    let mut out = vec![0; bytes.len()];
    let (pixels, _) = out.as_chunks_mut::<N>();
    for top in (0..height).step_by(TILE) {
        for left in (0..width).step_by(TILE) {
            for y in top..height.min(top + TILE) {
                for x in left..width.min(left + TILE) {
                    let (column, row) = from(x, y);
                    pixels[y * width + x] = stored[row * stored_width + column];
                }
            }
        }
    }
    out
}

/// Multiplies each pixel's colours by its alpha, the last of its `channels` bytes.
pub(super) fn premultiply(bytes: &mut [u8], channels: usize) {
    for pixel in bytes.chunks_exact_mut(channels) {
        if let Some((alpha, colours)) = pixel.split_last_mut() {
            for colour in colours {
                *colour = multiply(*colour, *alpha);
            }
        }
    }
}

/// The inverse of [`premultiply`], as far as bytes allow. Colours with an alpha of 0 or 255 stay as they are.
pub(super) fn unpremultiply(bytes: &mut [u8], channels: usize) {
    for pixel in bytes.chunks_exact_mut(channels) {
        if let Some((&mut alpha @ 1..=254, colours)) = pixel.split_last_mut() {
            for colour in colours {
                *colour = (255 * u32::from(*colour) / u32::from(alpha)).min(255) as u8;
            }
        }
    }
}

/// Converts pixels to `(n, 3)` RGB: grey is repeated, alpha is dropped, CMYK is converted.
pub(super) fn to_rgb(mode: Mode, bytes: Vec<u8>) -> Vec<u8> {
    match mode {
        Mode::Grey => bytes.iter().flat_map(|&l| [l; 3]).collect(),
        Mode::GreyAlpha => bytes.chunks_exact(2).flat_map(|p| [p[0]; 3]).collect(),
        Mode::Rgb => bytes,
        Mode::Rgba => bytes.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect(),
        Mode::Cmyk => bytes
            .chunks_exact(4)
            .flat_map(|p| cmyk_to_rgb(p[3], [p[0], p[1], p[2]]))
            .collect(),
    }
}

/// Converts pixels to `(n, 3)` RGB over a white background, where they have alpha: Pillow's `alpha_composite`.
pub(super) fn over_white(mode: Mode, bytes: &[u8]) -> Vec<u8> {
    match mode {
        Mode::Grey | Mode::Rgb | Mode::Cmyk => to_rgb(mode, bytes.to_vec()),
        Mode::GreyAlpha => bytes.chunks_exact(2).flat_map(|p| [blend(p[0], p[1]); 3]).collect(),
        Mode::Rgba => bytes
            .chunks_exact(4)
            .flat_map(|p| [p[0], p[1], p[2]].map(|level| blend(level, p[3])))
            .collect(),
    }
}

/// A level over white, with the 7 more bits of Pillow's `AlphaComposite.c`.
fn blend(level: u8, alpha: u8) -> u8 {
    const BITS: u32 = 7;
    let (level, alpha) = (u32::from(level), u32::from(alpha));
    let t = ((level * alpha + 255 * (255 - alpha)) << BITS) + (0x80 << BITS);
    ((((t >> 8) + t) >> 8) >> BITS) as u8
}

/// Pillow's conversion: the light that black leaves, minus what each ink absorbs.
fn cmyk_to_rgb(key: u8, inks: [u8; 3]) -> [u8; 3] {
    let light = 255 - key;
    inks.map(|ink| light - multiply(ink, light))
}

/// `a * b / 255`, rounded: Pillow's `MULDIV255`.
fn multiply(a: u8, b: u8) -> u8 {
    let t = u32::from(a) * u32::from(b) + 128;
    (((t >> 8) + t) >> 8) as u8
}
