//! TIFF images in tiles of one colour each. The crate `tiff` panics on them, so it is given one plane after the other, as a
//! grey image.

use ::tiff::decoder::DecodingResult;

use super::super::directory::Directory;
use super::super::limits::{Limits, admit, check_size};
use super::super::picture::{Mode, Picture};
use super::super::problem::{Problem, cut_short, damaged};
use super::{
    APART, ASSOCIATED, BITS, BLACK_IS_ZERO, CMYK, EXTRA_SAMPLES, PHOTOMETRIC, PLANAR, RGB, SAMPLE_FORMAT, SAMPLES,
    TILE_HEIGHT, TILE_LENGTHS, TILE_OFFSETS, TILE_WIDTH, UNASSOCIATED, changed, samples, size, unsupported,
};
use crate::kernels::zeroes;

/// The image, if it is one of these.
pub(super) fn decode(first: &Directory<'_>, bytes: &[u8], limits: &Limits) -> Result<Option<Picture>, Problem> {
    let n_samples = first.number(SAMPLES).unwrap_or(1);
    if n_samples < 2 || first.number(PLANAR) != Some(APART) || !first.has(TILE_WIDTH) {
        return Ok(None);
    }
    let (mode, bits) = kind(first, n_samples)?;
    let (width, height) = size(first);
    let decoded_bytes = width.saturating_mul(height).saturating_mul(mode.channels() as u64);
    check_size(width, height, decoded_bytes, limits)?;
    let plane_bytes = width.saturating_mul(height).saturating_mul(bits / 8);
    admit(
        decoded_bytes
            .saturating_add(plane_bytes)
            .saturating_add(bytes.len() as u64),
    )?;

    let number = |tag| first.number(tag).filter(|size| *size > 0).unwrap_or(1);
    let n_tiles = (width.div_ceil(number(TILE_WIDTH)) * height.div_ceil(number(TILE_HEIGHT))) as usize;
    let (offsets, lengths) = (first.numbers(TILE_OFFSETS), first.numbers(TILE_LENGTHS));
    let mut out: Vec<u8> = zeroes(decoded_bytes as usize)?;
    for channel in 0..mode.channels() {
        let of_plane = |numbers: &[u64]| {
            let numbers = numbers.chunks_exact(n_tiles).nth(channel).ok_or_else(cut_short)?;
            Ok::<_, Problem>(numbers.iter().map(|number| *number as u32).collect())
        };
        let changes = [
            (SAMPLES, vec![1]),
            (PLANAR, vec![1]),
            (BITS, vec![bits as u32]),
            (PHOTOMETRIC, vec![BLACK_IS_ZERO as u32]),
            (EXTRA_SAMPLES, Vec::new()),
            (SAMPLE_FORMAT, Vec::new()),
            (TILE_OFFSETS, of_plane(&offsets)?),
            (TILE_LENGTHS, of_plane(&lengths)?),
        ];
        let plane = changed(first, bytes, &changes)?;
        let plane = match samples::read(&plane, limits)? {
            DecodingResult::U8(levels) => levels,
            DecodingResult::U16(levels) => levels.into_iter().map(samples::upper_byte).collect(),
            _ => return Err(damaged("its samples have a wrong type")),
        };
        let levels = out.iter_mut().skip(channel).step_by(mode.channels());
        levels.zip(plane).for_each(|(out, level)| *out = level);
    }
    let picture =
        Picture::new(mode, width as usize, height as usize, out).map_err(|_| damaged("it holds no pixels"))?;
    Ok(Some(match first.number(EXTRA_SAMPLES) {
        Some(ASSOCIATED) => picture.with_separate_alpha(),
        _ => picture,
    }))
}

/// The channels that are shown, which are the first ones, and the bits of a sample.
fn kind(first: &Directory<'_>, n_samples: u64) -> Result<(Mode, u64), Problem> {
    let refused = || unsupported("tiles of one colour each (planar configuration) of this kind");
    let has_alpha = match first.number(EXTRA_SAMPLES) {
        Some(ASSOCIATED | UNASSOCIATED) => true,
        Some(_) => false,
        // Some programs don't say what a fourth sample is.
        None => n_samples == 4,
    };
    let bits = first.number(BITS).unwrap_or(1);
    let is_whole = first.number(SAMPLE_FORMAT).unwrap_or(1) == 1;
    if !is_whole || !matches!(bits, 8 | 16) {
        return Err(refused());
    }
    let mode = match (first.number(PHOTOMETRIC), n_samples) {
        (Some(BLACK_IS_ZERO), _) if has_alpha => Mode::GreyAlpha,
        (Some(BLACK_IS_ZERO), _) => Mode::Grey,
        (Some(RGB), 4..) if has_alpha => Mode::Rgba,
        (Some(RGB), 3..) => Mode::Rgb,
        (Some(CMYK), 4..) => Mode::Cmyk,
        _ => return Err(refused()),
    };
    Ok((mode, bits))
}
