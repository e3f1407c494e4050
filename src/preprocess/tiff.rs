//! What the decoder of TIFF files does not do: recognising raw photos, and JPEG inside TIFF with colours as YCbCr.

use super::directory::{Directory, Tagged};
use super::jpeg;
use super::limits::{Limits, admit, check_size};
use super::picture::{Mode, Picture};
use super::problem::{Problem, cut_short, damaged};
use crate::kernels::zeroes;

pub(super) const WIDTH: u16 = 256;
pub(super) const HEIGHT: u16 = 257;
const COMPRESSION: u16 = 259;
pub(super) const PHOTOMETRIC: u16 = 262;
const MAKER: u16 = 271;
const ORIENTATION: u16 = 274;
const STRIP_OFFSETS: u16 = 273;
pub(super) const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_LENGTHS: u16 = 279;
pub(super) const PLANAR: u16 = 284;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
pub(super) const EXTRA_SAMPLES: u16 = 338;
const JPEG_TABLES: u16 = 347;
const DNG_VERSION: u16 = 50706;

/// Of the extra samples: an alpha by which the colours have been multiplied.
pub(super) const ASSOCIATED: u64 = 1;

/// JPEG as in TIFF's technical note 2.
const JPEG: u64 = 7;
const YCBCR: u64 = 6;
/// A sensor's mosaic, and one that is interpolated (DNG specification).
const CFA: u64 = 32803;
const LINEAR_RAW: u64 = 34892;
/// Compressions of Nikon, Sony, Samsung and Pentax, and their uncompressed packings.
const RAW_COMPRESSIONS: [u64; 6] = [32767, 32769, 32770, 34713, 65000, 65535];

/// What a raw photo is called, if these bytes are one. Its first directory often holds a thumbnail only, which looks like
/// an ordinary image.
pub(super) fn raw_photo(bytes: &[u8]) -> Option<&'static str> {
    let file = Tagged::new(bytes)?;
    if bytes.get(8..10) == Some(b"CR") {
        return Some("a Canon raw photo (CR2)");
    }
    let all = file.all();
    if all.iter().any(|directory| directory.has(DNG_VERSION)) {
        return Some("a raw photo (DNG)");
    }
    let holds_raw = |directory: &Directory<'_>| {
        let number = |tag| directory.number(tag);
        matches!(number(PHOTOMETRIC), Some(CFA | LINEAR_RAW))
            || number(COMPRESSION).is_some_and(|compression| RAW_COMPRESSIONS.contains(&compression))
    };
    if !all.iter().any(holds_raw) {
        return None;
    }
    let maker = file.first()?.bytes(MAKER).unwrap_or_default().to_ascii_uppercase();
    let is_by = |name: &[u8]| maker.windows(name.len()).any(|window| window == name);
    Some(match () {
        () if is_by(b"NIKON") => "a Nikon raw photo (NEF)",
        () if is_by(b"SONY") => "a Sony raw photo (ARW)",
        () if is_by(b"PENTAX") => "a Pentax raw photo (PEF)",
        () if is_by(b"SAMSUNG") => "a Samsung raw photo (SRW)",
        () => "a raw photo of a camera",
    })
}

/// Where a sensor's data begin.
pub(super) fn sensor_data(bytes: &[u8]) -> Vec<u64> {
    let all = Tagged::new(bytes).map(Tagged::all).unwrap_or_default();
    let of_sensor = all
        .iter()
        .filter(|directory| matches!(directory.number(PHOTOMETRIC), Some(CFA | LINEAR_RAW)));
    let offsets = |directory: &Directory<'_>| [STRIP_OFFSETS, TILE_OFFSETS].map(|tag| directory.numbers(tag)).concat();
    of_sensor.flat_map(offsets).collect()
}

/// The orientation in the first directory.
pub(super) fn orientation(file: Tagged<'_>) -> Option<u8> {
    let value = file.first()?.number(ORIENTATION)?;
    u8::try_from(value).ok()
}

/// Whether tiles hold one colour each. The decoder panics on them.
pub(super) fn has_planar_tiles(bytes: &[u8]) -> bool {
    const APART: u64 = 2;
    let first = Tagged::new(bytes).and_then(Tagged::first);
    first.is_some_and(|first| {
        let has_several = first.number(SAMPLES).is_some_and(|samples| samples > 1);
        has_several && first.number(PLANAR) == Some(APART) && first.has(TILE_WIDTH)
    })
}

