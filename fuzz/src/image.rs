//! Images: the whole way from bytes to the pixels of a model, through the library's entry point.

use std::borrow::Cow;
use std::sync::LazyLock;

use longclip::preprocess::{Decoding, Limits, Preprocess, size};

/// Small, so that an execution takes a millisecond at most. Seeds have up to 300x200 pixels.
const LIMITS: Limits = Limits {
    max_pixels: 1 << 16,
    max_decoded_bytes: 1 << 20,
};
/// What the model reads: images of 32 pixels and more can be decoded at a reduced size.
const SIDE: usize = 8;

/// Decodes an input that begins with one of these signatures, in which `?` is any byte. The first one is written over the
/// start of an input that has none of them, so that each execution reaches the decoder.
pub fn decode(data: &[u8], signatures: &[&[u8]], decoding: Decoding) {
    static WHOLE: LazyLock<Preprocess> = LazyLock::new(|| Preprocess::new(SIDE).limits(LIMITS));
    let preprocess = WHOLE.clone().decoding(decoding);
    let bytes = signed(data, signatures);
    match preprocess.run("image", &bytes) {
        Ok(pixels) => {
            assert!(pixels.values().iter().all(|value| value.is_finite()));
            let _ = size(&bytes);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn signed<'a>(data: &'a [u8], signatures: &[&[u8]]) -> Cow<'a, [u8]> {
    let agrees = |signature: &&&[u8]| {
        let start = data.get(..signature.len());
        start.is_some_and(|start| {
            start
                .iter()
                .zip(**signature)
                .all(|(byte, sign)| *sign == b'?' || byte == sign)
        })
    };
    let (Some(first), None) = (signatures.first(), signatures.iter().find(agrees)) else {
        return Cow::Borrowed(data);
    };
    let mut bytes = data.to_vec();
    bytes.resize(bytes.len().max(first.len()), 0);
    for (byte, sign) in bytes.iter_mut().zip(*first).filter(|(_, sign)| **sign != b'?') {
        *byte = *sign;
    }
    Cow::Owned(bytes)
}
