//! The segments of a JPEG file: sizes, components, tables, and the colour space (ITU T.81, annex B).

use super::super::orientation::{EXIF_PREFIX, Metadata};
use super::super::problem::{Problem, cut_short, damaged};
use super::ColourSpace;
use super::huffman::HuffmanTable;
use super::standard;
use crate::kernels::jpeg::{BLOCK, BlockSide};

/// The position in a block of coefficient `i` in zigzag order (T.81, figure A.6).
pub(super) const ZIGZAG: [u8; BLOCK] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// One colour channel.
pub(super) struct Component {
    pub(super) id: u8,
    /// Blocks per MCU, horizontally and vertically.
    pub(super) h: usize,
    pub(super) v: usize,
    /// The number of its quantisation table.
    table: usize,
    /// The content of that table when the component's first scan began, in block order.
    pub(super) quant: Option<[i32; BLOCK]>,
    /// The component's own size in samples as stored: the image's, scaled by the sampling factors and rounded up.
    pub(super) width: usize,
    pub(super) height: usize,
    /// The number of blocks in each direction, padded to whole MCUs.
    pub(super) blocks_across: usize,
    pub(super) blocks_down: usize,
    /// What a block becomes.
    pub(super) side: BlockSide,
}

/// The frame header.
pub(super) struct Frame {
    /// The image's size as stored.
    pub(super) width: usize,
    pub(super) height: usize,
    /// What a block of the component with the highest resolution becomes, and so how far the image is reduced.
    side: BlockSide,
    pub(super) is_progressive: bool,
    pub(super) components: Vec<Component>,
    /// Blocks per MCU of the component with the highest resolution.
    pub(super) h_max: usize,
    pub(super) v_max: usize,
}

impl Frame {
    pub(super) fn mcus_across(&self) -> usize {
        self.width.div_ceil(8 * self.h_max)
    }

    pub(super) fn mcus_down(&self) -> usize {
        self.height.div_ceil(8 * self.v_max)
    }

    /// Decodes the image to a part of its size. As in libjpeg (`jdmaster.c`), a component of lower resolution is reduced
    /// less as long as it needs no more pixels than the image.
    pub(super) fn reduce(&mut self, side: BlockSide) {
        self.side = side;
        for component in &mut self.components {
            let (across, down) = (
                self.h_max / component.h * side.px(),
                self.v_max / component.v * side.px(),
            );
            let fits = |larger: &BlockSide| across.is_multiple_of(larger.px()) && down.is_multiple_of(larger.px());
            component.side = BlockSide::ALL.into_iter().rfind(fits).unwrap_or(side);
        }
    }

    /// Width and height of the decoded image.
    pub(super) fn decoded_size(&self) -> [usize; 2] {
        [self.width, self.height].map(|size| (size * self.side.px()).div_ceil(8))
    }

    /// Width and height of the plane of a component.
    pub(super) fn plane_size(&self, component: &Component) -> [usize; 2] {
        let side = component.side.px();
        [
            (self.width * component.h * side).div_ceil(8 * self.h_max),
            (self.height * component.v * side).div_ceil(8 * self.v_max),
        ]
    }

    /// How many pixels of the image one sample of a component's plane becomes, horizontally and vertically.
    pub(super) fn upsampling(&self, component: &Component) -> (usize, usize) {
        let (image, plane) = (self.side.px(), component.side.px());
        (
            self.h_max * image / (component.h * plane),
            self.v_max * image / (component.v * plane),
        )
    }

    /// Whether samples are interpolated, as in libjpeg: not in an image of one pixel per block (`jdsample.c`).
    pub(super) fn is_interpolated(&self) -> bool {
        self.side != BlockSide::One
    }
}

/// What a scan needs in addition to its own bits.
#[derive(Default)]
pub(super) struct Tables {
    quant: [Option<[i32; BLOCK]>; 4],
    pub(super) dc: [Option<HuffmanTable>; 4],
    pub(super) ac: [Option<HuffmanTable>; 4],
    /// MCUs between restart markers; 0 if there are none.
    pub(super) restart_interval: usize,
}

/// The content of application segments.
#[derive(Default)]
pub(super) struct AppSegments {
    is_jfif: bool,
    /// The colour transform of Adobe's segment.
    adobe: Option<u8>,
    /// EXIF and XMP, in which the orientation is.
    pub(super) metadata: Metadata<'static>,
}

impl AppSegments {
    /// Reads the payload of an APPn segment.
    pub(super) fn read(&mut self, marker: u8, payload: &[u8]) {
        const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
        match (marker, payload) {
            (0xe0, [b'J', b'F', b'I', b'F', 0, ..]) => self.is_jfif = true,
            (0xee, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..]) => self.adobe = Some(*transform),
            // A long block continues in the next segment.
            (0xe1, _) if payload.starts_with(EXIF_PREFIX) => {
                let exif = self.metadata.exif.get_or_insert_default();
                exif.to_mut().extend_from_slice(&payload[EXIF_PREFIX.len()..]);
            }
            (0xe1, _) if payload.starts_with(XMP) => self.metadata.xmp = Some(payload[XMP.len()..].to_vec().into()),
            _ => {}
        }
    }

    /// The colour space by libjpeg's rules (`jdapimin.c`, `default_decompress_parms`).
    pub(super) fn colours(&self, components: &[Component]) -> Result<ColourSpace, Problem> {
        let ids: Vec<u8> = components.iter().map(|c| c.id).collect();
        Ok(match (components.len(), self.adobe) {
            (1, _) => ColourSpace::Grey,
            (3, _) if self.is_jfif => ColourSpace::Ycc,
            (3, Some(0)) => ColourSpace::Rgb,
            (3, None) if ids == *b"RGB" => ColourSpace::Rgb,
            (3, _) => ColourSpace::Ycc,
            (4, None | Some(0)) => ColourSpace::Cmyk,
            (4, _) => ColourSpace::Ycck,
            (n, _) => {
                return Err(damaged(&format!(
                    "it has {n} colour components; 1, 3 or 4 are supported"
                )));
            }
        })
    }
}

