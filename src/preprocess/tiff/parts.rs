//! The parts in which a TIFF file stores an image.

use super::super::directory::Directory;
use super::super::problem::{Problem, cut_short, damaged};
use super::{
    COMPRESSION, FILL_ORDER, OF_PIXELS, ROWS_PER_STRIP, STRIP_LENGTHS, STRIP_OFFSETS, TILE_HEIGHT, TILE_LENGTHS,
    TILE_OFFSETS, TILE_WIDTH,
};

const NO_COMPRESSION: u32 = 1;

/// The parts of an image: strips of rows, or tiles.
pub(super) struct Parts {
    /// Offset and length of each, one plane after the other.
    pub(super) spans: Vec<(u64, u64)>,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) n_across: usize,
    pub(super) are_tiles: bool,
}

impl Parts {
    /// Those of the first plane.
    pub(super) fn of(directory: &Directory<'_>, width: usize, height: usize) -> Result<Self, Problem> {
        Self::of_planes(directory, (width, height), 1)
    }

    pub(super) fn of_planes(
        directory: &Directory<'_>,
        (width, height): (usize, usize),
        n_planes: usize,
    ) -> Result<Self, Problem> {
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
        let n = (n_across * height.div_ceil(part_height)).saturating_mul(n_planes);
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

    /// The rows that are stored of a part; the last strip of a plane has only those of the image.
    pub(super) fn n_rows(&self, i: usize, image_height: usize) -> usize {
        if self.are_tiles {
            return self.height;
        }
        let n_strips = image_height.div_ceil(self.height);
        let (_, top) = self.begin(i % n_strips);
        self.height.min(image_height - top)
    }
}

/// A file with the same image, whose parts are not compressed.
pub(super) struct Unpacked<'a> {
    first: &'a Directory<'a>,
    are_tiles: bool,
    file: Vec<u8>,
    offsets: Vec<u32>,
    lengths: Vec<u32>,
}

impl<'a> Unpacked<'a> {
    pub(super) fn new(first: &'a Directory<'a>, parts: &Parts) -> Self {
        Unpacked {
            first,
            are_tiles: parts.are_tiles,
            file: first.header(),
            offsets: Vec::new(),
            lengths: Vec::new(),
        }
    }

    /// Adds the next part.
    pub(super) fn add(&mut self, rows: &[u8]) -> Result<(), Problem> {
        let at = u32::try_from(self.file.len()).map_err(|_| damaged("it has too many pixels for a TIFF file"))?;
        self.offsets.push(at);
        self.lengths.push(rows.len() as u32);
        self.file.extend(rows);
        Ok(())
    }

    /// The file, once all parts are in it.
    pub(super) fn file(self) -> Option<Vec<u8>> {
        let (offsets, lengths) = match self.are_tiles {
            true => (TILE_OFFSETS, TILE_LENGTHS),
            false => (STRIP_OFFSETS, STRIP_LENGTHS),
        };
        let changes = [
            (COMPRESSION, vec![NO_COMPRESSION]),
            (FILL_ORDER, Vec::new()),
            (offsets, self.offsets),
            (lengths, self.lengths),
        ];
        self.first.rewritten(self.file, &OF_PIXELS, &changes)
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
