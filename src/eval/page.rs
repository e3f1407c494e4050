//! What the pages of all evaluations share.

use crate::data::Image;
use crate::output::{self, THUMBNAIL_PX};
use crate::preprocess::Preprocess;

/// A small JPEG of an image, if it can still be read.
pub(super) fn thumbnail(image: &Image) -> Option<Vec<u8>> {
    let name = image.name();
    let bytes = image.item().content.take(name).ok()?;
    output::thumbnail(&Preprocess::new(THUMBNAIL_PX).decode(name, &bytes).ok()?)
}
