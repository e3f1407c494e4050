//! Text as other programs write it: with or without a byte order mark, with any ends of lines.
//!
//! Every reader of text goes through here: labels, lists, records, captions, configs.

use crate::error::{Error, Result};

/// What Windows programs write before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without the byte order mark that it may begin with.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// The lines of a text, which end with `\n`, `\r\n` or, on old Macs, `\r`.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let now = rest?;
        let Some(end) = now.find(['\n', '\r']) else {
            rest = None;
            return Some(now);
        };
        let n_end = if now[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&now[end + n_end..]);
        Some(&now[..end])
    })
}

/// The text of a file of this name, without a byte order mark.
///
/// # Errors
/// [`Error::Usage`] if it is not UTF-8, or has zero bytes, as UTF-16 and other files that are not text.
pub(crate) fn decoded(name: &str, bytes: Vec<u8>) -> Result<String> {
    const HINT: &str = "save it as UTF-8, which text editors offer when saving";
    if is_utf16(&bytes) {
        return Err(Error::usage(format!("`{name}` is UTF-16; UTF-8 is expected"), HINT));
    }
    let at_bad_byte = |at: usize, what: &str| {
        let before = String::from_utf8_lossy(&bytes[..at]);
        let last = before.rsplit(['\n', '\r']).next().unwrap_or_default();
        let place = format!("line {}, column {}", line_of_end(&before), last.chars().count() + 1);
        Error::usage(format!("`{name}` {place}: byte {:#04x} is {what}", bytes[at]), HINT)
    };
    if let Err(error) = std::str::from_utf8(&bytes) {
        return Err(at_bad_byte(error.valid_up_to(), "not UTF-8"));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(at_bad_byte(at, "not text"));
    }
    let text = without_mark(&bytes).to_vec();
    String::from_utf8(text).map_err(|_| Error::usage(format!("`{name}` is not UTF-8"), HINT))
}

/// The number of the line that the text ends in, from 1.
fn line_of_end(text: &str) -> usize {
    n_line_ends(text.as_bytes()) + 1
}

/// How many lines end in a text.
pub(crate) fn n_line_ends(text: &[u8]) -> usize {
    let ends = text.iter().enumerate();
    ends.filter(|(i, byte)| **byte == b'\n' || (**byte == b'\r' && text.get(i + 1) != Some(&b'\n')))
        .count()
}

/// Counts lines as the rows of a table are read, in their order.
pub(crate) struct LineCount<'a> {
    text: &'a [u8],
    /// Bytes whose lines are counted.
    n_counted: usize,
    line: usize,
}

impl<'a> LineCount<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        LineCount {
            text,
            n_counted: 0,
            line: 1,
        }
    }

    /// The line of a row that begins at `start`, or after the blank lines there, which belong to no row.
    pub(crate) fn of_row(&mut self, start: usize) -> usize {
        let is_blank = |byte: &&u8| matches!(**byte, b'\r' | b'\n');
        let blank = self.text[start..].iter().take_while(is_blank).count();
        self.line += n_line_ends(&self.text[self.n_counted..start + blank]);
        self.n_counted = start + blank;
        self.line
    }
}

/// Whether bytes begin as UTF-16: with its mark, or with letters that take two bytes of which one is zero.
fn is_utf16(bytes: &[u8]) -> bool {
    let letters = |zero_at: usize| {
        let mut pairs = bytes.chunks_exact(2).take(4).peekable();
        pairs.peek().is_some() && pairs.all(|pair| pair[zero_at] == 0 && pair[1 - zero_at] != 0)
    };
    bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || letters(0) || letters(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_any_system_ends_them() {
        #[track_caller]
        fn check(text: &str, expected: &[&str]) {
            assert_eq!(lines(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
        for text in ["a\n\nb\n", "a\r\n\r\nb", "a\r\rb\r", "a\n\nb"] {
            check(text, &["a", "", "b"]);
        }
        check("", &[]);
        check("\n\na\n\n", &["", "", "a", ""]);
        assert_eq!(n_line_ends(b"a\r\nb\rc\n"), 3);
    }

    #[test]
    fn what_is_not_text_is_refused_with_its_place() {
        #[track_caller]
        fn check(bytes: &[u8], expected: &str) {
            assert_eq!(decoded("l", bytes.to_vec()).unwrap_err().to_string(), expected);
        }
        check(b"\xff\xfec\0", "`l` is UTF-16; UTF-8 is expected");
        check(b"c\0a\0t\0\n\0", "`l` is UTF-16; UTF-8 is expected");
        check(b"\0c\0a\0t", "`l` is UTF-16; UTF-8 is expected");
        check(b"a\rcat\0dog", "`l` line 2, column 4: byte 0x00 is not text");
        check(
            b"\xef\xbb\xbfcat\na caf\xe9\n",
            "`l` line 2, column 6: byte 0xe9 is not UTF-8",
        );
    }
}
