//! TIFF images with samples that the `image` crate refuses: palettes, grey of 2, 4 or 32 bits, signed grey, grey with alpha, grey
//! floats, and half floats.

use std::borrow::Cow;
use std::io::Cursor;

use ::tiff::decoder::{Decoder, DecodingResult, Limits as DecoderLimits};
use ::tiff::{TiffError, TiffResult};

use super::super::decode::encode_light;
use super::super::directory::Directory;
use super::super::limits::{Limits, admit, check_size};
use super::super::picture::{Mode, Picture};
use super::super::problem::{Problem, cut_short, damaged};
use super::{
    APART, ASSOCIATED, BITS, BLACK_IS_ZERO, EXTRA_SAMPLES, INDICES, PALETTE, PHOTOMETRIC, PLANAR, RGB, SAMPLE_FORMAT,
    SAMPLES, UNASSOCIATED, WHITE_IS_ZERO, changed, size, unsupported,
};
use crate::kernels::zeroes;

const WHOLE: u64 = 1;
const SIGNED: u64 = 2;
const FLOATS: u64 = 3;

/// What the samples of a pixel mean.
enum Samples {
    /// The level of each value.
    Grey(Vec<u8>),
    /// The colour of each index.
    Indices(Vec<[u8; 3]>),
    GreyAlpha,
    /// Levels of 32 bits, signed ones, or floats.
    Deep(Mode),
}

/// The image, if it is one of these.
pub(super) fn decode(first: &Directory<'_>, bytes: &[u8], limits: &Limits) -> Result<Option<Picture>, Problem> {
    let bits = first.number(BITS).unwrap_or(1) as u32;
    let Some(samples) = Samples::of(first, bits)? else {
        return Ok(None);
    };
    let (width, height) = size(first);
    let mode = match &samples {
        Samples::Grey(_) => Mode::Grey,
        Samples::Indices(_) => Mode::Rgb,
        Samples::GreyAlpha => Mode::GreyAlpha,
        Samples::Deep(mode) => *mode,
    };
    let stored_bytes = u64::from(bits.div_ceil(8)) * mode.channels() as u64;
    let decoded_bytes = width.saturating_mul(height).saturating_mul(stored_bytes);
    check_size(width, height, decoded_bytes, limits)?;
    admit(decoded_bytes.saturating_mul(2).saturating_add(bytes.len() as u64))?;

    let as_read = match samples {
        // The decoder refuses palettes by their name, and would invert floats.
        Samples::Grey(_) | Samples::Indices(_) | Samples::Deep(Mode::Grey) => {
            Cow::Owned(changed(first, bytes, &[(PHOTOMETRIC, vec![BLACK_IS_ZERO as u32])])?)
        }
        Samples::GreyAlpha | Samples::Deep(_) => Cow::Borrowed(bytes),
    };
    let values = read(&as_read, limits)?;
    let (width, height) = (width as usize, height as usize);
    let out = match (samples, values) {
        (Samples::GreyAlpha, DecodingResult::U8(values)) => values,
        (Samples::Grey(levels), DecodingResult::U8(values)) => {
            let mut out: Vec<u8> = zeroes(width * height)?;
            unpack(&values, bits, (width, height), |i, value| out[i] = levels[value])?;
            out
        }
        (Samples::Indices(colours), DecodingResult::U8(values)) => {
            let mut out: Vec<u8> = zeroes(width * height * 3)?;
            unpack(&values, bits, (width, height), |i, value| {
                out[i * 3..][..3].copy_from_slice(&colours[value]);
            })?;
            out
        }
        (Samples::Deep(_), DecodingResult::U32(values)) => of_whole(values.iter().copied()),
        (Samples::Deep(_), DecodingResult::I16(values)) => of_whole(values.iter().map(|value| (*value).max(0) as u32)),
        (Samples::Deep(_), DecodingResult::I32(values)) => of_whole(values.iter().map(|value| (*value).max(0) as u32)),
        (Samples::Deep(mode), DecodingResult::F16(values)) => {
            of_floats(values.iter().map(|value| value.to_f32()), mode)
        }
        (Samples::Deep(mode), DecodingResult::F32(values)) => of_floats(values.iter().copied(), mode),
        (Samples::Deep(mode), DecodingResult::F64(values)) => of_floats(values.iter().map(|value| *value as f32), mode),
        _ => return Err(damaged("its samples have a wrong type")),
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
        let format = first.number(SAMPLE_FORMAT).unwrap_or(WHOLE);
        let has_alpha = matches!(first.number(EXTRA_SAMPLES), Some(ASSOCIATED | UNASSOCIATED));
        let is_in_one_plane = first.number(PLANAR) != Some(APART);
        let photometric = first.number(PHOTOMETRIC);
        Ok(Some(match (photometric, n_samples, bits, format) {
            (Some(INDICES), 1, 1 | 2 | 4 | 8, _) => Samples::Indices(palette(first, 1 << bits)?),
            (Some(kind @ (WHITE_IS_ZERO | BLACK_IS_ZERO)), 1, 2 | 4, _) => {
                let largest = (1u16 << bits) - 1;
                let levels = (0..=largest).map(|value| (255 * value / largest) as u8);
                Samples::Grey(match kind {
                    WHITE_IS_ZERO => levels.rev().collect(),
                    _ => levels.collect(),
                })
            }
            (Some(BLACK_IS_ZERO), 2, 8, _) if has_alpha && is_in_one_plane => Samples::GreyAlpha,
            (Some(BLACK_IS_ZERO), 1, 32, WHOLE) | (Some(BLACK_IS_ZERO), 1, 16 | 32, SIGNED) => {
                Samples::Deep(Mode::Grey)
            }
            (Some(WHITE_IS_ZERO | BLACK_IS_ZERO), 1, 16 | 32 | 64, FLOATS) => Samples::Deep(Mode::Grey),
            (Some(RGB), 3, 16 | 64, FLOATS) if is_in_one_plane => Samples::Deep(Mode::Rgb),
            _ => return Ok(None),
        }))
    }
}

