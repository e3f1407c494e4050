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
    /// Without what fills up the last blocks.
    width: usize,
    height: usize,
}

impl Plane {
    pub(super) fn new(frame: &Frame, component: &Component) -> Result<Self, Problem> {
        let stride = component.blocks_across * component.side.px();
        let [width, height] = frame.plane_size(component);
        Ok(Self {
            bytes: zeroes(stride * component.blocks_down * component.side.px())?,
            stride,
            width,
            height,
        })
    }

    /// Transforms rows of blocks and writes them from block row `first` of the plane on.
    pub(super) fn fill(&mut self, first: usize, blocks: &[Block], component: &Component) {
        let quant = component.quant.unwrap_or([0; BLOCK]);
        let rows = self
            .bytes
            .chunks_exact_mut(self.stride * component.side.px())
            .skip(first);
        for (pixels, row) in rows.zip(blocks.chunks_exact(component.blocks_across)) {
            idct_row(row, &quant, component.side, pixels, self.stride);
        }
    }

    fn row(&self, y: usize) -> &[u8] {
        &self.bytes[y * self.stride..][..self.width]
    }
}

/// Scales chroma to the size of luma and converts all components to the image's bytes.
pub(super) fn to_pixels(frame: &Frame, planes: &[Plane], colours: ColourSpace) -> Result<Vec<u8>, Problem> {
    let [width, height] = frame.decoded_size();
    let row_bytes = width * colours.mode().channels();
    let mut out: Vec<u8> = zeroes(row_bytes * height)?;
    let components = frame.components.iter().zip(planes);
    let mut rows: Vec<Upsampler> = components.map(|(c, plane)| Upsampler::new(frame, c, plane)).collect();
    for (y, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        let rows: Vec<&[u8]> = rows.iter_mut().map(|row| &row.row(y)[..width]).collect();
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
struct Upsampler<'a> {
    plane: &'a Plane,
    is_interpolated: bool,
    /// How many times each pixel is repeated, horizontally and vertically.
    across: usize,
    down: usize,
    row: Vec<u8>,
    sums: Vec<u16>,
}

impl<'a> Upsampler<'a> {
    fn new(frame: &Frame, component: &Component, plane: &'a Plane) -> Self {
        let (across, down) = frame.upsampling(component);
        Self {
            plane,
            is_interpolated: frame.is_interpolated(),
            across,
            down,
            row: vec![0; plane.width * across],
            sums: vec![0; plane.width],
        }
    }

    /// Row `y` of the image.
    fn row(&mut self, y: usize) -> &[u8] {
        let plane = self.plane;
        // libjpeg does not interpolate rows of one or two pixels.
        let is_wide = self.is_interpolated && plane.width > 2;
        let near = plane.row(y / self.down);
        // Of two new rows, the upper one also takes from the row above and the lower one from the row below. At the top
        // and the bottom the edge row takes that part too.
        let far = || match y % 2 {
            0 => plane.row((y / 2).saturating_sub(1)),
            _ => plane.row((y / 2 + 1).min(plane.height - 1)),
        };
        match (self.across, self.down) {
            (1, 1) => return near,
            (2, 1) if is_wide => double_width(near, &mut self.row),
            (1, 2) if self.is_interpolated => double_height(near, far(), 1 + (y % 2) as u16, &mut self.row),
            (2, 2) if is_wide => double_width_of_sums(near, far(), &mut self.sums, &mut self.row),
            _ => repeat(near, self.across, &mut self.row),
        }
        &self.row
    }
}
