//! Text as other programs write it: UTF-8 or UTF-16, with or without a byte order mark, with any ends of lines.
//!
//! Every reader of text goes through here: labels, lists, records, captions, configs.

mod utf16;

use std::borrow::Cow;

use self::utf16::Marked;
pub(crate) use self::utf16::Utf8Reader;
use crate::error::{Error, Result};

/// What Windows programs write before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without the byte order mark that it may begin with.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(MARK).unwrap_or(text)
}

/// A whole text as UTF-8, without a byte order mark. What is neither UTF-8 nor UTF-16 is unchanged.
pub(crate) fn utf8(text: &[u8]) -> Cow<'_, [u8]> {
    let recoded = utf16::order_of(text, Marked::Always).and_then(|order| utf16::recoded(text, order).ok());
    recoded.map_or(Cow::Borrowed(without_mark(text)), |text| Cow::Owned(text.into_bytes()))
}

/// Whether a file with these first bytes is UTF-16.
pub(crate) fn is_utf16(start: &[u8]) -> bool {
    utf16::order_of(start, Marked::Always).is_some()
}

/// As [`utf8`], of the first bytes of a text, which may end anywhere.
pub(crate) fn utf8_start(text: &[u8]) -> Cow<'_, [u8]> {
    let recoded = utf16::order_of(text, Marked::Always).map(|order| utf16::recoded(text, order));
    recoded.map_or(Cow::Borrowed(without_mark(text)), |text| {
        Cow::Owned(text.unwrap_or_else(|start| start).into_bytes())
    })
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
/// [`Error::Usage`] if it is neither UTF-8 nor UTF-16, or has zero bytes, as files that are not text.
pub(crate) fn decoded(name: &str, bytes: Vec<u8>) -> Result<String> {
    let bad = |before: &str, what: String| {
        let last = before.rsplit(['\n', '\r']).next().unwrap_or_default();
        let place = format!("line {}, column {}", line_of_end(before), last.chars().count() + 1);
        let hint = "save it as UTF-8, which text editors offer when saving";
        Error::usage(format!("`{name}` {place}: {what}"), hint)
    };
    let text = match utf16::order_of(&bytes, Marked::Always) {
        Some(order) => utf16::recoded(&bytes, order)
            .map_err(|before| bad(&before, "the file is UTF-16, and is damaged here".to_owned()))?,
        None => String::from_utf8(bytes).map_err(|error| {
            let (before, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
            let what = format!("byte {:#04x} is not UTF-8", rest[0]);
            bad(&String::from_utf8_lossy(without_mark(before)), what)
        })?,
    };
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    match text.find('\0') {
        Some(at) => Err(bad(&text[..at], "byte 0x00 is not text".to_owned())),
        None => Ok(text),
    }
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
    n_blank: usize,
}

impl<'a> LineCount<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        LineCount {
            text,
            n_counted: 0,
            line: 1,
            n_blank: 0,
        }
    }

    /// The line of a row that begins at `start`, or after the blank lines there, which belong to no row.
    pub(crate) fn of_row(&mut self, start: usize) -> usize {
        let is_blank = |byte: &&u8| matches!(**byte, b'\r' | b'\n');
        let blank = self.text[start..].iter().take_while(is_blank).count();
        self.line += n_line_ends(&self.text[self.n_counted..start + blank]);
        // The second half of the line end before the row is not a blank line.
        let is_halved = start > 0 && self.text[start - 1..].starts_with(b"\r\n");
        self.n_blank = n_line_ends(&self.text[start + usize::from(is_halved)..start + blank]);
        self.n_counted = start + blank;
        self.line
    }

    /// The number of blank lines directly before the row that was counted last.
    pub(crate) fn n_blank_before_row(&self) -> usize {
        self.n_blank
    }
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
        check(
            b"\xff\xfec\0\n\0\0\xd8c\0",
            "`l` line 2, column 1: the file is UTF-16, and is damaged here",
        );
        check(
            b"c\0a\0t",
            "`l` line 1, column 3: the file is UTF-16, and is damaged here",
        );
        check(b"a\rcat\0dog", "`l` line 2, column 4: byte 0x00 is not text");
        check(
            b"\xef\xbb\xbfcat\na caf\xe9\n",
            "`l` line 2, column 6: byte 0xe9 is not UTF-8",
        );
    }
    #[test]
    fn utf16_is_read_as_utf8() {
        for bytes in [
            &b"\xff\xfec\0a\0\n\0"[..],
            b"c\0a\0\n\0",
            b"\xfe\xff\0c\0a\0\n",
            b"\xef\xbb\xbfca\n",
        ] {
            assert_eq!(decoded("l", bytes.to_vec()).unwrap(), "ca\n");
            assert_eq!(*utf8(bytes), *b"ca\n");
        }
        assert_eq!(*utf8(b"\xff\xd8\xff"), *b"\xff\xd8\xff");
    }
}
