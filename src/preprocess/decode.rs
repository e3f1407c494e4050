//! From the bytes of a file to a [`Picture`], whatever they are: a picture, or an error that says why not.
//!
//! Called by [`super::Preprocess`] and by those who want the picture itself. Jpeg is decoded
//! by [`jpeg`], all else by the `image` crate.
//! Two things differ from Pillow on purpose: palette and 1-bit pictures are turned into 8-bit RGB(A) or grey before the resize, where
//! Pillow resizes their indices by nearest neighbour; and 16-bit ones are scaled to 8 bits, where Pillow clips some of them.
//! Sizes are checked before anything large is allocated; a panic inside a decoder becomes an error.

use std::error::Error as _;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::error::{ImageFormatHint, UnsupportedErrorKind};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::jpeg;
use super::picture::{Mode, Picture};
use super::recognise::{Content, recognise};
use crate::error::{Control, Error, Hint, Result, hint};

/// Whether a camera's note of how it was held turns the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// As EXIF says, of jpeg, png, webp and tiff.
    #[default]
    Upright,
    /// As the pixels are stored.
    AsStored,
}

/// What a picture may cost, so that a small file can't claim all memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels of a picture; 256 megapixels (2^28) unless told.
    pub max_pixels: u64,
    /// Most bytes of a decoded picture; 1 GiB unless told.
    pub max_decoded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 1 << 28,
            max_decoded_bytes: 1 << 30,
        }
    }
}

/// What is wrong with a picture, before its name is known.
pub(super) struct Problem {
    problem: String,
    hint: Option<Hint>,
}

