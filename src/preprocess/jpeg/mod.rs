//! Decodes JPEG, baseline and progressive, to exactly the bytes of libjpeg-turbo, which Pillow uses.
//!
//! Called by [`super::decode()`]. The bit stream follows ITU T.81; inverse DCT, upsampling and colour conversion follow
//! libjpeg's defaults (`kernels::jpeg`), also at a half, a quarter or an eighth of the size. We have our own decoder
//! because the existing crates differ in the last bits of chroma, cannot return CMYK as stored, and fill in what a truncated
//! file lacks. Like Pillow, we reject a truncated file and ignore damage within a file. Arithmetic coding, lossless and
//! 12-bit JPEG are not supported.

mod frame;
mod huffman;
mod planes;
mod scan;
mod standard;

use frame::{AppSegments, Component, Frame, Tables};
use huffman::Bits;
use planes::{Plane, to_pixels};
use scan::{Block, Scan};

use super::limits::{Limits, admit, check_size};
use super::picture::{Mode, Picture};
use super::problem::{Problem, cut_short, damaged};
use super::reading::{Orientation, Reading};
use crate::kernels::jpeg::BLOCK;
use crate::kernels::zeroes;

/// More scans than any encoder writes. A hostile file could repeat scans to waste time.
const SCANS_MAX: usize = 100;

/// How often each block may be visited in scans; encoders visit one about ten times. A file of a few bytes can have many
/// scans over a large image, and many blocks that take no bits.
const VISITS_PER_BLOCK_MAX: u64 = 32;
/// Visits that take no time to speak of, whatever the image's size.
const VISITS_ALLOWED: u64 = 1 << 22;

/// More segments than any camera writes before the frame's header.
const SEGMENTS_MAX: usize = 64;

/// How the components encode colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ColourSpace {
    Grey,
    Ycc,
    Rgb,
    Cmyk,
    Ycck,
}

impl ColourSpace {
    fn mode(self) -> Mode {
        match self {
            ColourSpace::Grey => Mode::Grey,
            ColourSpace::Ycc | ColourSpace::Rgb => Mode::Rgb,
            ColourSpace::Cmyk | ColourSpace::Ycck => Mode::Cmyk,
        }
    }
}

/// Decodes an image, as far reduced as `reading` allows, and turns it as it says itself; by `otherwise` if it says nothing.
pub(super) fn decode(bytes: &[u8], otherwise: u8, reading: &Reading<'_>) -> Result<Picture, Problem> {
    let mut reader = JpegReader::new(bytes);
    let mut frame = reader.read_to_frame()?;
    let colours = reader.app_segments.colours(&frame.components)?;
    let turn = match reading.orientation {
        Orientation::Upright => reader.app_segments.metadata.stored_orientation().unwrap_or(otherwise),
        Orientation::AsStored => 1,
    };
    let size = [frame.width, frame.height];
    let whole_bytes = pixel_bytes(&frame, colours) + reader.working_bytes(&frame);
    // Whether an image is too large doesn't depend on how it is decoded.
    check_size(frame.width as u64, frame.height as u64, whole_bytes, reading.limits)?;
    frame.reduce(reading.reduction.block_side(size, turn));
    let pixels = pixel_bytes(&frame, colours);
    // An image is turned after its coefficients and planes were released.
    let turned = if turn > 1 { 2 * pixels } else { 0 };
    admit(turned.max(pixels + reader.working_bytes(&frame)))?;
    Ok(reader.picture(frame, colours)?.upright(turn))
}

/// Bytes of the decoded image.
fn pixel_bytes(frame: &Frame, colours: ColourSpace) -> u64 {
    let [width, height] = frame.decoded_size();
    width as u64 * height as u64 * colours.mode().channels() as u64
}

/// The width and height as stored, in pixels, without decoding; `None` if it can't be decoded.
pub(super) fn size(bytes: &[u8]) -> Option<(usize, usize)> {
    let frame = JpegReader::new(bytes).read_to_frame().ok()?;
    Some((frame.width, frame.height))
}

