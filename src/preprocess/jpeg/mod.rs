//! Decodes jpeg, baseline and progressive, to libjpeg-turbo's bytes: what Pillow hands to the reference.
//!
//! Called by [`super::decode()`]. ITU T.81 for the bits; transform, upsampling and colours as libjpeg's defaults (`kernels::jpeg`).
//! Why our own: the decoders of crates differ in the last bits of chroma, can't give CMYK as stored, and fill what is missing in a file that is
//! cut short. As Pillow, it refuses such a file, and passes over damage within one. Arithmetic coding, lossless and 12-bit jpeg are refused.

mod frame;
mod huffman;
mod scan;

use frame::{Component, Frame, Notes, Tables};
use huffman::Bits;
use scan::{Block, Scan};

pub(super) use super::decode::cut_short;
use super::decode::{Limits, Problem, check_size, damaged};
use super::picture::{Mode, Picture};
use crate::kernels::jpeg::{
    BLOCK, double_height, double_width, double_width_of_sums, idct_row, repeat, ycc_to_rgb, ycck_to_cmyk,
};
use crate::kernels::zeroes;

/// More scans than any encoder writes; a hostile file repeats them to take time.
const SCANS_MAX: usize = 100;

/// What the components mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Grey,
    Ycc,
    Rgb,
    Cmyk,
    Ycck,
}

impl Colours {
    fn mode(self) -> Mode {
        match self {
            Colours::Grey => Mode::Grey,
            Colours::Ycc | Colours::Rgb => Mode::Rgb,
            Colours::Cmyk | Colours::Ycck => Mode::Cmyk,
        }
    }
}

fn corrupt(why: &str) -> Problem {
    damaged(why)
}

/// The picture as stored, and EXIF's orientation, 1 where there is none.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Picture, u8), Problem> {
    let mut file = File {
        bytes,
        at: 2,
        tables: Tables::default(),
        notes: Notes::default(),
    };
    let frame = file.read_to_frame()?;
    let colours = file.notes.colours(&frame.components)?;
    let mode = colours.mode();
    let pixels = frame.width as u64 * frame.height as u64;
    let stored: u64 = frame
        .components
        .iter()
        .map(|c| (c.blocks_across * c.blocks_down * BLOCK) as u64)
        .sum();
    let coefficients = if frame.is_progressive { 2 * stored } else { 0 };
    let decoded_bytes = pixels * mode.channels() as u64 + stored + coefficients;
    check_size(frame.width as u64, frame.height as u64, decoded_bytes, limits)?;

    let (frame, planes) = file.read_scans(frame)?;
    let bytes = to_pixels(&frame, &planes, colours);
    let picture = Picture::new(mode, frame.width, frame.height, bytes).map_err(|_| corrupt("it holds no pixels"))?;
    Ok((picture, file.notes.orientation.unwrap_or(1)))
}

/// A file, read up to `at`, and what was learned so far.
struct File<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables,
    notes: Notes,
}

impl<'a> File<'a> {
    /// The next marker and what its segment holds. Bytes between segments are passed over.
    fn segment(&mut self) -> Result<(u8, &'a [u8]), Problem> {
        let marker = loop {
            match self.bytes.get(self.at..).unwrap_or_default() {
                [0xff, marker @ 1..=0xfe, ..] => break *marker,
                [_, _, ..] => self.at += 1,
                _ => return Err(cut_short()),
            }
        };
        self.at += 2;
        if matches!(marker, 0x01 | 0xd0..=0xd9) {
            return Ok((marker, &[]));
        }
        let rest = &self.bytes[self.at..];
        let length = rest
            .first_chunk()
            .map(|&bytes| usize::from(u16::from_be_bytes(bytes)))
            .ok_or_else(cut_short)?;
        if length < 2 {
            return Err(corrupt("a segment's length is under 2"));
        }
        let payload = rest.get(2..length).ok_or_else(cut_short)?;
        self.at += length;
        Ok((marker, payload))
    }

