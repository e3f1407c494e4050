//! The chunks of a PNG file, for what the decoder does not do: metadata after the pixels, and files without their end.

use std::borrow::Cow;

const SIGNATURE_BYTES: usize = 8;
/// Length and kind before a chunk's content, and a checksum after it.
const AROUND_BYTES: usize = 12;
const END: [u8; AROUND_BYTES] = *b"\0\0\0\0IEND\xae\x42\x60\x82";

#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    pub(super) kind: [u8; 4],
    pub(super) content: &'a [u8],
}

/// The whole chunks of a file, up to its end.
pub(super) fn chunks(bytes: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let mut rest = bytes.get(SIGNATURE_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        let &[a, b, c, d, kind @ ..] = rest.first_chunk::<8>()?;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let content = rest[8..].get(..length)?;
        rest = rest.get(AROUND_BYTES + length..)?;
        if &kind == b"IEND" {
            rest = &[];
        }
        Some(Chunk { kind, content })
    })
}

/// The file with an end, if only that is missing: Pillow reads such a file.
pub(super) fn with_end(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (mut at, mut has_pixels) = (SIGNATURE_BYTES, false);
    for chunk in chunks(bytes) {
        match &chunk.kind {
            b"IEND" => return Cow::Borrowed(bytes),
            b"IDAT" => has_pixels = true,
            _ => {}
        }
        at += AROUND_BYTES + chunk.content.len();
    }
    // A chunk of pixels that is cut short is damage.
    let is_cut_in_pixels = bytes.get(at + 4..at + 8) == Some(b"IDAT");
    match has_pixels && !is_cut_in_pixels {
        true => Cow::Owned([&bytes[..at], &END].concat()),
        false => Cow::Borrowed(bytes),
    }
}
