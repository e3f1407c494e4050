//! Thumbnails for the pages: square JPEGs.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::preprocess::{Picture, Preprocess};

/// Width and height of a thumbnail: sharp in a column of 14 rem, and about 6 kB.
pub const THUMBNAIL_PX: usize = 224;

/// A common choice for thumbnails: the loss is invisible at this size.
const QUALITY: u8 = 75;

/// A small square JPEG of an image, cropped at the centre as for a model.
pub fn thumbnail(image: &Picture) -> Option<Vec<u8>> {
    thumbnail_jpeg(&Preprocess::new(THUMBNAIL_PX).crop_u8(image))
}

/// Encodes `(THUMBNAIL_PX, THUMBNAIL_PX, 3)` RGB bytes, row-major, as JPEG; `None` for another number of bytes.
pub fn thumbnail_jpeg(rgb: &[u8]) -> Option<Vec<u8>> {
    let side = u32::try_from(THUMBNAIL_PX).ok()?;
    if rgb.len() != THUMBNAIL_PX * THUMBNAIL_PX * 3 {
        return None;
    }
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    encoder.write_image(rgb, side, side, ExtendedColorType::Rgb8).ok()?;
    Some(jpeg)
}