    /// Tables and notes; other markers are handed back.
    fn note(&mut self, marker: u8, payload: &[u8]) -> Result<(), Problem> {
        match marker {
            0xdb => self.tables.read_quant(payload),
            0xc4 => self.tables.read_huffman(payload),
            0xdd => {
                let interval = payload
                    .first_chunk()
                    .ok_or_else(|| corrupt("its restart interval is missing"))?;
                self.tables.restart_interval = usize::from(u16::from_be_bytes(*interval));
                Ok(())
            }
            0xe0..=0xef => {
                self.notes.read(marker, payload);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads up to the first scan. Notes count only up to there, as in libjpeg.
    fn read_to_frame(&mut self) -> Result<Frame, Problem> {
        loop {
            let (marker, payload) = self.segment()?;
            match marker {
                0xc0..=0xc2 => {
                    let frame = frame::read_frame(marker, payload)?;
                    self.read_to_scan()?;
                    return Ok(frame);
                }
                0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                    return Err(Problem::new(
                        format!("it is a jpeg of a rare kind (SOF{}), which is not decoded", marker & 15),
                        "convert it to an ordinary jpeg or a png first",
                    ));
                }
                0xda => return Err(corrupt("a scan comes before the frame's header")),
                0xd9 => return Err(corrupt("it ends before any pixels")),
                _ => self.note(marker, payload)?,
            }
        }
    }

    /// Reads up to a scan's header, which is left to be read; `false` at the end marker.
    fn read_to_scan(&mut self) -> Result<bool, Problem> {
        loop {
            let before = self.at;
            let (marker, payload) = self.segment()?;
            match marker {
                0xda => {
                    self.at = before;
                    return Ok(true);
                }
                0xd9 => return Ok(false),
                0xc0..=0xc2 => return Err(corrupt("it has a second frame")),
                _ => self.note(marker, payload)?,
            }
        }
    }

    fn read_scans(&mut self, mut frame: Frame) -> Result<(Frame, Vec<Plane>), Problem> {
        let mut planes: Vec<Plane> = frame.components.iter().map(Plane::new).collect();
        let mut coefficients: Vec<Vec<Block>> = Vec::new();
        if frame.is_progressive {
            let blocks = |c: &Component| vec![[0; BLOCK]; c.blocks_across * c.blocks_down];
            coefficients = frame.components.iter().map(blocks).collect();
        }
        for _ in 0..SCANS_MAX {
            if !self.read_to_scan()? {
                break;
            }
            let (_, header) = self.segment()?;
            let mut scan = Scan::read(header, &frame, &self.tables)?;
            for part in &scan.parts {
                let component = &mut frame.components[part.component];
                if component.quant.is_none() {
                    component.quant = Some(self.tables.quant_of(component)?);
                }
            }
            let mut bits = Bits::new(self.bytes, self.at);
            if frame.is_progressive {
                read_progressive(&mut scan, &frame, &mut bits, &mut coefficients)?;
            } else {
                read_sequential(&mut scan, &frame, &mut bits, &mut planes)?;
                // A file of one scan needs no end marker.
                if scan.parts.len() == frame.components.len() {
                    break;
                }
            }
            self.at = bits.seek_marker();
        }
        for ((component, plane), blocks) in frame.components.iter().zip(&mut planes).zip(&coefficients) {
            plane.fill(0, blocks, component);
        }
        // A component that no scan brought is mid-grey.
        for (component, plane) in frame.components.iter().zip(&mut planes) {
            if component.quant.is_none() {
                plane.bytes.fill(128);
            }
        }
        Ok((frame, planes))
    }
}

/// Reads a scan of a sequential file, and transforms each row of blocks at once.
fn read_sequential(
    scan: &mut Scan<'_>,
    frame: &Frame,
    bits: &mut Bits<'_>,
    planes: &mut [Plane],
) -> Result<(), Problem> {
    let block_rows = |c: &Component| if scan.is_interleaved() { c.v } else { 1 };
    let mut rows: Vec<Vec<Block>> = frame
        .components
        .iter()
        .map(|c| vec![[0; BLOCK]; c.blocks_across * block_rows(c)])
        .collect();
    let (_, down) = scan.units(frame);
    for y in 0..down {
        rows.iter_mut().for_each(|row| row.fill([0; BLOCK]));
        let mut borrowed: Vec<&mut [Block]> = rows.iter_mut().map(Vec::as_mut_slice).collect();
        scan.read_row(y, frame, bits, &mut borrowed)?;
        for part in &scan.parts {
            let component = &frame.components[part.component];
            let first = y * rows[part.component].len() / component.blocks_across;
            planes[part.component].fill(first, &rows[part.component], component);
        }
    }
    Ok(())
}

/// Reads a scan of a progressive file into all coefficients.
fn read_progressive(
    scan: &mut Scan<'_>,
    frame: &Frame,
    bits: &mut Bits<'_>,
    coefficients: &mut [Vec<Block>],
) -> Result<(), Problem> {
    let (_, down) = scan.units(frame);
    for y in 0..down {
        let block_rows = |c: &Component| if scan.is_interleaved() { c.v } else { 1 };
        let reached = |(c, blocks): (&Component, &'_ mut Vec<Block>)| {
            let n = c.blocks_across * block_rows(c);
            // A component that the scan leaves out may have fewer rows than the scan.
            (y * n).min(blocks.len())..((y + 1) * n).min(blocks.len())
        };
        let ranges: Vec<_> = frame
            .components
            .iter()
            .zip(coefficients.iter_mut())
            .map(reached)
            .collect();
        let mut rows: Vec<&mut [Block]> = coefficients
            .iter_mut()
            .zip(ranges)
            .map(|(blocks, range)| &mut blocks[range])
            .collect();
        scan.read_row(y, frame, bits, &mut rows)?;
    }
    Ok(())
}

/// A component's pixels, in whole blocks.
struct Plane {
    bytes: Vec<u8>,
    stride: usize,
}

impl Plane {
    fn new(component: &Component) -> Self {
        let stride = component.blocks_across * 8;
        Self {
            bytes: zeroes(stride * component.blocks_down * 8),
            stride,
        }
    }

    /// Transforms rows of blocks, the first of which is row `first` of the plane.
    fn fill(&mut self, first: usize, blocks: &[Block], component: &Component) {
        let quant = component.quant.unwrap_or([0; BLOCK]);
        let rows = self.bytes.chunks_exact_mut(self.stride * 8).skip(first);
        for (pixels, row) in rows.zip(blocks.chunks_exact(component.blocks_across)) {
            idct_row(row, &quant, pixels, self.stride);
        }
    }

    fn row(&self, y: usize, component: &Component) -> &[u8] {
        &self.bytes[y * self.stride..][..component.width]
    }
}

/// Chroma to the size of luma, and all to the picture's bytes.
fn to_pixels(frame: &Frame, planes: &[Plane], colours: Colours) -> Vec<u8> {
    let row_bytes = frame.width * colours.mode().channels();
    let mut out = zeroes(row_bytes * frame.height);
    let mut rows: Vec<Upsampler> = frame.components.iter().map(|c| Upsampler::new(frame, c)).collect();
    for (y, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        let components = frame.components.iter().zip(planes);
        let rows: Vec<&[u8]> = rows
            .iter_mut()
            .zip(components)
            .map(|(row, (c, p))| &row.row(y, c, p)[..frame.width])
            .collect();
        match (colours, rows.as_slice()) {
            (Colours::Ycc, [luma, cb, cr]) => ycc_to_rgb(luma, cb, cr, out),
            (Colours::Ycck, [luma, cb, cr, k]) => ycck_to_cmyk(luma, cb, cr, k, out),
            _ => interleave(&rows, out),
        }
    }
    if colours.mode() == Mode::Cmyk {
        // Adobe stores ink as light, and everybody does as Adobe does.
        out.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    out
}

fn interleave(rows: &[&[u8]], out: &mut [u8]) {
    for (c, row) in rows.iter().enumerate() {
        for (byte, &value) in out[c..].iter_mut().step_by(rows.len()).zip(*row) {
            *byte = value;
        }
    }
}

/// Makes a component's rows as wide and as many as the picture's, by libjpeg's choice of method (`jdsample.c`).
struct Upsampler {
    /// How often each pixel is needed, across and down.
    across: usize,
    down: usize,
    row: Vec<u8>,
    sums: Vec<u16>,
}

impl Upsampler {
    fn new(frame: &Frame, component: &Component) -> Self {
        let (across, down) = (frame.h_max / component.h, frame.v_max / component.v);
        Self {
            across,
            down,
            row: vec![0; component.width * across],
            sums: vec![0; component.width],
        }
    }

    /// Row `y` of the picture.
    fn row<'a>(&'a mut self, y: usize, component: &Component, plane: &'a Plane) -> &'a [u8] {
        // libjpeg interpolates no row of one or two pixels.
        let is_wide = component.width > 2;
        let near = plane.row(y / self.down, component);
        // Of two new rows the upper one leans on the row above, the lower one on the row below; the edges lean on themselves.
        let far = || match y % 2 {
            0 => plane.row((y / 2).saturating_sub(1), component),
            _ => plane.row((y / 2 + 1).min(component.height - 1), component),
        };
        match (self.across, self.down) {
            (1, 1) => return near,
            (2, 1) if is_wide => double_width(near, &mut self.row),
            (1, 2) => double_height(near, far(), 1 + (y % 2) as u16, &mut self.row),
            (2, 2) if is_wide => double_width_of_sums(near, far(), &mut self.sums, &mut self.row),
            _ => repeat(near, self.across, &mut self.row),
        }
        &self.row
    }
}
