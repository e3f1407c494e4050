//! YCbCr of JPEG (full range, ITU-R BT.601) to RGB, with 16 fractional bits like libjpeg's tables.

use super::vectorised;

/// `x` with 16 fractional bits.
const fn fix(x: f64) -> i32 {
    (x * 65536.0 + 0.5) as i32
}

const HALF: i32 = 1 << 15;

/// Pixels converted together.
const GROUP: usize = 64;

/// Converts rows of luma and chroma with one value per pixel to `(n, 3)` RGB.
pub(crate) fn ycc_to_rgb(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    assert!(
        [y.len(), cb.len(), cr.len()] == [rgb.len() / 3; 3] && rgb.len().is_multiple_of(3),
        "rows of one length"
    );
    vectorised(
        #[inline(always)]
        || {
            let (y_groups, y_rest) = y.as_chunks::<GROUP>();
            let (cb_groups, cb_rest) = cb.as_chunks::<GROUP>();
            let (cr_groups, cr_rest) = cr.as_chunks::<GROUP>();
            let (rgb_groups, rgb_rest) = rgb.as_chunks_mut::<{ 3 * GROUP }>();
            for (((y, cb), cr), rgb) in y_groups.iter().zip(cb_groups).zip(cr_groups).zip(rgb_groups) {
                *rgb = group(y, cb, cr);
            }
            let (pixels, _) = rgb_rest.as_chunks_mut::<3>();
            for (((pixel, &y), &cb), &cr) in pixels.iter_mut().zip(y_rest).zip(cb_rest).zip(cr_rest) {
                *pixel = rgb_of(y, cb, cr);
            }
        },
    );
}

/// Converts a group of pixels. Storing three bytes per pixel does not vectorise, so words are computed first and then
/// stored with overlap.
#[inline(always)]
fn group(y: &[u8; GROUP], cb: &[u8; GROUP], cr: &[u8; GROUP]) -> [u8; 3 * GROUP] {
    let mut words = [0u32; GROUP];
    for (((word, &y), &cb), &cr) in words.iter_mut().zip(y).zip(cb).zip(cr) {
        let [r, g, b] = rgb_of(y, cb, cr);
        *word = u32::from_le_bytes([r, g, b, 0]);
    }
    let mut bytes = [0; 3 * GROUP + 1];
    for (i, word) in words.iter().enumerate() {
        bytes[3 * i..3 * i + 4].copy_from_slice(&word.to_le_bytes());
    }
    std::array::from_fn(|i| bytes[i])
}

/// Converts to CMYK. The first three channels are 255 minus RGB, the fourth is copied.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_groups_and_remainders_like_single_pixels() {
        for n in [1, 2, 63, 64, 65, 128, 200] {
            let plane = |factor: usize| -> Vec<u8> { (0..n).map(|i| (i * factor + i / 7) as u8).collect() };
            let [y, cb, cr] = [31, 57, 101].map(plane);
            let mut rgb = vec![0; 3 * n];
            ycc_to_rgb(&y, &cb, &cr, &mut rgb);
            let expected: Vec<u8> = (0..n).flat_map(|i| rgb_of(y[i], cb[i], cr[i])).collect();
            assert_eq!(rgb, expected, "{n} pixels");
        }
    }

    #[test]
    fn converts_white_black_and_red() {
        assert_eq!(rgb_of(255, 128, 128), [255, 255, 255]);
        assert_eq!(rgb_of(0, 128, 128), [0, 0, 0]);
        assert_eq!(rgb_of(76, 85, 255), [254, 0, 0]);
    }
}
