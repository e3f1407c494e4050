//! TIFF images whose strips or tiles are JPEG with YCbCr colours.

use super::super::directory::Directory;
use super::super::jpeg;
use super::super::limits::{Limits, admit, check_size};
use super::super::picture::{Mode, Picture};
use super::super::problem::{Problem, damaged};
use super::parts::{self, Parts};
use super::{COMPRESSION, JPEG, JPEG_TABLES, PHOTOMETRIC, PLANAR, SAMPLES, YCBCR, size};
use crate::kernels::zeroes;

/// The image, if it is one of these.
pub(super) fn decode(first: &Directory<'_>, bytes: &[u8], limits: &Limits) -> Result<Option<Picture>, Problem> {
    let is_one = first.number(COMPRESSION) == Some(JPEG)
        && first.number(PHOTOMETRIC) == Some(YCBCR)
        && first.number(SAMPLES) == Some(3)
        && first.number(PLANAR).unwrap_or(1) == 1;
    if !is_one {
        return Ok(None);
    }
    let (width, height) = size(first);
    let decoded_bytes = width.saturating_mul(height).saturating_mul(3);
    check_size(width, height, decoded_bytes, limits)?;
    // A part can be as large as the image, and takes twice as much while it is decoded.
    admit(decoded_bytes.saturating_mul(4))?;
    let (width, height) = (width as usize, height as usize);
    let mut out = zeroes(width * height * 3)?;
    let parts = Parts::of(first, width, height)?;
    let tables = first.bytes(JPEG_TABLES).unwrap_or_default();
    for (i, span) in parts.spans.iter().enumerate() {
        let data = parts::data(bytes, *span)?;
        let part = jpeg::decode_part(&joined(tables, data), limits)?;
        paste(&parts, i, &part, (&mut out, width));
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

/// Copies what of a part is inside the image, which has rows of this width.
fn paste(parts: &Parts, i: usize, part: &Picture, (out, width): (&mut [u8], usize)) {
    let (left, top) = parts.begin(i);
    let columns = part.width_px().min(parts.width).min(width - left) * 3;
    let rows = out.chunks_exact_mut(width * 3).skip(top).take(parts.height);
    for (row, from) in rows.zip(part.bytes().chunks_exact(part.width_px() * 3)) {
        row[left * 3..][..columns].copy_from_slice(&from[..columns]);
    }
}
