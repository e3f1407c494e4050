//! YCbCr of AV1 to RGB, as libavif computes it with libyuv: chroma is interpolated, and colours are computed with six bits
//! after the point.

use heic_rs::hevc::{ChromaFormat, Frame};

use super::super::problem::Problem;
use super::{Signal, unsupported};

/// How samples become colours: libyuv's `YuvConstants`.
pub(super) enum Colours {
    /// Green, blue and red are coded as they are.
    Identity,
    Matrix(Matrix),
}

pub(super) struct Matrix {
    /// What luma is multiplied by, and added after that.
    y_gain: i32,
    y_bias: i32,
    /// What Cb adds to blue, Cb and Cr take from green, and Cr adds to red.
    b_cb: i32,
    g_cb: i32,
    g_cr: i32,
    r_cr: i32,
}

impl Colours {
    pub(super) fn new(signal: Signal, chroma: ChromaFormat) -> Result<Self, Problem> {
        // libyuv's kYuv...Constants: limited range, then full. 128 is the largest factor.
        let [limited, full] = match signal.matrix {
            0 if signal.is_full_range && chroma == ChromaFormat::Yuv444 => return Ok(Colours::Identity),
            // Of grey, the matrix doesn't matter.
            1 => [[128, 14, 34, 115], [119, 12, 30, 101]],
            2 | 5 | 6 => [[128, 25, 52, 102], [113, 22, 46, 90]],
            9 => [[128, 12, 42, 107], [120, 11, 37, 94]],
            _ if chroma == ChromaFormat::Monochrome => [[0; 4]; 2],
            other => return Err(unsupported(&format!("colours by the matrix {other} of H.273"))),
        };
        let [b_cb, g_cb, g_cr, r_cr] = if signal.is_full_range { full } else { limited };
        let (y_gain, y_bias) = match (signal.is_full_range, signal.matrix) {
            (true, _) => (16320, 32),
            (false, 9) => (19003, -1160),
            (false, _) => (18997, -1160),
        };
        Ok(Colours::Matrix(Matrix {
            y_gain,
            y_bias,
            b_cb,
            g_cb,
            g_cr,
            r_cr,
        }))
    }

    /// One row of a frame as `(width, 3)` RGB. More bits than 8 are cut off first, as libavif does.
    pub(super) fn row(&self, frame: &Frame, row: usize, rgb: &mut [u8]) {
        let bits = frame.bit_depth - 8;
        let luma = &frame.y[row * frame.y_stride as usize..];
        for (x, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let y = i32::from(luma[x] >> bits);
            let [cb, cr] = match frame.chroma {
                ChromaFormat::Monochrome => [128; 2],
                _ => [&frame.cb, &frame.cr].map(|plane| chroma(frame, plane, x, row)),
            };
            let colours = match self {
                Colours::Identity => [cr, y, cb],
                Colours::Matrix(matrix) => matrix.colours(y, cb, cr),
            };
            pixel.copy_from_slice(&colours.map(|level| level.clamp(0, 255) as u8));
        }
    }
}

impl Matrix {
    /// libyuv's `YuvPixel`.
    fn colours(&self, y: i32, cb: i32, cr: i32) -> [i32; 3] {
        let luma = ((y * 0x0101 * self.y_gain) >> 16) + self.y_bias;
        let (cb, cr) = (cb - 128, cr - 128);
        let colours = [
            luma + cr * self.r_cr,
            luma - cb * self.g_cb - cr * self.g_cr,
            luma + cb * self.b_cb,
        ];
        colours.map(|level| level >> 6)
    }
}

/// A sample of chroma between those that are coded: libyuv's `ScaleRowUp2_Linear` and `ScaleRowUp2_Bilinear`.
fn chroma(frame: &Frame, plane: &[u16], x: usize, y: usize) -> i32 {
    let (n_columns, n_rows) = frame.chroma.chroma_size(frame.width, frame.height);
    let bits = frame.bit_depth - 8;
    let at = |column: usize, row: usize| i32::from(plane[row * frame.c_stride as usize + column] >> bits);
    let near_and_far = |i: usize, n: u32| {
        let far = if i.is_multiple_of(2) {
            (i / 2).saturating_sub(1)
        } else {
            i / 2 + 1
        };
        (i / 2, far.min(n as usize - 1))
    };
    let (near_x, far_x) = match x + 1 == frame.width as usize {
        true => (x / 2, x / 2),
        false => near_and_far(x, n_columns),
    };
    match (frame.chroma.x_shift(), frame.chroma.y_shift()) {
        (0, _) => at(x, y),
        (_, 0) => (3 * at(near_x, y) + at(far_x, y) + 2) >> 2,
        _ => {
            let (near_y, far_y) = near_and_far(y, n_rows);
            let near = 3 * at(near_x, near_y) + at(far_x, near_y);
            let far = 3 * at(near_x, far_y) + at(far_x, far_y);
            (3 * near + far + 8) >> 4
        }
    }
}
