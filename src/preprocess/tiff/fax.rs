//! CCITT group 3 and modified Huffman: black and white as the lengths of runs (ITU-T T.4, section 4.1; TIFF 6.0, sections 10
//! and 11). In two dimensions, most rows are coded by what differs from the row above (section 4.2). The crate `fax` knows the
//! codes. Group 4 is left to the crate `tiff`.

use fax::BitReader;
use fax::maps::{Mode, black, mode, white};

use super::super::directory::Directory;
use super::super::limits::{Limits, check_size};
use super::super::problem::{Problem, damaged};
use super::parts::{self, Parts, Unpacked};
use super::{BITS, COMPRESSION, FILL_ORDER, size, unsupported};
use crate::kernels::zeroes;

const MODIFIED_HUFFMAN: u64 = 2;
const GROUP_3: u64 = 3;

const GROUP_3_OPTIONS: u16 = 292;
const TWO_DIMENSIONS: u64 = 1;
const UNCOMPRESSED_MODE: u64 = 2;

const LOWEST_BIT_FIRST: u64 = 2;
/// An end of line is eleven zeros and a one; more zeros can be in front of it.
const END_OF_LINE_ZEROS: u8 = 11;
/// A run is coded as multiples of 64, then what is left.
const LAST_CODE_MAX: u16 = 63;

/// The same image without compression, if it has one of these.
pub(super) fn unpacked(first: &Directory<'_>, bytes: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Problem> {
    let compression = match first.number(COMPRESSION) {
        Some(compression @ (MODIFIED_HUFFMAN | GROUP_3)) => compression,
        _ => return Ok(None),
    };
    let options = first.number(GROUP_3_OPTIONS).unwrap_or(0);
    if compression == GROUP_3 && options & UNCOMPRESSED_MODE != 0 {
        return Err(unsupported("CCITT group 3 with rows that are not compressed"));
    }
    let coding = match (compression, options & TWO_DIMENSIONS) {
        (MODIFIED_HUFFMAN, _) => Coding::ModifiedHuffman,
        (_, 0) => Coding::OneDimension,
        _ => Coding::TwoDimensions,
    };
    if first.number(BITS).unwrap_or(1) != 1 {
        return Err(damaged("a fax has one bit per pixel"));
    }
    let (width, height) = size(first);
    check_size(width, height, width.saturating_mul(height), limits)?;
    let (width, height) = (width as usize, height as usize);
    let parts = Parts::of(first, width, height)?;
    if parts.width > 2 * width + 64 || parts.height > 2 * height + 64 {
        return Err(damaged("its tiles are far larger than the image"));
    }

    let mut unpacked = Unpacked::new(first, &parts);
    for (i, span) in parts.spans.iter().enumerate() {
        let mut data = parts::data(bytes, *span)?.to_vec();
        if first.number(FILL_ORDER) == Some(LOWEST_BIT_FIRST) {
            data.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        // The reader looks beyond the last code.
        data.extend([0; 4]);
        unpacked.add(&rows(&data, (parts.width, parts.n_rows(i, height)), coding)?)?;
    }
    Ok(unpacked.file())
}

/// How rows are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    ModifiedHuffman,
    OneDimension,
    TwoDimensions,
}

/// The rows of a part, each of whole bytes in which black is 1.
fn rows(data: &[u8], (width, n_rows): (usize, usize), coding: Coding) -> Result<Vec<u8>, Problem> {
    let row_bytes = width.div_ceil(8);
    let mut rows: Vec<u8> = zeroes(row_bytes * n_rows)?;
    let mut reader = fax::slice_reader(data);
    let mut changes = Changes::default();
    for row in rows.chunks_exact_mut(row_bytes) {
        changes = match coding {
            Coding::ModifiedHuffman => {
                let changes = decode_row(&mut reader, width);
                let rest = reader.bits_to_byte_boundary();
                let Ok(()) = reader.consume(rest);
                changes
            }
            Coding::OneDimension => {
                skip_ends_of_line(&mut reader);
                decode_row(&mut reader, width)
            }
            Coding::TwoDimensions => {
                skip_ends_of_line(&mut reader);
                match bit(&mut reader) {
                    Some(1) => decode_row(&mut reader, width),
                    Some(_) => decode_row_by(&changes, &mut reader, width),
                    None => None,
                }
            }
        }
        .ok_or_else(|| damaged("a row of its fax code is wrong"))?;
        changes.paint(width, row);
    }
    Ok(rows)
}

fn skip_ends_of_line(reader: &mut impl BitReader) {
    while reader.peek(END_OF_LINE_ZEROS) == Some(0) {
        while reader.peek(1) == Some(0) {
            if reader.consume(1).is_err() {
                return;
            }
        }
        if reader.peek(1).is_none() || reader.consume(1).is_err() {
            return;
        }
    }
}

fn bit(reader: &mut impl BitReader) -> Option<u16> {
    let bit = reader.peek(1)?;
    reader.consume(1).ok()?;
    Some(bit)
}

/// The columns where a row changes its colour, in order; it begins with white.
#[derive(Debug, Default)]
struct Changes(Vec<usize>);

impl Changes {
    fn add(&mut self, at: usize) {
        // A run without pixels.
        if self.0.last() == Some(&at) {
            self.0.pop();
        } else {
            self.0.push(at);
        }
    }

    fn paint(&self, width: usize, row: &mut [u8]) {
        for run in self.0.chunks(2) {
            let end = run.get(1).map_or(width, |end| (*end).min(width));
            (run[0]..end).for_each(|x| row[x / 8] |= 0x80 >> (x % 8));
        }
    }
}

fn decode_row(reader: &mut impl BitReader, width: usize) -> Option<Changes> {
    let mut changes = Changes::default();
    let (mut x, mut colour) = (0, Colour::White);
    while x < width {
        x += run(reader, colour)?;
        colour = colour.other();
        changes.add(x);
    }
    Some(changes)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    White,
    Black,
}

impl Colour {
    fn other(self) -> Self {
        match self {
            Colour::White => Colour::Black,
            Colour::Black => Colour::White,
        }
    }
}

fn run(reader: &mut impl BitReader, colour: Colour) -> Option<usize> {
    let mut run = 0;
    loop {
        let code = match colour {
            Colour::White => white::decode(reader)?,
            Colour::Black => black::decode(reader)?,
        };
        run += usize::from(code);
        if code <= LAST_CODE_MAX {
            return Some(run);
        }
    }
}

/// A row that is coded by the one above.
fn decode_row_by(above: &Changes, reader: &mut impl BitReader, width: usize) -> Option<Changes> {
    let mut changes = Changes::default();
    let (mut x, mut colour) = (0, Colour::White);
    let mut n_passed = 0;
    let mut is_start = true;
    while x < width {
        while !is_start && above.0.get(n_passed).is_some_and(|at| *at <= x) {
            n_passed += 1;
        }
        // The next change above to the other colour: those to black are at even places.
        let next = n_passed + usize::from((n_passed % 2 == 1) != (colour == Colour::Black));
        let at = |i: usize| above.0.get(i).map_or(width, |at| (*at).min(width));
        match mode::decode(reader)? {
            Mode::Pass => x = at(next + 1),
            Mode::Vertical(delta) => {
                let to = at(next).checked_add_signed(delta.into()).filter(|to| *to >= x)?;
                changes.add(to);
                (x, colour) = (to, colour.other());
            }
            Mode::Horizontal => {
                for colour in [colour, colour.other()] {
                    x += run(reader, colour)?;
                    changes.add(x);
                }
            }
            Mode::Extension | Mode::EOF => return None,
        }
        is_start = false;
    }
    Some(changes)
}