impl Tables {
    /// Reads a DQT segment.
    pub(super) fn read_quant(&mut self, mut payload: &[u8]) -> Result<(), Problem> {
        while let Some((&head, rest)) = payload.split_first() {
            let (bytes, slot) = (if head >> 4 == 0 { 1 } else { 2 }, usize::from(head & 15));
            let values = rest.get(..BLOCK * bytes).ok_or_else(cut_short)?;
            let mut table = [0; BLOCK];
            for (value, &at) in values.chunks_exact(bytes).zip(&ZIGZAG) {
                table[usize::from(at)] = value.iter().fold(0, |sum, &byte| sum << 8 | i32::from(byte));
            }
            *self
                .quant
                .get_mut(slot)
                .ok_or_else(|| damaged("a quantisation table has a number over 3"))? = Some(table);
            payload = &rest[BLOCK * bytes..];
        }
        Ok(())
    }

    /// Reads a DHT segment.
    pub(super) fn read_huffman(&mut self, mut payload: &[u8]) -> Result<(), Problem> {
        while let Some((&head, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk().ok_or_else(cut_short)?;
            let n = counts.iter().map(|&count| usize::from(count)).sum();
            let values = rest
                .get(..n)
                .ok_or_else(|| damaged("a Huffman table is longer than its segment"))?;
            let slots = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = slots.get_mut(usize::from(head & 15));
            *slot.ok_or_else(|| damaged("a Huffman table has a number over 3"))? =
                Some(HuffmanTable::new(counts, values)?);
            payload = &rest[n..];
        }
        Ok(())
    }

    /// Frames of Motion JPEG have no Huffman tables. libjpeg then takes those of the standard's annex K (`jstdhuff.c`).
    pub(super) fn fill_in_standard_ones(&mut self) -> Result<(), Problem> {
        let both = [&mut self.dc, &mut self.ac].into_iter().zip(&standard::HUFFMAN);
        for (slots, tables) in both {
            for (slot, (counts, values)) in slots.iter_mut().zip(tables) {
                if slot.is_none() {
                    *slot = Some(HuffmanTable::new(counts, values)?);
                }
            }
        }
        Ok(())
    }

    /// The current content of the component's quantisation table.
    pub(super) fn quant_of(&self, component: &Component) -> Result<[i32; BLOCK], Problem> {
        let table = self.quant.get(component.table).copied().flatten();
        table.ok_or_else(|| damaged("a quantisation table is missing"))
    }
}

/// Reads a SOF0, SOF1 or SOF2 segment.
pub(super) fn read_frame(marker: u8, payload: &[u8]) -> Result<Frame, Problem> {
    let Some((&[precision, h1, h0, w1, w0, n], rest)) = payload.split_first_chunk() else {
        return Err(damaged("its frame header is too short"));
    };
    if precision != 8 {
        return Err(Problem::new(
            format!("it is a jpeg with {precision} bits per channel; only 8 are supported"),
            "convert it to an ordinary jpeg or a png first",
        ));
    }
    let (width, height) = (
        usize::from(u16::from_be_bytes([w1, w0])),
        usize::from(u16::from_be_bytes([h1, h0])),
    );
    let specs = rest
        .get(..usize::from(n) * 3)
        .ok_or_else(|| damaged("its frame header is too short"))?;
    let samplings: Vec<(usize, usize)> = specs
        .chunks_exact(3)
        .map(|s| (usize::from(s[1] >> 4), usize::from(s[1] & 15)))
        .collect();
    if samplings
        .iter()
        .any(|&(h, v)| !(1..=4).contains(&h) || !(1..=4).contains(&v))
    {
        return Err(damaged("a component's sampling is not 1 to 4"));
    }
    let h_max = samplings.iter().map(|s| s.0).max().unwrap_or(1);
    let v_max = samplings.iter().map(|s| s.1).max().unwrap_or(1);
    let mut frame = Frame {
        width,
        height,
        side: BlockSide::Eight,
        is_progressive: marker == 0xc2,
        components: Vec::new(),
        h_max,
        v_max,
    };
    for (spec, (h, v)) in specs.chunks_exact(3).zip(samplings) {
        if h_max % h != 0 || v_max % v != 0 {
            return Err(damaged("a component's sampling does not divide the largest one"));
        }
        frame.components.push(Component {
            id: spec[0],
            h,
            v,
            table: usize::from(spec[2]),
            quant: None,
            width: (width * h).div_ceil(h_max),
            height: (height * v).div_ceil(v_max),
            blocks_across: frame.mcus_across() * h,
            blocks_down: frame.mcus_down() * v,
            side: BlockSide::Eight,
        });
    }
    Ok(frame)
}
