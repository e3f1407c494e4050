//! TIFF images with YCbCr colours that are not JPEG. They are stored in blocks, each the luma of some pixels and one chroma for
//! all of them (TIFF 6.0, section 21). The crate `tiff` is given these blocks as the bytes of a grey image.
//!
//! Colours are computed as libtiff's `TIFFYCbCrToRGBInit` does: chroma is repeated.

use std::array;

use ::tiff::decoder::DecodingResult;

use super::super::directory::Directory;
use super::super::limits::{Limits, admit, check_size};
use super::super::picture::{Mode, Picture};
use super::super::problem::{Problem, damaged};
use super::parts::Parts;
use super::{
    BITS, BLACK_IS_ZERO, COMPRESSION, HEIGHT, JPEG, PHOTOMETRIC, PLANAR, PREDICTOR, ROWS_PER_STRIP, SAMPLES,
    TILE_HEIGHT, TILE_WIDTH, WIDTH, YCBCR, changed, samples, size, unsupported,
};
use crate::kernels::zeroes;

const OLD_JPEG: u64 = 6;
const COEFFICIENTS: u16 = 529;
const SUBSAMPLING: u16 = 530;
const REFERENCE_LEVELS: u16 = 532;
/// As large as a sample's block and its padding can be in comparison to the image.
const STORED_PER_IMAGE_MAX: u64 = 8;

/// The image, if it is one of these.
pub(super) fn decode(first: &Directory<'_>, bytes: &[u8], limits: &Limits) -> Result<Option<Picture>, Problem> {
    let compression = first.number(COMPRESSION);
    if first.number(PHOTOMETRIC) != Some(YCBCR) || matches!(compression, Some(JPEG | OLD_JPEG)) {
        return Ok(None);
    }
    let (across, down) = subsampling(first)?;
    let (width, height) = size(first);
    let decoded_bytes = width.saturating_mul(height).saturating_mul(3);
    check_size(width, height, decoded_bytes, limits)?;
    let parts = Parts::of(first, width as usize, height as usize)?;
    let blocks = Blocks::of(&parts, (across, down), height as usize);
    let stored_bytes = (blocks.row_bytes as u64).saturating_mul(blocks.n_rows as u64);
    if stored_bytes > decoded_bytes.saturating_mul(STORED_PER_IMAGE_MAX) + (1 << 20) {
        return Err(damaged("its tiles are far larger than the image"));
    }
    admit(decoded_bytes + stored_bytes + bytes.len() as u64)?;

    let number = |n: usize| vec![u32::try_from(n).unwrap_or(u32::MAX)];
    let mut changes = vec![
        (PHOTOMETRIC, vec![BLACK_IS_ZERO as u32]),
        (SAMPLES, vec![1]),
        (BITS, vec![8]),
        (WIDTH, number(blocks.row_bytes)),
        (HEIGHT, number(blocks.n_rows)),
    ];
    changes.extend(match parts.are_tiles {
        true => vec![
            (TILE_WIDTH, number(blocks.part_bytes)),
            (TILE_HEIGHT, number(blocks.part_rows)),
        ],
        false => vec![(ROWS_PER_STRIP, number(blocks.part_rows))],
    });
    let DecodingResult::U8(stored) = samples::read(&changed(first, bytes, &changes)?, limits)? else {
        return Err(damaged("its samples are not bytes"));
    };
    let colours = Colours::of(first);
    let mut out: Vec<u8> = zeroes(decoded_bytes as usize)?;
    for (y, row) in out.chunks_exact_mut(3 * width as usize).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            pixel.copy_from_slice(&colours.rgb(blocks.samples(&stored, x, y)));
        }
    }
    let picture = Picture::new(Mode::Rgb, width as usize, height as usize, out);
    picture.map(Some).map_err(|_| damaged("it holds no pixels"))
}

/// How many pixels share chroma, across and down.
pub(super) fn subsampling(first: &Directory<'_>) -> Result<(usize, usize), Problem> {
    let is_plain = first.number(SAMPLES) == Some(3)
        && first.number(BITS) == Some(8)
        && first.number(PLANAR).unwrap_or(1) == 1
        && first.number(PREDICTOR).unwrap_or(1) == 1;
    let of_tag = first.numbers(SUBSAMPLING);
    match (is_plain, of_tag.as_slice()) {
        (true, []) => Ok((2, 2)),
        (true, &[across @ (1 | 2 | 4), down @ (1 | 2 | 4)]) => Ok((across as usize, down as usize)),
        _ => Err(unsupported("colours as YCbCr of this kind")),
    }
}

