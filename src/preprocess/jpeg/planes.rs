//! From coefficients to pixels: the planes of components, chroma in the size of luma, colours.

use super::super::picture::Mode;
use super::super::problem::Problem;
use super::ColourSpace;
use super::frame::{Component, Frame};
use super::scan::Block;
use crate::kernels::jpeg::{
    BLOCK, double_height, double_width, double_width_of_sums, idct_row, repeat, ycc_to_rgb, ycck_to_cmyk,
};
use crate::kernels::zeroes;

/// The pixels of a component, in whole blocks.
pub(super) struct Plane {
    pub(super) bytes: Vec<u8>,
    stride: usize,
}

impl Plane {
    pub(super) fn new(component: &Component) -> Result<Self, Problem> {
        let stride = component.blocks_across * 8;
        Ok(Self {
            bytes: zeroes(stride * component.blocks_down * 8)?,
            stride,
        })
    }

    /// Transforms rows of blocks and writes them from block row `first` of the plane on.
    pub(super) fn fill(&mut self, first: usize, blocks: &[Block], component: &Component) {
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

/// Scales chroma to the size of luma and converts all components to the image's bytes.
pub(super) fn to_pixels(frame: &Frame, planes: &[Plane], colours: ColourSpace) -> Result<Vec<u8>, Problem> {
    let row_bytes = frame.width * colours.mode().channels();
    let mut out: Vec<u8> = zeroes(row_bytes * frame.height)?;
    let mut rows: Vec<Upsampler> = frame.components.iter().map(|c| Upsampler::new(frame, c)).collect();
    for (y, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        let components = frame.components.iter().zip(planes);
        let rows: Vec<&[u8]> = rows
            .iter_mut()
            .zip(components)
            .map(|(row, (c, p))| &row.row(y, c, p)[..frame.width])
            .collect();
        match (colours, rows.as_slice()) {
            (ColourSpace::Ycc, [luma, cb, cr]) => ycc_to_rgb(luma, cb, cr, out),
            (ColourSpace::Ycck, [luma, cb, cr, k]) => ycck_to_cmyk(luma, cb, cr, k, out),
            _ => interleave(&rows, out),
        }
    }
    if colours.mode() == Mode::Cmyk {
        // Adobe stores inverted ink values, and all other programs follow.
        out.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    Ok(out)
}

fn interleave(rows: &[&[u8]], out: &mut [u8]) {
    for (c, row) in rows.iter().enumerate() {
        for (byte, &value) in out[c..].iter_mut().step_by(rows.len()).zip(*row) {
            *byte = value;
        }
    }
}

/// Scales a component's rows to the size of the image. Chooses the method as libjpeg does (`jdsample.c`).
struct Upsampler {
    /// How many times each pixel is repeated, horizontally and vertically.
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

    /// Row `y` of the image.
    fn row<'a>(&'a mut self, y: usize, component: &Component, plane: &'a Plane) -> &'a [u8] {
        // libjpeg does not interpolate rows of one or two pixels.
        let is_wide = component.width > 2;
        let near = plane.row(y / self.down, component);
        // Of two new rows, the upper one also takes from the row above and the lower one from the row below. At the top
        // and the bottom the edge row takes that part too.
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