/// Levels that fit into 8 bits are these, as in Pillow. Others are scaled from the fewer of 16 and 32 bits that hold them.
fn of_whole(values: impl Iterator<Item = u32> + Clone) -> Vec<u8> {
    let largest = values.clone().max().unwrap_or(0);
    let level = |value: u32| match largest {
        0..=0xff => value as u8,
        0x100..=0xffff => upper_byte(value as u16),
        _ => (value >> 24) as u8,
    };
    values.map(level).collect()
}

/// Grey that exceeds 1 is from 0 to 255, as in Pillow, and its fraction is cut off. Otherwise, and in colours, 1 is white, and
/// values are linear light.
fn of_floats(values: impl Iterator<Item = f32> + Clone, mode: Mode) -> Vec<u8> {
    let are_levels = mode == Mode::Grey && values.clone().any(|value| value > 1.0);
    let level = |value: f32| if are_levels { value as u8 } else { encode_light(value) };
    values.map(level).collect()
}

/// As the crate `image` makes 8 bits of 16.
pub(super) fn upper_byte(level: u16) -> u8 {
    ((u32::from(level) + 128) / 257) as u8
}

/// All reds of 16 bits, then all greens and all blues. As in Pillow, the upper 8 bits count.
fn palette(first: &Directory<'_>, n: usize) -> Result<Vec<[u8; 3]>, Problem> {
    let levels: Vec<u8> = first.numbers(PALETTE).iter().map(|level| (level >> 8) as u8).collect();
    match levels.len() == 3 * n {
        true => Ok((0..n).map(|i| [levels[i], levels[n + i], levels[2 * n + i]]).collect()),
        false => Err(damaged("its palette does not have a colour for each index")),
    }
}

/// The samples of all rows, which begin at whole bytes.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<DecodingResult, Problem> {
    let read = || -> TiffResult<DecodingResult> {
        let mut decoder_limits = DecoderLimits::default();
        decoder_limits.decoding_buffer_size = usize::try_from(limits.max_decoded_bytes).unwrap_or(usize::MAX);
        let mut decoder = Decoder::new(Cursor::new(bytes))?.with_limits(decoder_limits);
        decoder.read_image()
    };
    read().map_err(problem_of)
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
        TiffError::UnsupportedError(what) => unsupported(&what.to_string()),
        other => damaged(&other.to_string()),
    }
}
