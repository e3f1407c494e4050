//! Finds the code page that UTF-8 was wrongly read in, and reads it again.

use super::Effort;
use super::badness::is_bad;
use super::bytes;
use super::characters::c1_control;
use super::charsets::Charset;
use super::classes::{
    Classes, UTF8_CONTINUATION, UTF8_CONTINUATION_STRICT, UTF8_FIRST_OF_2, UTF8_FIRST_OF_3, UTF8_FIRST_OF_4, classes,
};

/// Undoes wrong readings, one on top of another, until none is found.
pub(super) fn fix(mut text: String, effort: &mut Effort) -> String {
    while !text.is_ascii() && effort.allows(&text) && is_bad(&text) {
        match undo_once(&text, effort) {
            Some(fixed) if fixed != text => text = fixed,
            _ => break,
        }
    }
    text
}

/// Undoes one wrong reading of a text that is bad, if one is found.
fn undo_once(text: &str, effort: &mut Effort) -> Option<String> {
    let mut in_latin_1 = false;
    for charset in Charset::all() {
        let Some(encoded) = charset.encode(text) else { continue };
        in_latin_1 |= charset.is_latin_1();
        if let Some(fixed) = read_again(charset, encoded) {
            return Some(fixed);
        }
    }
    fix_parts(text, effort)
        .or_else(|| if in_latin_1 { latin_1_as_windows(text) } else { None })
        .or_else(|| text.contains(is_c1).then(|| text.chars().map(c1_control).collect()))
}

/// Reads the text's bytes in `charset` as UTF-8, with the repairs that this code page allows.
fn read_again(charset: &Charset, mut encoded: Vec<u8>) -> Option<String> {
    // In MacRoman these bytes are a dash and a space.
    if !charset.is_macroman() && bytes::has_altered_a0(&encoded) {
        encoded = bytes::restore_a0(&encoded);
    }
    if charset.marks_losses() {
        encoded = bytes::replace_lossy(&encoded);
    }
    bytes::decode_utf8(encoded)
}

/// Latin-1 with control characters was Windows-1252, if all of its bytes have a meaning there.
fn latin_1_as_windows(text: &str) -> Option<String> {
    const HOLES: [char; 5] = ['\u{81}', '\u{8d}', '\u{8f}', '\u{90}', '\u{9d}'];
    if !text.contains(is_c1) || text.contains(HOLES) {
        return None;
    }
    Some(text.chars().map(c1_control).collect())
}

fn is_c1(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}')
}

/// Repairs the parts of a text that look like UTF-8 on their own, where the whole is no UTF-8 in any code page.
fn fix_parts(text: &str, effort: &mut Effort) -> Option<String> {
    let parts = utf8_like(text);
    if parts.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut written = 0;
    for part in parts {
        out.push_str(&text[written..part.start]);
        written = part.end;
        let part = &text[part];
        // The whole has been tried already.
        if part.len() < text.len() && is_bad(part) {
            out.push_str(&fix(part.to_owned(), effort));
        } else {
            out.push_str(part);
        }
    }
    out.push_str(&text[written..]);
    (out != text).then_some(out)
}

/// The sequences of UTF-8, two to four bytes each, and what may start and continue them in some code page.
const SEQUENCES: [(Classes, usize); 3] = [(UTF8_FIRST_OF_2, 1), (UTF8_FIRST_OF_3, 2), (UTF8_FIRST_OF_4, 3)];

/// Where several such sequences stand together, not in the middle of a longer garble (ftfy's `UTF8_DETECTOR_RE`).
fn utf8_like(text: &str) -> Vec<std::ops::Range<usize>> {
    let chars: Vec<(usize, Classes)> = text.char_indices().map(|(at, c)| (at, classes(c))).collect();
    let sequence_len = |at: usize| {
        let fits = |&(first, more): &(Classes, usize)| {
            let rest = &chars[at..];
            rest.len() > more
                && rest[0].1 & first != 0
                && rest[1..=more]
                    .iter()
                    .all(|&(_, classes)| classes & UTF8_CONTINUATION != 0)
        };
        SEQUENCES
            .iter()
            .find(|sequence| fits(sequence))
            .map(|sequence| sequence.1 + 1)
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let in_garble = start > 0 && chars[start - 1].1 & UTF8_CONTINUATION_STRICT != 0;
        if !in_garble {
            while let Some(len) = (at < chars.len()).then(|| sequence_len(at)).flatten() {
                at += len;
            }
        }
        if at > start {
            let end = chars.get(at).map_or(text.len(), |next| next.0);
            found.push(chars[start].0..end);
        } else {
            at += 1;
        }
    }
    found
}
