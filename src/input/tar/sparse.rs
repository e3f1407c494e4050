//! Sparse files: a map says which parts of the content are stored; the others are zeros.
//!
//! The formats are in GNU tar's manual, "Storing Sparse Files".

use std::io::{self, Read};

use super::damage;
use super::header::{BLOCK, Block, Header, decimal, number};

/// In the header and in each block that continues its map: an offset and a length of 12 bytes each.
const ENTRY_BYTES: usize = 24;
const MAP_AT: usize = 386;
const HAS_MORE_AT: usize = 482;
const HAS_MORE_AT_IN_BLOCK: usize = 504;

/// The stored parts of a file, in order.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
    /// Offset and length in the content.
    parts: Vec<(u64, u64)>,
    size: u64,
}

impl Segments {
    /// Takes offsets and lengths in turn. They must be in order and within the content.
    pub(super) fn new(map: &[u64], size: u64) -> io::Result<Segments> {
        let wrong = || damage("it is damaged: the map of a sparse file makes no sense");
        let mut parts = Vec::new();
        let mut end = 0;
        for part in map.chunks(2) {
            let &[offset, length] = part else { return Err(wrong()) };
            if offset < end {
                return Err(wrong());
            }
            end = offset
                .checked_add(length)
                .filter(|end| *end <= size)
                .ok_or_else(wrong)?;
            parts.push((offset, length));
        }
        Ok(Segments { parts, size })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes are stored.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.parts.iter().map(|(_, length)| length).sum()
    }

    /// The whole content: `stored` parts, and zeros between them.
    pub(super) fn filled<R: Read>(&self, stored: R) -> Filled<'_, R> {
        Filled {
            segments: self,
            stored,
            part: 0,
            at: 0,
        }
    }
}

/// The map of GNU's old format, in the header and in blocks after it.
pub(super) fn of_gnu(header: Header<'_>, mut next: impl FnMut() -> io::Result<Block>) -> io::Result<Segments> {
    let mut map = Vec::new();
    add_entries(&header.0[MAP_AT..HAS_MORE_AT], &mut map)?;
    let mut has_more = header.0[HAS_MORE_AT] != 0;
    while has_more {
        let block = next()?;
        add_entries(&block[..HAS_MORE_AT_IN_BLOCK], &mut map)?;
        has_more = block[HAS_MORE_AT_IN_BLOCK] != 0;
        check_length(&map)?;
    }
    Segments::new(&map, header.real_size()?)
}

fn add_entries(bytes: &[u8], map: &mut Vec<u64>) -> io::Result<()> {
    for entry in bytes.chunks_exact(ENTRY_BYTES) {
        let (offset, length) = entry.split_at(ENTRY_BYTES / 2);
        if offset[0] == 0 {
            break;
        }
        map.extend([number(offset)?, number(length)?]);
    }
    Ok(())
}

/// The map of PAX's version 1.0, at the beginning of the content: decimal numbers, each on a line, the first of which is
/// the number of parts. It fills whole blocks.
pub(super) fn in_content(n_blocks: u64, mut next: impl FnMut() -> io::Result<Block>) -> io::Result<Vec<u64>> {
    let wrong = || damage("it is damaged: the map of a sparse file makes no sense");
    let mut digits = Vec::new();
    let mut numbers: Vec<u64> = Vec::new();
    for _ in 0..n_blocks {
        for byte in next()? {
            if byte != b'\n' {
                digits.push(byte);
                continue;
            }
            numbers.push(decimal(&digits)?);
            digits.clear();
            check_length(&numbers)?;
            let n_parts = numbers[0];
            if n_parts.checked_mul(2) == Some(numbers.len() as u64 - 1) {
                numbers.remove(0);
                return Ok(numbers);
            }
        }
        if digits.len() > BLOCK {
            break;
        }
    }
    Err(wrong())
}

fn check_length(map: &[u64]) -> io::Result<()> {
    const PARTS_MAX: usize = 1 << 20;
    match map.len() > 2 * PARTS_MAX {
        true => Err(damage("a sparse file has more than a million parts")),
        false => Ok(()),
    }
}

/// A reader of a sparse file's whole content.
pub(super) struct Filled<'a, R> {
    segments: &'a Segments,
    stored: R,
    /// The part that comes next or is being read.
    part: usize,
    at: u64,
}

impl<R: Read> Read for Filled<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let parts = &self.segments.parts;
        while parts
            .get(self.part)
            .is_some_and(|(begin, length)| begin + length <= self.at)
        {
            self.part += 1;
        }
        let (begin, length) = parts.get(self.part).copied().unwrap_or((self.segments.size, 0));
        let is_hole = self.at < begin;
        let end = if is_hole { begin } else { begin + length };
        let n = buffer.len().min(usize::try_from(end - self.at).unwrap_or(usize::MAX));
        let n = match is_hole {
            true => {
                buffer[..n].fill(0);
                n
            }
            false => self.stored.read(&mut buffer[..n])?,
        };
        self.at += n as u64;
        Ok(n)
    }
}
