//! Base64 as users write it: padded or not, with line breaks, after `data:image/png;base64,`.

use ::base64::Engine;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes `text`.
pub(super) fn decoded(text: &str) -> Result<Vec<u8>, ::base64::DecodeError> {
    let body = match text.split_once(";base64,") {
        Some((kind, body)) if kind.starts_with("data:") => body,
        _ => text,
    };
    if body.contains(|c: char| c.is_ascii_whitespace()) {
        let dense: String = body.split_ascii_whitespace().collect();
        return LENIENT.decode(dense);
    }
    LENIENT.decode(body)
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn padding_line_breaks_and_a_data_url_make_no_difference() {
        for text in ["YWJjZA==", "YWJjZA", "YWJj\nZA==\n", "data:image/png;base64,YWJjZA=="] {
            assert_eq!(decoded(text).unwrap(), b"abcd", "{text}");
        }
        assert!(decoded("%%").is_err());
    }
}
