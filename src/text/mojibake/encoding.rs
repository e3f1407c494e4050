//! Finds the code page in which UTF-8 was wrongly decoded, and decodes the text again.

use super::Budget;
use super::badness::is_bad;
use super::bytes;
use super::characters::c1_control;
use super::charsets::Charset;
use super::classes::{
    Classes, UTF8_CONTINUATION, UTF8_CONTINUATION_STRICT, UTF8_FIRST_OF_2, UTF8_FIRST_OF_3, UTF8_FIRST_OF_4, classes,
};

/// Undoes wrong decodings, which may be stacked, until no more are found.
pub(super) fn fix(mut text: String, budget: &mut Budget) -> String {
    while !text.is_ascii() && budget.spend(&text) && is_bad(&text) {
        match undo_once(&text, budget) {
            Some(fixed) if fixed != text => text = fixed,
            _ => break,
        }
    }
    text
}

/// Undoes one wrong decoding of a bad text; `None` if none is found.
fn undo_once(text: &str, budget: &mut Budget) -> Option<String> {
    let mut in_latin_1 = false;
    for charset in Charset::all() {
        let Some(encoded) = charset.encode(text) else { continue };
        in_latin_1 |= charset.is_latin_1();
        if let Some(fixed) = decode_again(charset, encoded) {
            return Some(fixed);
        }
    }
    fix_parts(text, budget)
        .or_else(|| if in_latin_1 { latin_1_as_windows(text) } else { None })
        .or_else(|| text.contains(is_c1).then(|| text.chars().map(c1_control).collect()))
}

/// Decodes the text's bytes in `charset` as UTF-8, with the repairs that suit this code page.
fn decode_again(charset: &Charset, mut encoded: Vec<u8>) -> Option<String> {
    // In MacRoman the bytes of `altered A0` sequences are a dash and a space.
    if !charset.is_macroman() && bytes::has_altered_a0(&encoded) {
        encoded = bytes::restore_a0(&encoded);
    }
    if charset.marks_losses() {
        encoded = bytes::replace_lossy(&encoded);
    }
    bytes::decode_utf8(encoded)
}

/// Latin-1 with C1 control characters was Windows-1252, unless it has a byte that Windows-1252 leaves undefined.
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

/// Repairs the parts of a text that look like UTF-8, for a text that is not UTF-8 as a whole in any code page.
fn fix_parts(text: &str, budget: &mut Budget) -> Option<String> {
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
        // The whole text has been tried already.
        if part.len() < text.len() && is_bad(part) {
            out.push_str(&fix(part.to_owned(), budget));
        } else {
            out.push_str(part);
        }
    }
    out.push_str(&text[written..]);
    (out != text).then_some(out)
}

/// The classes that may start a UTF-8 sequence in some code page, and the number of continuation bytes.
const SEQUENCES: [(Classes, usize); 3] = [(UTF8_FIRST_OF_2, 1), (UTF8_FIRST_OF_3, 2), (UTF8_FIRST_OF_4, 3)];

/// The ranges of consecutive such sequences, except in the middle of longer garble (ftfy's `UTF8_DETECTOR_RE`).
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