/// The number of pixels, if these bytes begin with the header of a JPEG that can be decoded.
pub(super) fn pixels(bytes: &[u8]) -> Option<u64> {
    // No camera writes more before the first scan. A hostile file could repeat headers to waste time.
    const HEADER_BYTES_MAX: usize = 1 << 18;
    let mut reader = JpegReader::new(&bytes[..bytes.len().min(HEADER_BYTES_MAX)]);
    for _ in 0..SEGMENTS_MAX {
        // Only here may nothing be between segments: these bytes can be anything.
        if bytes.get(reader.at) != Some(&0xff) {
            return None;
        }
        let (marker, payload) = reader.segment().ok()?;
        match marker {
            0xc0..=0xc2 => {
                let frame = frame::read_frame(marker, payload).ok()?;
                return Some(frame.width as u64 * frame.height as u64);
            }
            0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe => {}
            _ => return None,
        }
    }
    None
}

/// Decodes a part of an image, whose colours are YCbCr; memory for it is already taken.
pub(super) fn decode_part(bytes: &[u8], limits: &Limits) -> Result<Picture, Problem> {
    let mut reader = JpegReader::new(bytes);
    let frame = reader.read_to_frame()?;
    if frame.components.len() != 3 {
        return Err(damaged("its parts don't have three colour components"));
    }
    let decoded_bytes = 3 * frame.width as u64 * frame.height as u64 + reader.working_bytes(&frame);
    check_size(frame.width as u64, frame.height as u64, decoded_bytes, limits)?;
    reader.picture(frame, ColourSpace::Ycc)
}

/// A file that has been read up to `at`, and what its segments said so far.
struct JpegReader<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables,
    app_segments: AppSegments,
}

