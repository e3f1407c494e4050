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
        let luma = frame.y[row * frame.y_stride as usize..].iter();
        let luma = luma.map(|level| i32::from(level >> bits));
        let [cb, cr] = match frame.chroma {
            ChromaFormat::Monochrome => [vec![128; frame.width as usize], vec![128; frame.width as usize]],
            _ => [&frame.cb, &frame.cr].map(|plane| chroma(frame, plane, row)),
        };
        let samples = luma.zip(cb).zip(cr);
        for (pixel, ((y, cb), cr)) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
            let colours = match self {
                Colours::Identity => [cr, y, cb],
                Colours::Matrix(matrix) => matrix.colours(y, cb, cr),
            };
            *pixel = colours.map(|level| level.clamp(0, 255) as u8);
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

/// A row of chroma with the samples between those that are coded: libyuv's `ScaleRowUp2_Linear` and
/// `ScaleRowUp2_Bilinear`.
fn chroma(frame: &Frame, plane: &[u16], y: usize) -> Vec<i32> {
    let (n_columns, n_rows) = frame.chroma.chroma_size(frame.width, frame.height);
    let bits = frame.bit_depth - 8;
    let coded = |row: usize| {
        let row = plane[row * frame.c_stride as usize..][..n_columns as usize].iter();
        row.map(|level| i32::from(level >> bits))
    };
    if frame.chroma.x_shift() == 0 {
        return coded(y).collect();
    }
    let (near, far) = match (frame.chroma.y_shift(), y.is_multiple_of(2)) {
        (0, _) => (y, y),
        (_, true) => (y / 2, (y / 2).saturating_sub(1)),
        (_, false) => (y / 2, (y / 2 + 1).min(n_rows as usize - 1)),
    };
    // In quarters, from the rows; the columns make sixteenths of them.
    let mixed: Vec<i32> = coded(near).zip(coded(far)).map(|(near, far)| 3 * near + far).collect();
    let between = |near: i32, far: i32| (3 * near + far + 8) >> 4;
    let width = frame.width as usize;
    let mut row = vec![0; width];
    row[0] = between(mixed[0], mixed[0]);
    for (pair, sides) in row[1..].as_chunks_mut::<2>().0.iter_mut().zip(mixed.windows(2)) {
        *pair = [between(sides[0], sides[1]), between(sides[1], sides[0])];
    }
    let last = mixed[mixed.len() - 1];
    row[width - 1] = between(last, last);
    row
}