/// Whether colours are multiplied by alpha already.
pub(super) fn has_associated_alpha(bytes: &[u8]) -> bool {
    let first = Tagged::new(bytes).and_then(Tagged::first);
    first.is_some_and(|first| first.number(EXTRA_SAMPLES) == Some(ASSOCIATED))
}

/// An image whose parts are JPEG with YCbCr colours; none if this is another kind of TIFF.
pub(super) fn ycbcr_jpeg(bytes: &[u8], limits: &Limits) -> Result<Option<Picture>, Problem> {
    let Some(first) = Tagged::new(bytes).and_then(Tagged::first) else {
        return Ok(None);
    };
    let is_one = first.number(COMPRESSION) == Some(JPEG)
        && first.number(PHOTOMETRIC) == Some(YCBCR)
        && first.number(SAMPLES) == Some(3)
        && first.number(PLANAR).unwrap_or(1) == 1;
    if !is_one {
        return Ok(None);
    }
    let size = |tag| first.number(tag).and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
    let (width, height) = (u64::from(size(WIDTH)), u64::from(size(HEIGHT)));
    let decoded_bytes = width.saturating_mul(height).saturating_mul(3);
    check_size(width, height, decoded_bytes, limits)?;
    // A part can be as large as the image, and takes twice as much while it is decoded.
    admit(decoded_bytes.saturating_mul(4))?;
    let (width, height) = (width as usize, height as usize);
    let mut out = zeroes(width * height * 3)?;
    let parts = Parts::of(&first, width, height)?;
    let tables = first.bytes(JPEG_TABLES).unwrap_or_default();
    for (i, (offset, length)) in parts.spans.iter().enumerate() {
        let begin = usize::try_from(*offset).map_err(|_| cut_short())?;
        let data = bytes.get(begin..).ok_or_else(cut_short)?;
        let data = data
            .get(..usize::try_from(*length).unwrap_or(usize::MAX))
            .unwrap_or(data);
        let part = jpeg::decode_part(&joined(tables, data), limits)?;
        parts.paste(i, &part, &mut out, width);
    }
    Picture::new(Mode::Rgb, width, height, out)
        .map(Some)
        .map_err(|_| damaged("it holds no pixels"))
}

/// A whole JPEG: tables without their end, then the part without its start.
fn joined(tables: &[u8], data: &[u8]) -> Vec<u8> {
    const START: &[u8] = b"\xff\xd8";
    const END: &[u8] = b"\xff\xd9";
    let tables = tables.strip_suffix(END).unwrap_or(tables);
    let tables = tables.strip_prefix(START).unwrap_or(tables);
    [START, tables, data.strip_prefix(START).unwrap_or(data)].concat()
}

/// The parts of an image: strips of rows, or tiles.
struct Parts {
    /// Offset and length of each.
    spans: Vec<(u64, u64)>,
    width: usize,
    height: usize,
    n_across: usize,
}

impl Parts {
    fn of(directory: &Directory<'_>, width: usize, height: usize) -> Result<Self, Problem> {
        let size = |tag| {
            directory
                .number(tag)
                .and_then(|size| usize::try_from(size).ok())
                .filter(|size| *size > 0)
        };
        let (part_width, part_height, offsets, lengths) = match size(TILE_WIDTH) {
            Some(across) => (across, size(TILE_HEIGHT).unwrap_or(across), TILE_OFFSETS, TILE_LENGTHS),
            None => (
                width,
                size(ROWS_PER_STRIP).unwrap_or(height).min(height),
                STRIP_OFFSETS,
                STRIP_LENGTHS,
            ),
        };
        let n_across = width.div_ceil(part_width);
        let n = n_across * height.div_ceil(part_height);
        let (offsets, lengths) = (directory.numbers(offsets), directory.numbers(lengths));
        let spans: Vec<(u64, u64)> = offsets.into_iter().zip(lengths).take(n).collect();
        if spans.len() < n {
            return Err(damaged("it has fewer strips or tiles than its size needs"));
        }
        Ok(Parts {
            spans,
            width: part_width,
            height: part_height,
            n_across,
        })
    }

    /// Copies what of a part is inside the image.
    fn paste(&self, i: usize, part: &Picture, out: &mut [u8], width: usize) {
        let (left, top) = (i % self.n_across * self.width, i / self.n_across * self.height);
        let columns = part.width_px().min(self.width).min(width - left) * 3;
        let rows = out.chunks_exact_mut(width * 3).skip(top).take(self.height);
        for (row, from) in rows.zip(part.bytes().chunks_exact(part.width_px() * 3)) {
            row[left * 3..][..columns].copy_from_slice(&from[..columns]);
        }
    }
}