impl Problem {
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<Hint>) -> Self {
        Self {
            problem: problem.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Decodes the first frame of `bytes`. `name` is only for the error.
///
/// # Errors
/// [`Error::Picture`], with what was found, where the bytes are empty, no picture, of a format that isn't decoded, cut short, damaged or
/// larger than `limits`.
pub fn decode(name: &str, bytes: &[u8], orientation: Orientation, limits: &Limits) -> Result<Picture> {
    // The decoders hold no state beyond this call, so nothing broken is left to be seen after a panic.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_any(bytes, orientation, limits)));
    decoded
        .unwrap_or_else(|_| Err(damaged("its decoder gave up on it")))
        .map_err(|problem| Error::Picture {
            name: name.to_owned(),
            problem: problem.problem,
            hint: problem.hint,
        })
}

fn decode_any(bytes: &[u8], orientation: Orientation, limits: &Limits) -> Result<Picture, Problem> {
    if bytes.is_empty() {
        return Err(Problem::new("the file is empty", "copy or fetch it again"));
    }
    match recognise(bytes) {
        Content::Decodable(format) => decode_as(format, bytes, orientation, limits),
        Content::Foreign { what, advice } => Err(Problem::new(
            format!("it is {what}, not a picture that can be decoded"),
            advice,
        )),
    }
}

fn decode_as(format: ImageFormat, bytes: &[u8], orientation: Orientation, limits: &Limits) -> Result<Picture, Problem> {
    if format == ImageFormat::Jpeg {
        let (picture, exif) = jpeg::decode(bytes, limits)?;
        return Ok(match orientation {
            Orientation::Upright => picture.upright(exif),
            Orientation::AsStored => picture,
        });
    }
    // The other decoders notice by themselves.
    if format == ImageFormat::WebP && !webp_is_whole(bytes) {
        return Err(cut_short());
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder_limits = image::Limits::no_limits();
    // Decoders count their own buffers beside the picture's.
    decoder_limits.max_alloc = Some(limits.max_decoded_bytes.saturating_mul(2));
    reader.limits(decoder_limits);
    let mut decoder = reader.into_decoder().map_err(problem_of)?;

    let (width, height) = decoder.dimensions();
    check_size(u64::from(width), u64::from(height), decoder.total_bytes(), limits)?;
    let exif = match orientation {
        // A damaged EXIF block is no reason to refuse the pixels.
        Orientation::Upright => decoder.orientation().map_or(1, image::metadata::Orientation::to_exif),
        Orientation::AsStored => 1,
    };
    let decoded = DynamicImage::from_decoder(decoder).map_err(problem_of)?;
    let mut picture = to_picture(decoded)?;
    if format == ImageFormat::Png && png_keys_one_colour(bytes) {
        picture = picture.without_alpha();
    }
    Ok(picture.upright(exif))
}

/// Refuses a picture before it is decoded, by its size.
pub(super) fn check_size(width: u64, height: u64, decoded_bytes: u64, limits: &Limits) -> Result<(), Problem> {
    if width == 0 || height == 0 {
        return Err(Problem::new(
            format!("it has no pixels: {width}x{height}"),
            "copy or fetch the file again",
        ));
    }
    let pixels = width.saturating_mul(height);
    if pixels > limits.max_pixels {
        return Err(Problem::new(
            format!(
                "it has {width}x{height} = {pixels} pixels; at most {} are decoded",
                limits.max_pixels
            ),
            Hint::from("scale it down first").or(hint!("raise the limit with {}", Control::MaxPixels)),
        ));
    }
    if decoded_bytes > limits.max_decoded_bytes {
        return Err(Problem::new(
            format!(
                "its {width}x{height} pixels take {decoded_bytes} bytes decoded; at most {} are allowed",
                limits.max_decoded_bytes
            ),
            "scale it down or convert it to 8 bits a channel first",
        ));
    }
    Ok(())
}

fn to_picture(decoded: DynamicImage) -> Result<Picture, Problem> {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let (mode, bytes) = match decoded.color() {
        ColorType::L8 | ColorType::L16 => (Mode::Grey, decoded.into_luma8().into_raw()),
        ColorType::La8 | ColorType::La16 => (Mode::GreyAlpha, decoded.into_luma_alpha8().into_raw()),
        ColorType::Rgb8 | ColorType::Rgb16 => (Mode::Rgb, decoded.into_rgb8().into_raw()),
        ColorType::Rgba8 | ColorType::Rgba16 => (Mode::Rgba, decoded.into_rgba8().into_raw()),
        _ => (
            Mode::Rgb,
            decoded.into_rgb32f().into_raw().into_iter().map(encode_light).collect(),
        ),
    };
    Picture::new(mode, width, height, bytes).map_err(|_| damaged("it holds fewer pixels than it says"))
}

/// Linear light, 1 being white, as an sRGB byte (IEC 61966-2-1): what a float picture looks like on a screen at exposure 0.
fn encode_light(light: f32) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let encoded = if light <= 0.003_130_8 {
        12.92 * light
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    };
    (255.0 * encoded).round() as u8
}

/// Whether a png names one grey or RGB colour as transparent (`tRNS`). Pillow resizes such a picture as opaque.
fn png_keys_one_colour(bytes: &[u8]) -> bool {
    const COLOUR_TYPE_AT: usize = 8 + 8 + 9;
    matches!(bytes.get(COLOUR_TYPE_AT), Some(0 | 2))
}

/// Whether a webp is as long as its RIFF header says.
fn webp_is_whole(bytes: &[u8]) -> bool {
    const RIFF_HEADER_BYTES: u64 = 8;
    let said = bytes[4..]
        .first_chunk()
        .map_or(u64::MAX, |&length| u64::from(u32::from_le_bytes(length)));
    bytes.len() as u64 >= said.saturating_add(RIFF_HEADER_BYTES)
}

pub(super) fn cut_short() -> Problem {
    Problem::new("the file is cut short: its end is missing", "copy or fetch it again")
}

pub(super) fn damaged(why: &str) -> Problem {
    Problem::new(
        format!("it is damaged: {why}"),
        "copy or fetch it again, or save it anew from a viewer that opens it",
    )
}

/// What a decoder said, in our words where it is a common case.
fn problem_of(error: ImageError) -> Problem {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => cut_short(),
        ImageError::Limits(e) => Problem::new(
            format!("decoding it would take too much memory ({e})"),
            "scale it down first",
        ),
        ImageError::Unsupported(e) => Problem::new(
            format!(
                "its kind of {} is not decoded: {}",
                format_name(&e.format_hint()),
                feature(&e.kind())
            ),
            "convert it to jpeg or png first",
        ),
        ImageError::Decoding(e) => {
            let why = e.source().map_or_else(|| one_line(&e), |source| one_line(&source));
            if ["unexpected end", "unexpected eof", "failed to fill"]
                .iter()
                .any(|said| why.to_lowercase().contains(said))
            {
                cut_short()
            } else {
                damaged(&why)
            }
        }
        other => damaged(&one_line(&other)),
    }
}

fn format_name(hint: &ImageFormatHint) -> String {
    match hint {
        ImageFormatHint::Exact(format) => format!("{format:?}").to_lowercase(),
        ImageFormatHint::Name(name) => name.clone(),
        _ => "picture".to_owned(),
    }
}

fn feature(kind: &UnsupportedErrorKind) -> String {
    match kind {
        UnsupportedErrorKind::Color(colours) => format!("colours of the type {colours:?}"),
        UnsupportedErrorKind::GenericFeature(feature) => one_line(feature),
        other => format!("{other:?}"),
    }
}

fn one_line(error: &impl std::fmt::Display) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches('.')
        .to_owned()
}
