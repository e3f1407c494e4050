//! How large an image may be.

use super::problem::Problem;
use crate::error::{Control, Hint, hint};
use crate::memory::DECODING;

/// How large an image may be, so that a small file cannot claim all memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of pixels; by default 256 megapixels (2^28).
    pub max_pixels: u64,
    /// The maximum number of bytes in decoded form; by default 1 GiB.
    pub max_decoded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 1 << 28,
            max_decoded_bytes: 1 << 30,
        }
    }
}

/// Takes memory for decoding, and waits while other images hold it. Once for each image: see [`Pool::take`].
///
/// [`Pool::take`]: crate::memory::Pool::take
pub(super) fn admit(bytes: u64) -> Result<(), Problem> {
    let taken = DECODING.take(bytes);
    taken.map_err(|lack| Problem::new(lack.to_string(), "scale it down first"))
}

/// Rejects an image by its size, before it is decoded.
pub(super) fn check_size(width: u64, height: u64, decoded_bytes: u64, limits: &Limits) -> Result<(), Problem> {
    if width == 0 || height == 0 {
        return Err(Problem::new(
            format!("it has no pixels: {width}x{height}"),
            "copy or fetch the file again",
        ));
    }
    let pixels = width.saturating_mul(height);
    if pixels > limits.max_pixels {
        return Err(Problem::new(
            format!(
                "it has {width}x{height} = {pixels} pixels; at most {} are decoded",
                limits.max_pixels
            ),
            match decoded_bytes > limits.max_decoded_bytes {
                // A higher limit on pixels would not help.
                true => "scale it down first".into(),
                false => Hint::from("scale it down first").or(hint!("raise the limit with {}", Control::MaxPixels)),
            },
        ));
    }
    if decoded_bytes > limits.max_decoded_bytes {
        return Err(Problem::new(
            format!(
                "its {width}x{height} pixels take {decoded_bytes} bytes decoded; at most {} are allowed",
                limits.max_decoded_bytes
            ),
            "scale it down or convert it to 8 bits per channel first",
        ));
    }
    Ok(())
}
