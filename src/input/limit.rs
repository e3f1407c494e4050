//! The limit on the size of one encoded image.

use std::io::{self, Read};

/// The most bytes of one encoded image. A photo of 200 megapixels takes about 100 MB; more is a mistake or an attack.
pub(crate) const LARGEST_BYTES: u64 = 1 << 30;

/// All bytes of a reader, or `None` if there are more than [`LARGEST_BYTES`].
pub(super) fn read_at_most(reader: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= LARGEST_BYTES).then_some(bytes))
}
