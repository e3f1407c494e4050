//! The parts in which a TIFF file stores an image.

use super::super::directory::Directory;
use super::super::problem::{Problem, cut_short, damaged};
use super::{ROWS_PER_STRIP, STRIP_LENGTHS, STRIP_OFFSETS, TILE_HEIGHT, TILE_LENGTHS, TILE_OFFSETS, TILE_WIDTH};

/// The parts of an image in one plane: strips of rows, or tiles.
pub(super) struct Parts {
    /// Offset and length of each.
    pub(super) spans: Vec<(u64, u64)>,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) n_across: usize,
    pub(super) are_tiles: bool,
}

impl Parts {
    pub(super) fn of(directory: &Directory<'_>, width: usize, height: usize) -> Result<Self, Problem> {
        let size = |tag| {
            directory
                .number(tag)
                .and_then(|size| usize::try_from(size).ok())
                .filter(|size| *size > 0)
        };
        let tile_width = size(TILE_WIDTH);
        let (part_width, part_height, offsets, lengths) = match tile_width {
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
            are_tiles: tile_width.is_some(),
        })
    }

    /// The column and the row of the image where a part begins.
    pub(super) fn begin(&self, i: usize) -> (usize, usize) {
        (i % self.n_across * self.width, i / self.n_across * self.height)
    }
}

/// The data of a part, or as much of them as there is.
pub(super) fn data(bytes: &[u8], (offset, length): (u64, u64)) -> Result<&[u8], Problem> {
    let begin = usize::try_from(offset).map_err(|_| cut_short())?;
    let rest = bytes.get(begin..).ok_or_else(cut_short)?;
    Ok(rest
        .get(..usize::try_from(length).unwrap_or(usize::MAX))
        .unwrap_or(rest))
}
