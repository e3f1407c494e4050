//! YCbCr of HEVC to RGB, as libheif computes it: chroma is repeated, not interpolated.

use heic_rs::hevc::{ChromaFormat, Frame};
use heic_rs::{MatrixCoefficients, Nclx, Range};

use super::signal::Signal;

/// How samples become colours.
pub(super) struct Colours {
    is_full_range: bool,
    /// What Cr adds to red, Cb and Cr to green, and Cb to blue.
    r_cr: f32,
    g_cb: f32,
    g_cr: f32,
    b_cb: f32,
}

impl Colours {
    /// The container's word counts before the bit stream's.
    pub(super) fn new(container: Option<Nclx>, stream: Signal) -> Self {
        let (is_full_range, matrix) = match container {
            Some(nclx) => (
                nclx.range == Range::Full,
                MatrixCoefficients::from_code(nclx.matrix_code),
            ),
            None => (
                stream.is_full_range,
                stream
                    .matrix
                    .map_or(MatrixCoefficients::Unspecified, MatrixCoefficients::from_code),
            ),
        };
        let (kr, kb) = match matrix {
            MatrixCoefficients::Unspecified | MatrixCoefficients::Other(_) => MatrixCoefficients::Bt601.luma_weights(),
            known => known.luma_weights(),
        };
        let kg = 1.0 - kr - kb;
        Colours {
            is_full_range,
            r_cr: 2.0 * (1.0 - kr),
            g_cb: 2.0 * kb * (kb - 1.0) / kg,
            g_cr: 2.0 * kr * (kr - 1.0) / kg,
            b_cb: 2.0 * (1.0 - kb),
        }
    }

    /// The columns of one row of a frame as `(n, 3)` RGB.
    pub(super) fn row(&self, frame: &Frame, row: usize, rgb: &mut [u8]) {
        let luma = &frame.y[row * frame.y_stride as usize..];
        let chroma_row = (row >> frame.chroma.y_shift()) * frame.c_stride as usize;
        let (cb, cr) = (&frame.cb[chroma_row..], &frame.cr[chroma_row..]);
        let x_shift = frame.chroma.x_shift();
        let is_exact = self.is_full_range && frame.chroma == ChromaFormat::Yuv420;
        // As libheif, which makes 8 bits of more before anything else.
        let bits = frame.bit_depth - 8;
        let fixed = [self.r_cr, self.g_cb, self.g_cr, self.b_cb].map(|factor| (factor * 256.0).round() as i32);
        for (x, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let samples = [luma[x] >> bits, cb[x >> x_shift] >> bits, cr[x >> x_shift] >> bits];
            let colours = match is_exact {
                true => in_integers(fixed, samples),
                false => self.in_floats(samples),
            };
            pixel.copy_from_slice(&colours);
        }
    }

    /// libheif's `Op_YCbCr_to_RGB`.
    fn in_floats(&self, [y, cb, cr]: [u16; 3]) -> [u8; 3] {
        let (mut y, mut cb, mut cr) = (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0);
        if !self.is_full_range {
            y = (y - 16.0) * 1.1689;
            cb *= 1.1429;
            cr *= 1.1429;
        }
        let colours = [
            y + self.r_cr * cr,
            y + self.g_cb * cb + self.g_cr * cr,
            y + self.b_cb * cb,
        ];
        colours.map(|level| (level + 0.5).clamp(0.0, 255.0) as u8)
    }
}

/// libheif's `Op_YCbCr420_to_RGB24`.
fn in_integers([r_cr, g_cb, g_cr, b_cb]: [i32; 4], [y, cb, cr]: [u16; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let clipped = |level: i32| level.clamp(0, 255) as u8;
    [
        clipped(y + ((r_cr * cr + 128) >> 8)),
        clipped(y + ((g_cb * cb + g_cr * cr + 128) >> 8)),
        clipped(y + ((b_cb * cb + 128) >> 8)),
    ]
}
