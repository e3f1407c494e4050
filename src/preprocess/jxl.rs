//! Decodes JPEG XL with the decoder of the JPEG XL project, which Firefox and Chromium use.

use ::jxl::api::{
    AlphaMode, Event, ExtraChannel, JxlColorType, JxlDataFormat, JxlDecoder, JxlDecoderOptions, JxlOutputBuffer,
    JxlPixelFormat, ProfileLevel,
};
use ::jxl::error::Error;

use super::limits::{Limits, admit, check_size};
use super::picture::{Mode, Picture};
use super::problem::{Problem, cut_short, damaged};
use super::reading::Orientation;
use crate::kernels::zeroes;

/// What decoding takes besides the image, in bytes per sample: floats, and coefficients or filtered copies of them.
const WORKING_BYTES: u64 = 8;
/// Samples of a pixel that are decoded, whatever is shown of them.
const CHANNELS_MAX: u64 = 8;

/// Decodes the first frame. Its own orientation is in its header, not in EXIF.
pub(super) fn decode(bytes: &[u8], orientation: Orientation, limits: &Limits) -> Result<Picture, Problem> {
    let mut options = JxlDecoderOptions::default();
    options.adjust_orientation = orientation == Orientation::Upright;
    options.alpha_mode = AlphaMode::Unpremultiplied;
    options.max_profile_level = ProfileLevel::Main10;
    options.sample_limit = usize::try_from(limits.max_pixels.saturating_mul(CHANNELS_MAX)).ok();
    let mut decoder = JxlDecoder::new(options);
    let mut input = bytes;

    next(decoder.process(&mut input, None, None), &Event::BasicInfo)?;
    let info = decoder.basic_info().ok_or_else(|| damaged("it has no header"))?;
    let ((width, height), n_extra) = (info.size, info.extra_channels.len());
    let has_alpha = info
        .extra_channels
        .iter()
        .any(|extra| extra.ec_type == ExtraChannel::Alpha);
    let is_grey = decoder
        .current_pixel_format()
        .is_some_and(|format| format.color_type.is_grayscale());
    let (colours, mode) = match (is_grey, has_alpha) {
        (true, false) => (JxlColorType::Grayscale, Mode::Grey),
        (true, true) => (JxlColorType::GrayscaleAlpha, Mode::GreyAlpha),
        (false, false) => (JxlColorType::Rgb, Mode::Rgb),
        (false, true) => (JxlColorType::Rgba, Mode::Rgba),
    };
    let pixels = (width as u64).saturating_mul(height as u64);
    let decoded_bytes = pixels.saturating_mul(mode.channels() as u64);
    check_size(width as u64, height as u64, decoded_bytes, limits)?;
    let n_samples = pixels.saturating_mul((3 + n_extra) as u64);
    admit(decoded_bytes.saturating_add(n_samples.saturating_mul(WORKING_BYTES)))?;

    let format = JxlPixelFormat {
        color_type: colours,
        color_data_format: Some(JxlDataFormat::U8 { bit_depth: 8 }),
        extra_channel_format: vec![None; n_extra],
    };
    decoder.set_pixel_format(format).map_err(problem_of)?;
    let row_bytes = width * mode.channels();
    let mut out: Vec<u8> = zeroes(row_bytes * height)?;
    let mut buffers = [JxlOutputBuffer::new(&mut out, height, row_bytes)];
    next(
        decoder.process(&mut input, Some(&mut buffers), None),
        &Event::FrameHeader,
    )?;
    match decoder
        .process(&mut input, Some(&mut buffers), None)
        .map_err(problem_of)?
    {
        Event::FrameComplete { .. } => {}
        Event::NeedMoreInput { .. } => return Err(cut_short()),
        _ => return Err(damaged("it has no frame")),
    }
    Picture::new(mode, width, height, out).map_err(|_| damaged("it holds no pixels"))
}

fn next(event: Result<Event, Error>, expected: &Event) -> Result<(), Problem> {
    match event.map_err(problem_of)? {
        Event::NeedMoreInput { .. } => Err(cut_short()),
        event if std::mem::discriminant(&event) == std::mem::discriminant(expected) => Ok(()),
        _ => Err(damaged("its parts are in a wrong order")),
    }
}

fn problem_of(error: Error) -> Problem {
    match error {
        Error::OutOfBounds(_) => cut_short(),
        other => damaged(&other.to_string()),
    }
}
