//! Entities in text that isn't HTML: only unmistakable ones, which end with a semicolon.

use std::borrow::Cow;

use crate::text::entities;

/// The longest name that is considered, not counting `&`, `#` and `;`.
const NAME_LEN: usize = 24;

/// Resolves `&name;` and `&#number;` once, including names of Latin letters in upper case (`&EACUTE;`).
pub(super) fn resolve(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = reference_len(rest).unwrap_or(1);
        let (reference, after) = rest.split_at(len);
        out.push_str(&meaning(reference));
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The length of the possible entity at the start of `text`, which starts with `&`.
fn reference_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let name_start = if bytes.get(1) == Some(&b'#') { 2 } else { 1 };
    let name = &bytes[name_start..];
    let len = name
        .iter()
        .take(NAME_LEN + 1)
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    ((1..=NAME_LEN).contains(&len) && name.get(len) == Some(&b';')).then_some(name_start + len + 1)
}

/// The text that a possible entity stands for; the entity itself if it is unknown.
fn meaning(reference: &str) -> Cow<'_, str> {
    if reference.starts_with("&#") {
        let value = entities::unescape(reference);
        // If a semicolon is left over, only part of it was a number.
        return if value.contains(';') { reference.into() } else { value };
    }
    let Some(name) = reference.strip_prefix('&') else {
        return reference.into();
    };
    match entities::named(name) {
        Some(value) => value.into(),
        None => upper_cased(reference, name).map_or(reference.into(), Into::into),
    }
}

/// Resolves an entity that has its lower-case name in upper case, unless the upper-case name has a meaning of its own.
fn upper_cased(reference: &str, name: &str) -> Option<String> {
    if name.chars().any(|c| c.is_ascii_lowercase()) || entities::unescape(reference) != reference {
        return None;
    }
    Some(entities::named(&name.to_ascii_lowercase())?.to_uppercase())
}
