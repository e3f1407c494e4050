//! Decodes the bytes of a file to a [`Picture`], or returns an error that says what is wrong with them.
//!
//! [`jpeg`] decodes JPEG; the `image` crate decodes all other formats. Two things deliberately differ from Pillow:
//!
//! - Palette and 1-bit images become 8-bit RGB(A) or grey before the resize. Pillow resizes their indices by nearest
//!   neighbour.
//! - 16-bit images are scaled to 8 bits. Pillow clips some of them.
//!
//! Sizes are checked before anything large is allocated, and a panic inside a decoder becomes an error.

use std::borrow::Cow;
use std::error::Error as _;
use std::io::Cursor;

use image::error::{ImageFormatHint, UnsupportedErrorKind};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

use super::limits::{Limits, admit, check_size};
use super::orientation::Metadata;
use super::picture::{Mode, Picture};
use super::problem::{Problem, cut_short, damaged};
use super::reading::{Orientation, Reading};
use super::recognise::{Content, DEVELOP, recognise};
use super::reduction::Reduction;
use super::{gif, ico, jpeg, png, raw, tiff};
use crate::error::{Error, Result, caught};
use crate::kernels::zeroes;
use crate::memory::holding;

/// Decodes the first frame of `bytes`; of a camera's raw photo, the preview inside it. `name` appears only in errors.
///
/// # Errors
/// [`Error::Picture`] if the bytes are empty, truncated or damaged, are not an image, have a format that isn't decoded,
/// or exceed `limits`. It says what was found.
pub fn decode(name: &str, bytes: &[u8], orientation: Orientation, limits: &Limits) -> Result<Picture> {
    let reading = Reading {
        orientation,
        reduction: Reduction::None,
        limits,
    };
    decode_as_asked(name, bytes, &reading)
}

/// As [`decode()`].
pub(super) fn decode_as_asked(name: &str, bytes: &[u8], reading: &Reading<'_>) -> Result<Picture> {
    // The decoders keep no state beyond this call, so a panic leaves nothing broken behind.
    let decoded = caught(|| decode_any(bytes, reading));
    decoded
        .unwrap_or_else(|_| Err(damaged("its decoder failed")))
        .map_err(|problem| Error::Picture {
            name: name.to_owned(),
            problem: problem.what,
            hint: problem.hint,
        })
}

/// The width and height of an image as stored, in pixels, from its header if its format has one that can be read without
/// decoding. `None` if it can't be decoded.
pub fn size(bytes: &[u8]) -> Option<(usize, usize)> {
    match recognise(bytes) {
        Content::Decodable(ImageFormat::Jpeg) => caught(|| jpeg::size(bytes)).ok()?,
        Content::Decodable(format) => {
            let reader = ImageReader::with_format(Cursor::new(completed(format, bytes)), format);
            let (width, height) = caught(|| reader.into_dimensions()).ok()?.ok()?;
            Some((width as usize, height as usize))
        }
        Content::Avif(_) | Content::Heic(_) | Content::Jxl | Content::Raw(_) | Content::Foreign { .. } => {
            let picture = decode("", bytes, Orientation::AsStored, &Limits::default()).ok()?;
            Some((picture.width_px(), picture.height_px()))
        }
    }
}

fn decode_any(bytes: &[u8], reading: &Reading<'_>) -> Result<Picture, Problem> {
    if bytes.is_empty() {
        return Err(Problem::new("the file is empty", "copy or fetch it again"));
    }
    match recognise(bytes) {
        Content::Decodable(format) => decode_as(format, bytes, reading),
        Content::Avif(what) => decode_avif(what, bytes, reading.limits),
        Content::Heic(what) => decode_heic(what, bytes, reading.limits),
        Content::Jxl => decode_jxl(bytes, reading.orientation, reading.limits),
        Content::Raw(what) => decode_raw(what, bytes, reading),
        Content::Foreign { what, advice } => Err(foreign(what, advice)),
    }
}

#[cfg(feature = "avif")]
fn decode_avif(_what: &str, bytes: &[u8], limits: &Limits) -> Result<Picture, Problem> {
    super::avif::decode(bytes, limits)
}

#[cfg(not(feature = "avif"))]
fn decode_avif(what: &str, _bytes: &[u8], _limits: &Limits) -> Result<Picture, Problem> {
    Err(foreign(
        what,
        "convert it to png first, for example with `avifdec` or `magick`; or build with the feature `avif`",
    ))
}

