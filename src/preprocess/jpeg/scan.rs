//! One scan of a JPEG file, from bits to coefficients; baseline or progressive (ITU T.81, annexes F and G).

use super::super::problem::{Problem, cut_short, damaged};
use super::frame::{Frame, Tables, ZIGZAG};
use super::huffman::{Bits, HuffmanTable};
use crate::kernels::jpeg::BLOCK;

/// Quantised coefficients in block order.
pub(super) type Block = [i16; BLOCK];

/// A scan's header and decoder state.
pub(super) struct Scan<'t> {
    pub(super) parts: Vec<ScanComponent<'t>>,
    /// The first and the last coefficient, in zigzag order.
    first: usize,
    last: usize,
    /// Whether this scan adds one bit to coefficients that an earlier scan sent (Ah is not 0).
    is_refinement: bool,
    /// The position of the lowest bit that is sent (Al).
    low: u32,
    is_progressive: bool,
    restart_interval: usize,
    /// The number of following blocks that have no coefficients in this band (EOBRUN).
    end_of_bands: u32,
}

/// A component within a scan.
pub(super) struct ScanComponent<'t> {
    /// Its index in the frame.
    pub(super) component: usize,
    dc: Option<&'t HuffmanTable>,
    ac: Option<&'t HuffmanTable>,
    /// The last DC value, to which the next difference is added.
    prediction: i32,
}

