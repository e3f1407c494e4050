//! HTML entities, resolved as Python's `html.unescape` does: the WHATWG rules for text.
//!
//! A name is up to 32 characters long and holds no white space, `<`, `&`, `#` or `;`. If a name is unknown, its longest
//! known prefix counts. Numeric references that HTML forbids are removed or replaced by Windows-1252's character.

use std::borrow::Cow;
use std::sync::LazyLock;

/// Names without `&`, sorted, and the text each one stands for. Some names end with a semicolon.
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

/// The text that a name stands for. `name` has no `&`; it has a semicolon if the source has one.
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

/// Resolves the entity that `body` starts with (the text after an `&`), writes the result and returns how many bytes of
/// `body` were used. Text that is not an entity is written unchanged, including its `&`.
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

/// Resolves a numeric reference from the digits after `&#`; `None` without digits.
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

/// Windows-1252's characters at 0x80 to 0x9f. Undefined bytes stay control characters. Source: WHATWG HTML, 13.2.5.80.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The character of a numeric reference; `None` if HTML forbids the number.
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
    fn resolves_names_without_a_semicolon_where_html_allows_it() {
        check("&eacute;&eacute&hearts;&hearts", "éé♥&hearts");
        check("&notit; &notin; &not", "¬it; ∉ ¬");
        check("a&amp;lt;b", "a&lt;b");
    }

    #[test]
    fn resolves_every_name_and_known_prefixes_of_longer_names() {
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
    fn removes_or_replaces_forbidden_numbers() {
        check("[&#1;&#xfdd0;&#x1fffe;]", "[]");
        check(
            "&#0;&#xd800;&#x110000;&#99999999999999999999;",
            "\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
        );
        check("&#128;&#x9F;&#13;&#x41&#65", "€Ÿ\rAA");
        check("&#;&#x;&#xg;&;&", "&#;&#x;&#xg;&;&");
    }
}