#[cfg(feature = "heic")]
fn decode_heic(_what: &str, bytes: &[u8], limits: &Limits) -> Result<Picture, Problem> {
    super::heic::decode(bytes, limits)
}

#[cfg(not(feature = "heic"))]
fn decode_heic(what: &str, _bytes: &[u8], _limits: &Limits) -> Result<Picture, Problem> {
    Err(foreign(
        what,
        "convert it to jpeg or png first, for example with `heif-convert`; or build with the feature `heic`",
    ))
}

#[cfg(feature = "jxl")]
fn decode_jxl(bytes: &[u8], orientation: Orientation, limits: &Limits) -> Result<Picture, Problem> {
    super::jxl::decode(bytes, orientation, limits)
}

#[cfg(not(feature = "jxl"))]
fn decode_jxl(_bytes: &[u8], _orientation: Orientation, _limits: &Limits) -> Result<Picture, Problem> {
    Err(foreign(
        "a JPEG XL image",
        "convert it to jpeg or png first, for example with `djxl`; or build with the feature `jxl`",
    ))
}

/// Decodes the preview inside a raw photo.
fn decode_raw(what: &str, bytes: &[u8], reading: &Reading<'_>) -> Result<Picture, Problem> {
    let preview = raw::preview(bytes)
        .ok_or_else(|| Problem::new(format!("it is {what} without a preview that can be read"), DEVELOP))?;
    Ok(jpeg::decode(preview, raw::turn(bytes), reading)?.into_preview())
}

fn decode_as(format: ImageFormat, bytes: &[u8], reading: &Reading<'_>) -> Result<Picture, Problem> {
    let limits = reading.limits;
    match format {
        ImageFormat::Jpeg => return jpeg::decode(bytes, 1, reading),
        // The other decoders detect truncation themselves.
        ImageFormat::WebP if !webp_is_whole(bytes) => return Err(cut_short()),
        ImageFormat::Ico => {
            if let Some(png) = ico::png(bytes) {
                let reading = Reading {
                    orientation: Orientation::AsStored,
                    ..*reading
                };
                return decode_as(ImageFormat::Png, png, &reading);
            }
        }
        ImageFormat::Tiff => {
            if let Some(what) = tiff::raw_photo(bytes) {
                return decode_raw(what, bytes, reading);
            }
        }
        _ => {}
    }
    let turn = match reading.orientation {
        Orientation::Upright => Metadata::of(format, bytes).orientation(),
        Orientation::AsStored => 1,
    };
    let picture = match format {
        ImageFormat::Tiff => decode_tiff(bytes, turn, limits)?,
        _ => with_image_crate(format, bytes, turn, limits)?,
    };
    Ok(picture.upright(turn))
}

fn decode_tiff(bytes: &[u8], turn: u8, limits: &Limits) -> Result<Picture, Problem> {
    let (unpacked, holds) = holding(|| tiff::unpacked(bytes, limits));
    // A thread that waits for memory may hold none, and what follows takes some.
    drop(holds);
    let unpacked = unpacked?;
    let bytes = unpacked.as_deref().unwrap_or(bytes);
    match tiff::decode(bytes, limits)? {
        Some(picture) => Ok(picture),
        None => with_image_crate(ImageFormat::Tiff, bytes, turn, limits),
    }
}

fn foreign(what: &str, advice: &'static str) -> Problem {
    Problem::new(format!("it is {what}, not an image that can be decoded"), advice)
}

/// The file with what is missing in it, and Pillow does without.
fn completed(format: ImageFormat, bytes: &[u8]) -> Cow<'_, [u8]> {
    match format {
        ImageFormat::Png => png::with_end(bytes),
        ImageFormat::Gif => gif::with_screen(bytes),
        _ => Cow::Borrowed(bytes),
    }
}