impl<'a> JpegReader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        JpegReader {
            bytes,
            at: 2,
            tables: Tables::default(),
            app_segments: AppSegments::default(),
        }
    }

    fn picture(&mut self, frame: Frame, colours: ColourSpace) -> Result<Picture, Problem> {
        let (frame, planes) = self.read_scans(frame)?;
        let bytes = to_pixels(&frame, &planes, colours)?;
        let [width, height] = frame.decoded_size();
        Picture::new(colours.mode(), width, height, bytes).map_err(|_| damaged("it holds no pixels"))
    }

    /// Bytes of the planes, and of the coefficients if those of all scans must be kept.
    fn working_bytes(&self, frame: &Frame) -> u64 {
        let blocks = |c: &Component| (c.blocks_across * c.blocks_down) as u64;
        let planes = frame
            .components
            .iter()
            .map(|c| blocks(c) * (c.side.px() * c.side.px()) as u64);
        let coefficients = match self.has_several_scans(frame) {
            true => frame.components.iter().map(blocks).sum::<u64>() * size_of::<Block>() as u64,
            false => 0,
        };
        planes.sum::<u64>() + coefficients
    }

    /// Whether the scan that comes next is not the only one. A sequential file with one scan of all components is
    /// complete after it, as for libjpeg.
    fn has_several_scans(&self, frame: &Frame) -> bool {
        const COMPONENTS_AT: usize = 4;
        let in_next = self.bytes.get(self.at + COMPONENTS_AT).map_or(0, |&n| usize::from(n));
        frame.is_progressive || in_next < frame.components.len()
    }

    /// The next marker and the payload of its segment. Bytes between segments are skipped.
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
            return Err(damaged("a segment's length is under 2"));
        }
        let payload = rest.get(2..length).ok_or_else(cut_short)?;
        self.at += length;
        Ok((marker, payload))
    }

    /// Reads tables and application segments. Other segments are ignored.
    fn note(&mut self, marker: u8, payload: &[u8]) -> Result<(), Problem> {
        match marker {
            0xdb => self.tables.read_quant(payload),
            0xc4 => self.tables.read_huffman(payload),
            0xdd => {
                let interval = payload
                    .first_chunk()
                    .ok_or_else(|| damaged("its restart interval is missing"))?;
                self.tables.restart_interval = usize::from(u16::from_be_bytes(*interval));
                Ok(())
            }
            0xe0..=0xef => {
                self.app_segments.read(marker, payload);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads up to the first scan. As in libjpeg, application segments after it are ignored for colours.
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
                        format!("it is a jpeg of an unsupported type (SOF{})", marker & 15),
                        "convert it to an ordinary jpeg or a png first",
                    ));
                }
                0xda => return Err(damaged("a scan comes before the frame's header")),
                0xd9 => return Err(damaged("it ends before any pixels")),
                _ => self.note(marker, payload)?,
            }
        }
    }

    /// Reads up to the header of the next scan, without consuming it; `false` at the end marker.
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
                0xc0..=0xc2 => return Err(damaged("it has a second frame")),
                _ => self.note(marker, payload)?,
            }
        }
    }

    fn read_scans(&mut self, mut frame: Frame) -> Result<(Frame, Vec<Plane>), Problem> {
        let planes = frame.components.iter().map(|c| Plane::new(&frame, c));
        let mut planes: Vec<Plane> = planes.collect::<Result<_, _>>()?;
        let mut coefficients: Vec<Vec<Block>> = Vec::new();
        let keeps_coefficients = self.has_several_scans(&frame);
        if keeps_coefficients {
            let blocks = |c: &Component| zeroes(c.blocks_across * c.blocks_down);
            coefficients = frame.components.iter().map(blocks).collect::<Result<_, _>>()?;
        }
        let n_blocks: usize = frame.components.iter().map(|c| c.blocks_across * c.blocks_down).sum();
        let mut visits_left = VISITS_ALLOWED.max(VISITS_PER_BLOCK_MAX * n_blocks as u64);
        for _ in 0..SCANS_MAX {
            if !self.read_to_scan()? {
                break;
            }
            let (_, header) = self.segment()?;
            if !frame.is_progressive {
                self.tables.fill_in_standard_ones()?;
            }
            let mut scan = Scan::read(header, &frame, &self.tables)?;
            for part in &scan.parts {
                let component = &mut frame.components[part.component];
                if component.quant.is_none() {
                    component.quant = Some(self.tables.quant_of(component)?);
                }
            }
            let mut bits = Bits::new(self.bytes, self.at);
            if keeps_coefficients {
                read_coefficients(&mut scan, &frame, &mut bits, &mut coefficients, &mut visits_left)?;
            } else {
                read_sequential(&mut scan, &frame, &mut bits, &mut planes)?;
                // A file of one scan needs no end marker.
                break;
            }
            self.at = bits.seek_marker();
        }
        for ((component, plane), blocks) in frame.components.iter().zip(&mut planes).zip(&coefficients) {
            plane.fill(0, blocks, component);
        }
        // A component without any scan is mid-grey.
        for (component, plane) in frame.components.iter().zip(&mut planes) {
            if component.quant.is_none() {
                plane.bytes.fill(128);
            }
        }
        Ok((frame, planes))
    }
}

/// Reads a scan of a sequential file, and transforms each row of blocks as soon as it is read.
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

/// Reads one of several scans into the coefficients of all components.
fn read_coefficients(
    scan: &mut Scan<'_>,
    frame: &Frame,
    bits: &mut Bits<'_>,
    coefficients: &mut [Vec<Block>],
    visits_left: &mut u64,
) -> Result<(), Problem> {
    let (across, down) = scan.units(frame);
    for y in 0..down {
        if scan.is_over(bits) {
            return Ok(());
        }
        *visits_left = visits_left
            .checked_sub((across * scan.blocks_per_unit(frame)) as u64)
            .ok_or_else(|| damaged("it has more scans than an image of its size needs"))?;
        let block_rows = |c: &Component| if scan.is_interleaved() { c.v } else { 1 };
        let reached = |(c, blocks): (&Component, &'_ mut Vec<Block>)| {
            let n = c.blocks_across * block_rows(c);
            // A component that is not in the scan may have fewer rows than the scan.
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

#[cfg(test)]
mod tests;
