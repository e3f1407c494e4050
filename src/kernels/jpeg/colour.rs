//! YCbCr of jpeg (full range, ITU-R BT.601) to RGB, in 16 fractional bits, as libjpeg's tables hold it.

use super::fast;

/// `x` with 16 fractional bits.
const fn fix(x: f64) -> i32 {
    (x * 65536.0 + 0.5) as i32
}

const HALF: i32 = 1 << 15;

/// Rows of luma and chroma, each of one pixel's worth a pixel, to `(n, 3)` RGB.
pub(crate) fn ycc_to_rgb(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    let (pixels, rest) = rgb.as_chunks_mut::<3>();
    assert!(
        rest.is_empty() && [y.len(), cb.len(), cr.len()] == [pixels.len(); 3],
        "rows of one length"
    );
    fast(
        #[inline(always)]
        || {
            for (((pixel, &y), &cb), &cr) in pixels.iter_mut().zip(y).zip(cb).zip(cr) {
                *pixel = rgb_of(y, cb, cr);
            }
        },
    );
}

/// The same with a fourth channel that is kept; the first three are inks, 255 less the light.
pub(crate) fn ycck_to_cmyk(y: &[u8], cb: &[u8], cr: &[u8], k: &[u8], cmyk: &mut [u8]) {
    let (pixels, _) = cmyk.as_chunks_mut::<4>();
    for ((((pixel, &y), &cb), &cr), &k) in pixels.iter_mut().zip(y).zip(cb).zip(cr).zip(k) {
        let [r, g, b] = rgb_of(y, cb, cr);
        *pixel = [255 - r, 255 - g, 255 - b, k];
    }
}

#[inline(always)]
fn rgb_of(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let r = y + ((fix(1.40200) * cr + HALF) >> 16);
    let g = y + ((-fix(0.34414) * cb - fix(0.71414) * cr + HALF) >> 16);
    let b = y + ((fix(1.77200) * cb + HALF) >> 16);
    [r.clamp(0, 255) as u8, g.clamp(0, 255) as u8, b.clamp(0, 255) as u8]
}