/// Where blocks are in the stored bytes, whose rows are those of blocks.
struct Blocks {
    /// Pixels of a block and of a part, across and down.
    block: (usize, usize),
    part: (usize, usize),
    part_bytes: usize,
    part_rows: usize,
    row_bytes: usize,
    n_rows: usize,
}

impl Blocks {
    fn of(parts: &Parts, block: (usize, usize), height: usize) -> Self {
        let (across, down) = block;
        let part_bytes = parts.width.div_ceil(across).saturating_mul(across * down + 2);
        let part_rows = parts.height.div_ceil(down);
        let n_down = height.div_ceil(parts.height);
        let last_rows = match parts.are_tiles {
            true => part_rows,
            false => (height - (n_down - 1) * parts.height).div_ceil(down),
        };
        Blocks {
            block,
            part: (parts.width, parts.height),
            part_bytes,
            part_rows,
            row_bytes: part_bytes.saturating_mul(parts.n_across),
            n_rows: part_rows.saturating_mul(n_down - 1).saturating_add(last_rows),
        }
    }

    /// Luma, Cb and Cr of a pixel of the image.
    fn samples(&self, stored: &[u8], x: usize, y: usize) -> [usize; 3] {
        let (across, down) = self.block;
        let (in_x, in_y) = (x % self.part.0, y % self.part.1);
        let row = y / self.part.1 * self.part_rows + in_y / down;
        let block = x / self.part.0 * self.part_bytes + in_x / across * (across * down + 2);
        let block = &stored[row * self.row_bytes + block..][..across * down + 2];
        let luma = in_y % down * across + in_x % across;
        [luma, across * down, across * down + 1].map(|i| usize::from(block[i]))
    }
}

/// libtiff's tables, with 16 bits after the point in those of green.
struct Colours {
    luma: [i32; 256],
    r_cr: [i32; 256],
    b_cb: [i32; 256],
    g_cr: [i32; 256],
    g_cb: [i32; 256],
}

impl Colours {
    fn of(first: &Directory<'_>) -> Self {
        const HALF: i32 = 1 << 15;
        let [red, green, blue] = first.ratios(COEFFICIENTS).try_into().unwrap_or([0.299, 0.587, 0.114]);
        let levels: [f32; 6] = first
            .ratios(REFERENCE_LEVELS)
            .try_into()
            .unwrap_or([0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
        let fixed = |factor: f32| (f64::from(factor.clamp(0.0, 2.0)) * 65536.0 + 0.5) as i32;
        let (to_red, to_blue) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
        let green_of_cr = -fixed(red * to_red / green);
        let green_of_cb = -fixed(blue * to_blue / green);
        let scaled = |code: i32, black: f32, white: f32, range: f32| {
            let span = if white == black { 1.0 } else { white - black };
            ((code - black as i32) as f32 * range / span).clamp(-4096.0, 4096.0) as i32
        };
        let cb = |i: usize| scaled(i as i32 - 128, levels[2] - 128.0, levels[3] - 128.0, 127.0);
        let cr = |i: usize| scaled(i as i32 - 128, levels[4] - 128.0, levels[5] - 128.0, 127.0);
        Colours {
            luma: array::from_fn(|i| scaled(i as i32, levels[0], levels[1], 255.0)),
            r_cr: array::from_fn(|i| (fixed(to_red) * cr(i) + HALF) >> 16),
            b_cb: array::from_fn(|i| (fixed(to_blue) * cb(i) + HALF) >> 16),
            g_cr: array::from_fn(|i| green_of_cr * cr(i)),
            g_cb: array::from_fn(|i| green_of_cb * cb(i) + HALF),
        }
    }

    fn rgb(&self, [luma, cb, cr]: [usize; 3]) -> [u8; 3] {
        let luma = self.luma[luma];
        let colours = [
            luma + self.r_cr[cr],
            luma + ((self.g_cb[cb] + self.g_cr[cr]) >> 16),
            luma + self.b_cb[cb],
        ];
        colours.map(|level| level.clamp(0, 255) as u8)
    }
}
