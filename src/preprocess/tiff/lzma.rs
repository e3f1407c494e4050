//! LZMA as libtiff writes it: each strip or tile is an xz stream, which the crate `xz4rust` reads.

use xz4rust::XzDecoder;

use super::super::directory::Directory;
use super::super::limits::{Limits, admit, check_size};
use super::super::problem::{Problem, cut_short, damaged};
use super::parts::{self, Parts, Unpacked};
use super::{APART, BITS, COMPRESSION, PHOTOMETRIC, PLANAR, SAMPLES, YCBCR, size, ycbcr};
use crate::kernels::zeroes;

const LZMA: u64 = 34925;

/// The largest dictionary of `xz -9`; libtiff writes one of 8 MiB.
const DICTIONARY_MAX_BYTES: usize = 64 << 20;

/// The same image without compression, if it has this one.
pub(super) fn unpacked(first: &Directory<'_>, bytes: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Problem> {
    if first.number(COMPRESSION) != Some(LZMA) {
        return Ok(None);
    }
    let (width, height) = size(first);
    let n_samples = first.number(SAMPLES).unwrap_or(1);
    let bits = first.number(BITS).unwrap_or(1);
    let (n_planes, n_in_plane) = match first.number(PLANAR) {
        Some(APART) => (n_samples, 1),
        _ => (1, n_samples),
    };
    let blocks = match first.number(PHOTOMETRIC) {
        Some(YCBCR) if n_planes == 1 => Some(ycbcr::subsampling(first)?),
        _ => None,
    };
    let decoded_bytes = |width: u64, height: u64, n_samples: u64| {
        if let Some((across, down)) = blocks.map(|(across, down)| (across as u64, down as u64)) {
            let n_blocks = width.div_ceil(across).saturating_mul(height.div_ceil(down));
            return n_blocks.saturating_mul(across * down + 2);
        }
        let row_bits = width.saturating_mul(n_samples).saturating_mul(bits);
        row_bits.div_ceil(8).saturating_mul(height)
    };
    let all_bytes = decoded_bytes(width, height, n_samples);
    check_size(width, height, all_bytes, limits)?;
    let parts = Parts::of_planes(first, (width as usize, height as usize), n_planes as usize)?;
    let (part_width, part_height) = (parts.width as u64, parts.height as u64);
    let part_bytes = decoded_bytes(part_width, part_height, n_in_plane);
    check_size(part_width, part_height, part_bytes, limits)?;
    admit(
        all_bytes
            .saturating_add(part_bytes)
            .saturating_add(DICTIONARY_MAX_BYTES as u64),
    )?;

    let mut decoder = XzDecoder::in_heap_with_alloc_dict_size(0, DICTIONARY_MAX_BYTES);
    let mut unpacked = Unpacked::new(first, &parts);
    for (i, span) in parts.spans.iter().enumerate() {
        let n_rows = parts.n_rows(i, height as usize) as u64;
        let mut rows: Vec<u8> = zeroes(decoded_bytes(part_width, n_rows, n_in_plane) as usize)?;
        decoder.reset();
        fill(&mut rows, &mut decoder, parts::data(bytes, *span)?)?;
        unpacked.add(&rows)?;
    }
    Ok(unpacked.file())
}

fn fill(mut rows: &mut [u8], decoder: &mut XzDecoder<'_>, mut data: &[u8]) -> Result<(), Problem> {
    while !rows.is_empty() {
        let step = decoder
            .decode(data, rows)
            .map_err(|error| damaged(&format!("its LZMA data are wrong: {error}")))?;
        data = &data[step.input_consumed()..];
        rows = &mut rows[step.output_produced()..];
        if !rows.is_empty() && (step.is_end_of_stream() || !step.made_progress()) {
            return Err(cut_short());
        }
    }
    Ok(())
}
