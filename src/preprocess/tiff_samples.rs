//! TIFF images that the `image` crate refuses and Pillow reads: palettes, grey of 2 or 4 bits, and grey with alpha.

use std::borrow::Cow;
use std::io::Cursor;

use ::tiff::decoder::{Decoder, DecodingResult, Limits as DecoderLimits};
use ::tiff::{TiffError, TiffResult};

use super::directory::{Directory, Tagged};
use super::limits::{Limits, admit, check_size};
use super::picture::{Mode, Picture};
use super::problem::{Problem, cut_short, damaged};
use super::tiff::{ASSOCIATED, EXTRA_SAMPLES, HEIGHT, PHOTOMETRIC, PLANAR, SAMPLES, WIDTH};
use crate::kernels::zeroes;

const BITS: u16 = 258;
const PALETTE: u16 = 320;

const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;
const INDICES: u64 = 3;
const UNASSOCIATED: u64 = 2;

/// What the samples of a pixel mean.
enum Samples {
    /// The level of each value.
    Grey(Vec<u8>),
    /// The colour of each index.
    Indices(Vec<[u8; 3]>),
    GreyAlpha,
}

/// The image, if it is one of these; none if it is another kind of TIFF.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Option<Picture>, Problem> {
    let Some(first) = Tagged::new(bytes).and_then(Tagged::first) else {
        return Ok(None);
    };
    let bits = first.number(BITS).unwrap_or(1) as u32;
    let Some(samples) = Samples::of(&first, bits)? else {
        return Ok(None);
    };
    let size = |tag| first.number(tag).and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
    let (width, height) = (u64::from(size(WIDTH)), u64::from(size(HEIGHT)));
    let mode = match &samples {
        Samples::Grey(_) => Mode::Grey,
        Samples::Indices(_) => Mode::Rgb,
        Samples::GreyAlpha => Mode::GreyAlpha,
    };
    let decoded_bytes = width.saturating_mul(height).saturating_mul(mode.channels() as u64);
    check_size(width, height, decoded_bytes, limits)?;
    admit(decoded_bytes.saturating_mul(2).saturating_add(bytes.len() as u64))?;

    // The decoder refuses palettes by their name, and would read their indices as grey.
    let as_grey = match samples {
        Samples::GreyAlpha => Cow::Borrowed(bytes),
        Samples::Grey(_) | Samples::Indices(_) => {
            let copy = first.with_number(PHOTOMETRIC, BLACK_IS_ZERO as u16);
            Cow::Owned(copy.ok_or_else(|| damaged("its photometric interpretation has a wrong type"))?)
        }
    };
    let values = read(&as_grey, limits)
        .map_err(problem_of)?
        .ok_or_else(|| damaged("its samples are not bytes"))?;
    let (width, height) = (width as usize, height as usize);
    let out = match samples {
        Samples::GreyAlpha => values,
        Samples::Grey(levels) => {
            let mut out: Vec<u8> = zeroes(width * height)?;
            unpack(&values, bits, (width, height), |i, value| out[i] = levels[value])?;
            out
        }
        Samples::Indices(colours) => {
            let mut out: Vec<u8> = zeroes(width * height * 3)?;
            unpack(&values, bits, (width, height), |i, value| {
                out[i * 3..][..3].copy_from_slice(&colours[value]);
            })?;
            out
        }
    };
    let picture =
        Picture::new(mode, width, height, out).map_err(|_| damaged("it has fewer pixels than its header says"))?;
    Ok(Some(match first.number(EXTRA_SAMPLES) {
        Some(ASSOCIATED) => picture.with_separate_alpha(),
        _ => picture,
    }))
}

impl Samples {
    fn of(first: &Directory<'_>, bits: u32) -> Result<Option<Self>, Problem> {
        let n_samples = first.number(SAMPLES).unwrap_or(1);
        let has_alpha = matches!(first.number(EXTRA_SAMPLES), Some(ASSOCIATED | UNASSOCIATED));
        let is_in_one_plane = first.number(PLANAR).unwrap_or(1) == 1;
        Ok(Some(match (first.number(PHOTOMETRIC), n_samples, bits) {
            (Some(INDICES), 1, 1 | 2 | 4 | 8) => Samples::Indices(palette(first, 1 << bits)?),
            (Some(kind @ (WHITE_IS_ZERO | BLACK_IS_ZERO)), 1, 2 | 4) => {
                let largest = (1u16 << bits) - 1;
                let levels = (0..=largest).map(|value| (255 * value / largest) as u8);
                Samples::Grey(match kind {
                    WHITE_IS_ZERO => levels.rev().collect(),
                    _ => levels.collect(),
                })
            }
            (Some(BLACK_IS_ZERO), 2, 8) if has_alpha && is_in_one_plane => Samples::GreyAlpha,
            _ => return Ok(None),
        }))
    }
}

/// All reds of 16 bits, then all greens and all blues. As in Pillow, the upper 8 bits count.
fn palette(first: &Directory<'_>, n: usize) -> Result<Vec<[u8; 3]>, Problem> {
    let levels: Vec<u8> = first.numbers(PALETTE).iter().map(|level| (level >> 8) as u8).collect();
    match levels.len() == 3 * n {
        true => Ok((0..n).map(|i| [levels[i], levels[n + i], levels[2 * n + i]]).collect()),
        false => Err(damaged("its palette does not have a colour for each index")),
    }
}

/// The values of all rows, which begin at whole bytes; none if they are not bytes.
fn read(bytes: &[u8], limits: &Limits) -> TiffResult<Option<Vec<u8>>> {
    let mut decoder_limits = DecoderLimits::default();
    decoder_limits.decoding_buffer_size = usize::try_from(limits.max_decoded_bytes).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new(Cursor::new(bytes))?.with_limits(decoder_limits);
    Ok(match decoder.read_image()? {
        DecodingResult::U8(values) => Some(values),
        _ => None,
    })
}

/// Gives each value to `take` with the number of its pixel.
fn unpack(
    values: &[u8],
    bits: u32,
    (width, height): (usize, usize),
    mut take: impl FnMut(usize, usize),
) -> Result<(), Problem> {
    let row_bytes = (width * bits as usize).div_ceil(8);
    if values.len() < row_bytes * height {
        return Err(damaged("it has fewer pixels than its header says"));
    }
    let mask = ((1u32 << bits) - 1) as u8;
    for (y, row) in values.chunks_exact(row_bytes).take(height).enumerate() {
        for x in 0..width {
            let at = x * bits as usize;
            let shift = 8 - bits as usize - at % 8;
            take(y * width + x, usize::from(row[at / 8] >> shift & mask));
        }
    }
    Ok(())
}

fn problem_of(error: TiffError) -> Problem {
    match error {
        TiffError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => cut_short(),
        TiffError::UnsupportedError(what) => Problem::new(
            format!("this kind of tiff is not supported: {what}"),
            "convert it to jpeg or png first",
        ),
        other => damaged(&other.to_string()),
    }
}
