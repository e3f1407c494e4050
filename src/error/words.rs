//! What the system calls things, as messages show it.

use std::ffi::OsStr;
use std::fmt;
use std::io;

/// A file's name as text. Bytes that are not UTF-8 become `\xff`, so that two names stay two.
pub(crate) fn in_words(name: impl AsRef<OsStr>) -> String {
    let mut text = String::new();
    for chunk in name.as_ref().as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        chunk
            .invalid()
            .iter()
            .for_each(|byte| text += &format!("\\x{byte:02x}"));
    }
    text
}

/// What the system said, without the number that it has for it.
pub(super) struct Said<'a>(pub(super) &'a io::Error);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_number(&self.0.to_string()))
    }
}

/// A message without ` (os error 2)`, which adds nothing to the words before it.
pub fn without_number(message: &str) -> String {
    let mut rest = message;
    let mut kept = String::with_capacity(message.len());
    while let Some((before, after)) = rest.split_once(" (os error ") {
        kept += before;
        let n_digits = after.bytes().take_while(u8::is_ascii_digit).count();
        rest = match after[n_digits..].strip_prefix(')') {
            Some(rest) if n_digits > 0 => rest,
            _ => {
                kept += " (os error ";
                after
            }
        };
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_left_out() {
        let error = io::Error::from_raw_os_error(2);
        assert!(error.to_string().contains("os error"));
        assert!(!Said(&error).to_string().contains("os error"), "{}", Said(&error));
        for (message, expected) in [
            ("no (os error 2), then (os error 13): x", "no, then: x"),
            ("a (os error x) b (os error 2", "a (os error x) b (os error 2"),
        ] {
            assert_eq!(without_number(message), expected);
        }
    }
}
