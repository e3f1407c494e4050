//! How the bytes of a file are to be read as an image.

use super::limits::Limits;
use super::reduction::Reduction;

/// Whether the image is turned as the camera recorded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// Turned as EXIF or XMP says, in JPEG, PNG, WebP and TIFF.
    #[default]
    Upright,
    /// Left as the pixels are stored.
    AsStored,
}

/// How the bytes of a file are decoded.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) orientation: Orientation,
    pub(super) reduction: Reduction,
    pub(super) limits: &'a Limits,
}