impl<'t> Scan<'t> {
    /// Reads an SOS segment.
    pub(super) fn read(payload: &[u8], frame: &Frame, tables: &'t Tables) -> Result<Self, Problem> {
        let short = || damaged("a scan header is too short");
        let (&n, rest) = payload.split_first().ok_or_else(short)?;
        let n = usize::from(n);
        let (specs, rest) = rest.split_at_checked(2 * n).ok_or_else(short)?;
        let &[first, last, bits] = rest.first_chunk().ok_or_else(short)?;
        let mut parts: Vec<ScanComponent<'t>> = Vec::new();
        for spec in specs.chunks_exact(2) {
            let component = frame.components.iter().position(|c| c.id == spec[0]);
            let component = component.ok_or_else(|| damaged("a scan names a component that is not in the frame"))?;
            if parts.iter().any(|part| part.component >= component) {
                return Err(damaged("a scan has its components out of order"));
            }
            let table = |tables: &'t [Option<HuffmanTable>; 4], slot: u8| {
                tables.get(usize::from(slot)).and_then(Option::as_ref)
            };
            parts.push(ScanComponent {
                component,
                dc: table(&tables.dc, spec[1] >> 4),
                ac: table(&tables.ac, spec[1] & 15),
                prediction: 0,
            });
        }
        let mut scan = Self {
            parts,
            first: usize::from(first),
            last: usize::from(last),
            is_refinement: bits >> 4 != 0,
            low: u32::from(bits & 15),
            is_progressive: frame.is_progressive,
            restart_interval: tables.restart_interval,
            end_of_bands: 0,
        };
        if !frame.is_progressive {
            (scan.first, scan.last, scan.is_refinement, scan.low) = (0, BLOCK - 1, false, 0);
        }
        scan.check()?;
        Ok(scan)
    }

    fn check(&self) -> Result<(), Problem> {
        let band_fits = self.first <= self.last && self.last < BLOCK && self.low < 14;
        let alone_fits = self.first == 0 || self.parts.len() == 1;
        if self.parts.is_empty()
            || !band_fits
            || !alone_fits
            || (self.is_progressive && self.first == 0 && self.last > 0)
        {
            return Err(damaged("a scan header has invalid parameters"));
        }
        let needs_dc = self.first == 0 && !self.is_refinement;
        let needs_ac = self.last > 0;
        if self
            .parts
            .iter()
            .any(|p| (needs_dc && p.dc.is_none()) || (needs_ac && p.ac.is_none()))
        {
            return Err(damaged("a Huffman table is missing"));
        }
        Ok(())
    }

    /// Whether the scan has several components, whose blocks alternate in MCUs.
    pub(super) fn is_interleaved(&self) -> bool {
        self.parts.len() > 1
    }

    /// The number of blocks in a unit.
    pub(super) fn blocks_per_unit(&self, frame: &Frame) -> usize {
        let blocks = |part: &ScanComponent<'_>| {
            let component = &frame.components[part.component];
            component.h * component.v
        };
        if self.is_interleaved() {
            self.parts.iter().map(blocks).sum()
        } else {
            1
        }
    }

    /// The number of units in each direction: MCUs, or single blocks if the scan has only one component.
    pub(super) fn units(&self, frame: &Frame) -> (usize, usize) {
        if self.is_interleaved() {
            return (frame.mcus_across(), frame.mcus_down());
        }
        let component = &frame.components[self.parts[0].component];
        (component.width.div_ceil(8), component.height.div_ceil(8))
    }

    /// Reads row `y` of the scan's units. `rows[c]` holds the blocks of component c that belong to it: the block rows
    /// of an MCU row, or one block row.
    pub(super) fn read_row(
        &mut self,
        y: usize,
        frame: &Frame,
        bits: &mut Bits<'_>,
        rows: &mut [&mut [Block]],
    ) -> Result<(), Problem> {
        let (across, _) = self.units(frame);
        let interleaved = self.is_interleaved();
        for x in 0..across {
            let unit = y * across + x;
            if self.restart_interval > 0 && unit > 0 && unit.is_multiple_of(self.restart_interval) {
                self.restart(bits, unit / self.restart_interval)?;
            }
            if bits.have_run_out() {
                continue;
            }
            for i in 0..self.parts.len() {
                let c = self.parts[i].component;
                let component = &frame.components[c];
                let (h, v) = if interleaved {
                    (component.h, component.v)
                } else {
                    (1, 1)
                };
                for down in 0..v {
                    for right in 0..h {
                        let block = &mut rows[c][down * component.blocks_across + x * h + right];
                        self.read_block(i, bits, block);
                    }
                }
            }
        }
        if bits.are_exhausted() { Err(cut_short()) } else { Ok(()) }
    }

    /// Whether nothing of this scan is left to read.
    pub(super) fn is_over(&self, bits: &Bits<'_>) -> bool {
        self.restart_interval == 0 && bits.have_run_out()
    }

    /// Reads over the restart marker before the segment of this number, from 1.
    fn restart(&mut self, bits: &mut Bits<'_>, segment: usize) -> Result<(), Problem> {
        if bits.are_exhausted() {
            return Err(cut_short());
        }
        bits.restart(((segment - 1) % 8) as u8);
        self.end_of_bands = 0;
        for part in &mut self.parts {
            part.prediction = 0;
        }
        Ok(())
    }

    #[inline(always)]
    fn read_block(&mut self, part: usize, bits: &mut Bits<'_>, block: &mut Block) {
        let part = &mut self.parts[part];
        if self.first == 0 {
            bits.refill();
            if self.is_refinement {
                block[0] |= (bits.take(1) << self.low) as i16;
            } else if let Some(dc) = part.dc {
                let size = u32::from(dc.next(bits)).min(16);
                part.prediction = part.prediction.wrapping_add(bits.signed(size));
                block[0] = (part.prediction << self.low) as i16;
            }
        }
        let Some(ac) = part.ac else { return };
        match (self.is_progressive, self.is_refinement) {
            _ if self.last == 0 => {}
            (false, _) => read_ac(bits, ac, block),
            (true, false) => self.read_band(bits, ac, block),
            (true, true) => self.refine_band(bits, ac, block),
        }
    }

    /// Reads the first bits of a band (G.1.2.2).
    fn read_band(&mut self, bits: &mut Bits<'_>, ac: &HuffmanTable, block: &mut Block) {
        if self.end_of_bands > 0 {
            self.end_of_bands -= 1;
            return;
        }
        let mut k = self.first;
        while k <= self.last {
            bits.refill();
            let (run, size) = split(ac.next(bits));
            if size == 0 && run < 15 {
                self.end_of_bands = (1 << run) - 1 + bits.take(run);
                return;
            }
            k += run as usize;
            if size > 0 {
                block[block_position(k)] = (bits.signed(size) << self.low) as i16;
            }
            k += 1;
        }
    }

    /// Reads one more bit of a band (G.1.2.3): for each known coefficient on the way, and 1 or -1 for new ones.
    fn refine_band(&mut self, bits: &mut Bits<'_>, ac: &HuffmanTable, block: &mut Block) {
        let one = 1i16 << self.low;
        let mut k = self.first;
        if self.end_of_bands == 0 {
            while k <= self.last {
                bits.refill();
                let (run, size) = split(ac.next(bits));
                let mut value = 0;
                if size > 0 {
                    value = if bits.take(1) == 1 { one } else { -one };
                } else if run < 15 {
                    self.end_of_bands = (1 << run) + bits.take(run);
                    break;
                }
                k = self.pass(bits, block, k, run, one);
                if value != 0 {
                    block[block_position(k)] = value;
                }
                k += 1;
            }
        }
        if self.end_of_bands > 0 {
            self.pass(bits, block, k, u32::MAX, one);
            self.end_of_bands -= 1;
        }
    }

    /// Refines known coefficients from `k` on and skips `zeros` unknown ones. Returns the position of the next unknown
    /// one.
    fn pass(&self, bits: &mut Bits<'_>, block: &mut Block, mut k: usize, mut zeros: u32, one: i16) -> usize {
        while k <= self.last {
            let value = &mut block[usize::from(ZIGZAG[k])];
            if *value == 0 {
                if zeros == 0 {
                    break;
                }
                zeros -= 1;
            } else {
                bits.refill();
                if bits.take(1) == 1 && *value & one == 0 {
                    *value = value.wrapping_add(if *value > 0 { one } else { -one });
                }
            }
            k += 1;
        }
        k
    }
}

/// Reads all AC coefficients of a sequential block (F.2.2.2).
#[inline(always)]
fn read_ac(bits: &mut Bits<'_>, ac: &HuffmanTable, block: &mut Block) {
    let mut k = 1;
    while k < BLOCK {
        bits.refill();
        if let Some(coefficient) = ac.next_coefficient(bits) {
            k += usize::from(coefficient.run);
            block[block_position(k)] = coefficient.value;
            k += 1;
            continue;
        }
        let (run, size) = split(ac.next(bits));
        if size == 0 {
            if run < 15 {
                return;
            }
            k += 16;
            continue;
        }
        k += run as usize;
        block[block_position(k)] = bits.signed(size) as i16;
        k += 1;
    }
}

/// The block position of coefficient `k` in zigzag order. Damaged data can exceed the last one; libjpeg then uses the
/// last.
#[inline(always)]
fn block_position(k: usize) -> usize {
    usize::from(ZIGZAG[k.min(BLOCK - 1)])
}

/// Splits a symbol into the number of zeros before a coefficient and the number of its bits.
#[inline(always)]
fn split(symbol: u8) -> (u32, u32) {
    (u32::from(symbol >> 4), u32::from(symbol & 15))
}
