//! What the crate `image` does not do with TIFF files: recognising raw photos, and reading kinds that it refuses and Pillow
//! reads, one file each.
//!
//! Where the crate `tiff` can decompress the data but not say what they mean, it is given the same data with another
//! directory ([`Directory::rewritten`]): one plane as a grey image, indices as grey levels, blocks of YCbCr as bytes.

mod fax;
mod lzma;
mod parts;
mod planes;
mod samples;
mod ycbcr;
mod ycbcr_jpeg;

use memchr::memmem;

use super::directory::{Directory, Tagged};
use super::limits::Limits;
use super::picture::Picture;
use super::problem::{Problem, damaged};

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const MAKER: u16 = 271;
const ORIENTATION: u16 = 274;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_LENGTHS: u16 = 279;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const PALETTE: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_LENGTHS: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
const JPEG_TABLES: u16 = 347;
const DNG_VERSION: u16 = 50706;
/// What a decoder needs to know of an image. Directories that are rewritten keep no other tags.
const OF_PIXELS: [u16; 20] = [
    WIDTH,
    HEIGHT,
    BITS,
    COMPRESSION,
    PHOTOMETRIC,
    FILL_ORDER,
    STRIP_OFFSETS,
    SAMPLES,
    ROWS_PER_STRIP,
    STRIP_LENGTHS,
    PLANAR,
    PREDICTOR,
    PALETTE,
    TILE_WIDTH,
    TILE_HEIGHT,
    TILE_OFFSETS,
    TILE_LENGTHS,
    EXTRA_SAMPLES,
    SAMPLE_FORMAT,
    JPEG_TABLES,
];

/// Of the extra samples: an alpha by which the colours have been multiplied, and another one.
const ASSOCIATED: u64 = 1;
const UNASSOCIATED: u64 = 2;

const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
const INDICES: u64 = 3;
const CMYK: u64 = 5;
const YCBCR: u64 = 6;
/// The planar configuration in which each plane has one colour.
const APART: u64 = 2;
/// JPEG as in TIFF's technical note 2.
const JPEG: u64 = 7;
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
    let is_by = |name: &[u8]| memmem::find(&maker, name).is_some();
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

/// Whether colours are multiplied by alpha already.
pub(super) fn has_associated_alpha(bytes: &[u8]) -> bool {
    let first = Tagged::new(bytes).and_then(Tagged::first);
    first.is_some_and(|first| first.number(EXTRA_SAMPLES) == Some(ASSOCIATED))
}

/// The same image without compression, if it has one that the crates don't know.
pub(super) fn unpacked(bytes: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Problem> {
    let Some(first) = Tagged::new(bytes).and_then(Tagged::first) else {
        return Ok(None);
    };
    for unpack in [fax::unpacked, lzma::unpacked] {
        if let Some(unpacked) = unpack(&first, bytes, limits)? {
            return Ok(Some(unpacked));
        }
    }
    Ok(None)
}

/// The image, if it is of a kind that the crate `image` refuses; none if it is another one.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Option<Picture>, Problem> {
    let Some(first) = Tagged::new(bytes).and_then(Tagged::first) else {
        return Ok(None);
    };
    for decode in [ycbcr_jpeg::decode, ycbcr::decode, planes::decode, samples::decode] {
        if let Some(picture) = decode(&first, bytes, limits)? {
            return Ok(Some(picture));
        }
    }
    Ok(None)
}

/// The width and the height of an image; 0 if its directory doesn't say.
fn size(first: &Directory<'_>) -> (u64, u64) {
    let number = |tag| first.number(tag).and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
    (number(WIDTH).into(), number(HEIGHT).into())
}

/// The file with numbers changed in its directory, for the crate `tiff`.
fn changed(first: &Directory<'_>, bytes: &[u8], changes: &[(u16, Vec<u32>)]) -> Result<Vec<u8>, Problem> {
    let file = first.rewritten(bytes.to_vec(), &OF_PIXELS, changes);
    file.ok_or_else(|| damaged("its directory cannot be read"))
}

fn unsupported(what: &str) -> Problem {
    Problem::new(
        format!("this kind of tiff is not supported: {what}"),
        "convert it to jpeg or png first",
    )
}