/// Decodes what [`jpeg`] does not. `turn` is how the image will be turned.
fn with_image_crate(format: ImageFormat, bytes: &[u8], turn: u8, limits: &Limits) -> Result<Picture, Problem> {
    let mut reader = ImageReader::with_format(Cursor::new(completed(format, bytes)), format);
    let mut decoder_limits = image::Limits::no_limits();
    // Decoders count their own buffers in addition to the image.
    decoder_limits.max_alloc = Some(limits.max_decoded_bytes.saturating_mul(2));
    reader.limits(decoder_limits);
    let decoder = reader.into_decoder().map_err(problem_of)?;

    let (width, height) = decoder.dimensions();
    let total_bytes = decoder.total_bytes();
    check_size(u64::from(width), u64::from(height), total_bytes, limits)?;
    let mode = mode_in_bytes(decoder.color_type());
    let is_copied = turn > 1 || mode.is_none() || !decodes_in_place(format, bytes);
    admit(total_bytes.saturating_mul(if is_copied { 2 } else { 1 }))?;
    let picture = match mode {
        Some(mode) => {
            let mut pixels = zeroes(usize::try_from(total_bytes).unwrap_or(usize::MAX))?;
            decoder.read_image(&mut pixels).map_err(problem_of)?;
            Picture::new(mode, width as usize, height as usize, pixels)
                .map_err(|_| damaged("it has fewer pixels than its header says"))?
        }
        None => to_picture(DynamicImage::from_decoder(decoder).map_err(problem_of)?)?,
    };
    Ok(match format {
        ImageFormat::Png if png_keys_one_colour(bytes) => picture.without_alpha(),
        // Many programs write 0 where they mean nothing: an image of which nothing can be seen is not meant.
        ImageFormat::Bmp if picture.is_transparent() => picture.without_alpha(),
        ImageFormat::Tiff if tiff::has_associated_alpha(bytes) => picture.with_separate_alpha(),
        _ => picture,
    })
}

/// Whether the decoder needs no buffer as large as the image besides the image itself.
fn decodes_in_place(format: ImageFormat, bytes: &[u8]) -> bool {
    const LOSSLESS: &[u8] = b"VP8L";
    match format {
        ImageFormat::WebP => bytes.get(12..16) == Some(LOSSLESS),
        ImageFormat::Tiff | ImageFormat::Gif | ImageFormat::Ico => false,
        _ => true,
    }
}

/// The mode of an image that is decoded to bytes.
fn mode_in_bytes(colours: ColorType) -> Option<Mode> {
    match colours {
        ColorType::L8 => Some(Mode::Grey),
        ColorType::La8 => Some(Mode::GreyAlpha),
        ColorType::Rgb8 => Some(Mode::Rgb),
        ColorType::Rgba8 => Some(Mode::Rgba),
        _ => None,
    }
}

/// Scales 16 bits and floats to bytes.
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
    Picture::new(mode, width, height, bytes).map_err(|_| damaged("it has fewer pixels than its header says"))
}

/// Converts linear light, where 1 is white, to an sRGB byte (IEC 61966-2-1): how a viewer shows a float image at
/// exposure 0.
pub(super) fn encode_light(light: f32) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let encoded = if light <= 0.003_130_8 {
        12.92 * light
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    };
    (255.0 * encoded).round() as u8
}

/// Whether a PNG marks a single grey or RGB colour as transparent (`tRNS`). Pillow resizes such an image as opaque.
fn png_keys_one_colour(bytes: &[u8]) -> bool {
    const COLOUR_TYPE_AT: usize = 8 + 8 + 9;
    matches!(bytes.get(COLOUR_TYPE_AT), Some(0 | 2))
}

/// Whether a WebP file is as long as its RIFF header says.
fn webp_is_whole(bytes: &[u8]) -> bool {
    const RIFF_HEADER_BYTES: u64 = 8;
    let expected = bytes[4..]
        .first_chunk()
        .map_or(u64::MAX, |&length| u64::from(u32::from_le_bytes(length)));
    bytes.len() as u64 >= expected.saturating_add(RIFF_HEADER_BYTES)
}

/// Translates a decoder's error, in our own words for common cases.
fn problem_of(error: ImageError) -> Problem {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => cut_short(),
        ImageError::Limits(e) => Problem::new(
            format!("decoding it would take too much memory ({e})"),
            "scale it down first",
        ),
        ImageError::Unsupported(e) => Problem::new(
            format!(
                "this kind of {} is not supported: {}",
                format_name(&e.format_hint()),
                feature(&e.kind())
            ),
            "convert it to jpeg or png first",
        ),
        ImageError::Decoding(e) => {
            let why = e.source().map_or_else(|| one_line(&e), |source| one_line(&source));
            if ["unexpected end", "unexpected eof", "failed to fill"]
                .iter()
                .any(|phrase| why.to_lowercase().contains(phrase))
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
        _ => "image".to_owned(),
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

#[cfg(test)]
mod tests;
