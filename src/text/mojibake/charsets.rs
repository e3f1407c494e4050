//! The single-byte code pages in which UTF-8 is commonly decoded by mistake.
//!
//! The Windows ones are ftfy's "sloppy" codecs: an undefined byte decodes to the control character of the same number,
//! and U+FFFD encodes to the byte 1A, so that the bytes mark lost characters.

use std::sync::LazyLock;

/// One code page. The bytes below 80 are ASCII in all of them.
pub(super) struct Charset {
    name: &'static str,
    /// The characters of the bytes 80 to FF.
    upper: Vec<char>,
    /// The same characters with their bytes, sorted by character.
    bytes: Vec<(char, u8)>,
    /// Whether byte 1A stands for a lost character (U+FFFD) instead of U+001A.
    marks_losses: bool,
}

/// Latin-1, then those of `charsets.txt`, in the order in which ftfy tries them.
static CHARSETS: LazyLock<Vec<Charset>> = LazyLock::new(|| {
    let latin_1 = Charset::new("latin-1", ('\u{80}'..='\u{ff}').collect());
    let others = include_str!("../data/charsets.txt").lines().map(|line| {
        let (name, codes) = line.split_once(' ').expect("a line is a name and 128 code points");
        let upper = codes
            .split(' ')
            .filter_map(|hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?));
        Charset::new(name, upper.collect())
    });
    std::iter::once(latin_1).chain(others).collect()
});

impl Charset {
    fn new(name: &'static str, upper: Vec<char>) -> Self {
        assert_eq!(
            upper.len(),
            128,
            "data/charsets.txt has {} upper characters for `{name}`, not 128",
            upper.len()
        );
        let mut bytes: Vec<(char, u8)> = upper.iter().copied().zip(0x80..=0xff).collect();
        bytes.sort_unstable();
        Self {
            name,
            upper,
            bytes,
            marks_losses: name.starts_with("sloppy"),
        }
    }

    /// All code pages, in the order in which they are tried.
    pub(super) fn all() -> &'static [Charset] {
        &CHARSETS
    }

    /// Windows-1252, with undefined bytes as control characters.
    pub(super) fn windows_1252() -> &'static Charset {
        &CHARSETS[1]
    }

    pub(super) fn is_latin_1(&self) -> bool {
        self.name == "latin-1"
    }

    pub(super) fn is_macroman(&self) -> bool {
        self.name == "macroman"
    }

    /// Whether byte 1A stands for a lost character.
    pub(super) fn marks_losses(&self) -> bool {
        self.marks_losses
    }

    /// The character of a byte; byte 1A is U+001A.
    pub(super) fn decode(&self, byte: u8) -> char {
        match byte.checked_sub(0x80) {
            Some(upper) => self.upper[usize::from(upper)],
            None => byte.into(),
        }
    }

    /// Encodes the text, or returns `None` if this code page lacks one of its characters.
    pub(super) fn encode(&self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(text.len());
        for c in text.chars() {
            bytes.push(self.byte(c)?);
        }
        Some(bytes)
    }

    fn byte(&self, c: char) -> Option<u8> {
        match c {
            '\u{1a}' if self.marks_losses => None,
            '\0'..='\u{7f}' => Some(c as u8),
            char::REPLACEMENT_CHARACTER if self.marks_losses => Some(0x1a),
            _ => self
                .bytes
                .binary_search_by_key(&c, |entry| entry.0)
                .ok()
                .map(|found| self.bytes[found].1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_page_decodes_what_it_encodes() {
        for charset in Charset::all() {
            for byte in 0x80..=0xff {
                let c = charset.decode(byte);
                assert_eq!(
                    charset.encode(&c.to_string()),
                    Some(vec![byte]),
                    "{} {byte:x}",
                    charset.name
                );
            }
        }
    }

    #[test]
    fn windows_code_pages_encode_a_lost_character_as_1a() {
        assert_eq!(Charset::windows_1252().encode("\u{fffd}"), Some(vec![0x1a]));
        assert_eq!(Charset::windows_1252().encode("\u{1a}"), None);
        assert_eq!(Charset::all()[0].encode("\u{1a}"), Some(vec![0x1a]));
    }
}
