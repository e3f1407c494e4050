//! HTML entities, as Python's `html.unescape` resolves them: the WHATWG rules for text, on a whole string at once.
//!
//! Its own ways: a name takes up to 32 characters, any but white space, `<`, `&`, `#` and `;`, and of a name that is
//! not known the longest known start counts; numbers that HTML forbids disappear, or become what Windows-1252 has there.

use std::borrow::Cow;
use std::sync::LazyLock;

/// The names, sorted, some with and some without their semicolon, each with what it stands for.
static NAMES: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let value = |codes: &str| -> Option<String> {
        codes
            .split(' ')
            .map(|hex| char::from_u32(u32::from_str_radix(hex, 16).ok()?))
            .collect()
    };
    (include_str!("data/entities.txt").lines())
        .filter_map(|line| {
            let (name, codes) = line.split_once(' ')?;
            Some((name, value(codes)?))
        })
        .collect()
});

/// What a name (without `&`, with its semicolon if it has one) stands for.
pub(super) fn named(name: &str) -> Option<&'static str> {
    let names = &*NAMES;
    let found = names.binary_search_by_key(&name, |entry| entry.0).ok()?;
    Some(&names[found].1)
}

/// Resolves every entity in `text` once.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('&') else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut rest = &text[first..];
    while let Some(body) = rest.strip_prefix('&') {
        let used = resolve(body, &mut out);
        let after = &body[used..];
        let next = after.find('&').unwrap_or(after.len());
        out.push_str(&after[..next]);
        rest = &after[next..];
    }
    Cow::Owned(out)
}

/// Writes what the entity after an `&` stands for, and says how many bytes of `body` it took. What is no entity is
/// written as it stands, `&` included.
fn resolve(body: &str, out: &mut String) -> usize {
    if let Some(digits) = body.strip_prefix('#') {
        return resolve_number(digits, out).map_or_else(
            || {
                out.push('&');
                0
            },
            |used| used + 1,
        );
    }
    let stem_len = (body.char_indices())
        .find(|&(_, c)| matches!(c, '\t' | '\n' | '\u{c}' | ' ' | '<' | '&' | '#' | ';'))
        .map_or(body.len(), |(at, _)| at);
    let stem = match body[..stem_len].char_indices().nth(32) {
        Some((at, _)) => &body[..at],
        None => &body[..stem_len],
    };
    let closed = !stem.is_empty() && body[stem.len()..].starts_with(';');
    let whole = &body[..stem.len() + usize::from(closed)];
    if let Some(value) = named(whole) {
        out.push_str(value);
        return whole.len();
    }
    let start = (whole.char_indices().rev()).find_map(|(at, _)| named(&whole[..at]).map(|value| (value, at)));
    match start {
        Some((value, at)) => {
            out.push_str(value);
            out.push_str(&whole[at..]);
        }
        None => {
            out.push('&');
            out.push_str(whole);
        }
    }
    whole.len()
}

/// The same for the digits after `&#`; nothing where there are none.
fn resolve_number(digits: &str, out: &mut String) -> Option<usize> {
    let (mark, radix) = if digits.starts_with(['x', 'X']) {
        (1, 16)
    } else {
        (0, 10)
    };
    let number = &digits[mark..];
    let len = number.find(|c: char| !c.is_digit(radix)).unwrap_or(number.len());
    if len == 0 {
        return None;
    }
    let code = (number[..len].chars()).fold(0u32, |code, c| {
        code.saturating_mul(radix)
            .saturating_add(c.to_digit(radix).unwrap_or(0))
    });
    out.extend(numbered(code));
    Some(mark + len + usize::from(number[len..].starts_with(';')))
}

/// What Windows-1252 has at 0x80 to 0x9f; its holes stay control characters. Source: WHATWG HTML, 13.2.5.80.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The character of a numeric reference; none for the ones that HTML forbids.
fn numbered(code: u32) -> Option<char> {
    match code {
        0 => Some(char::REPLACEMENT_CHARACTER),
        0x80..=0x9f => Some(WINDOWS[code as usize - 0x80]),
        0x01..=0x08 | 0x0b | 0x0e..=0x1f | 0x7f | 0xfdd0..=0xfdef => None,
        _ if code <= 0x10_ffff && code & 0xfffe == 0xfffe => None,
        _ => Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(unescape(text), expected);
    }

    #[test]
    fn names_work_with_and_where_allowed_without_semicolon() {
        check("&eacute;&eacute&hearts;&hearts", "éé♥&hearts");
        check("&notit; &notin; &not", "¬it; ∉ ¬");
        check("a&amp;lt;b", "a&lt;b");
    }

    #[test]
    fn every_name_stands_for_itself_and_its_start_for_itself_with_the_rest() {
        for (name, value) in NAMES.iter() {
            check(&format!("&{name}"), value);
            let bare = name.trim_end_matches(';');
            match named(bare) {
                Some(value) => check(&format!("&{bare}\u{df}"), &format!("{value}\u{df}")),
                None => assert_ne!(unescape(&format!("&{bare}")), *value, "{name}"),
            }
        }
        assert_eq!(NAMES.len(), 2231);
    }

    #[test]
    fn forbidden_numbers_vanish_or_are_replaced() {
        check("[&#1;&#xfdd0;&#x1fffe;]", "[]");
        check(
            "&#0;&#xd800;&#x110000;&#99999999999999999999;",
            "\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
        );
        check("&#128;&#x9F;&#13;&#x41&#65", "€Ÿ\rAA");
        check("&#;&#x;&#xg;&;&", "&#;&#x;&#xg;&;&");
    }
}
