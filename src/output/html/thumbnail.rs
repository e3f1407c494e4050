//! Small pictures for the page: squares, as jpeg.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

/// Width and height of a small picture: sharp in a column of 14 rem, some 6 kB.
pub const THUMBNAIL_PX: usize = 224;

/// As other pages do for small pictures: what is lost isn't seen at that size.
const QUALITY: u8 = 75;

/// A jpeg of `(THUMBNAIL_PX, THUMBNAIL_PX, 3)` RGB bytes, row-major; `None` where there are not so many.
pub fn thumbnail(rgb: &[u8]) -> Option<Vec<u8>> {
    let side = u32::try_from(THUMBNAIL_PX).ok()?;
    if rgb.len() != THUMBNAIL_PX * THUMBNAIL_PX * 3 {
        return None;
    }
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    encoder.write_image(rgb, side, side, ExtendedColorType::Rgb8).ok()?;
    Some(jpeg)
}
