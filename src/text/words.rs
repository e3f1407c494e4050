//! The word pattern: where byte-pair encoding may not merge across.
//!
//! Upstream's regular expression, with `IGNORECASE`, read left to right at each place that isn't white space:
//! `<|startoftext|>`, `<|endoftext|>`, `'s 't 're 've 'm 'll 'd`, `\p{L}+`, `\p{N}`, `[^\s\p{L}\p{N}]+`.
//! The text is lower-case already, but `IGNORECASE` still tells in two places: `ſ` is an `s` in the written-out words,
//! and the iota subscript U+0345, a mark whose capital is a letter, is in none of the sets and vanishes.

use std::ops::Range;
use std::sync::LazyLock;

/// The start token as written in a text.
pub(super) const START: &str = "<|startoftext|>";
/// The end token as written in a text.
pub(super) const END: &str = "<|endoftext|>";

const ENDINGS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// The words of a cleaned text as ranges of its bytes, in order.
pub(super) fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text[at..].find(|c| kind(c) != Kind::Space)?;
        let start = at;
        at += word_len(&text[at..]);
        Some(start..at)
    })
}

/// The length in bytes of the word that `rest` starts with; `rest` starts with no white space.
fn word_len(rest: &str) -> usize {
    let fixed = [START, END]
        .into_iter()
        .chain(ENDINGS)
        .find_map(|word| folded_prefix(rest, word));
    if let Some(len) = fixed {
        return len;
    }
    let mut chars = rest.char_indices();
    let Some((_, first)) = chars.next() else { return 0 };
    match kind(first) {
        Kind::Number => first.len_utf8(),
        run => chars.find(|&(_, c)| kind(c) != run).map_or(rest.len(), |(at, _)| at),
    }
}

/// How many bytes of `rest` spell `word`, a `ſ` counting as an `s`.
fn folded_prefix(rest: &str, word: &str) -> Option<usize> {
    let mut chars = rest.chars();
    let mut len = 0;
    for wanted in word.chars() {
        let c = chars.next()?;
        if c != wanted && (c, wanted) != ('ſ', 's') {
            return None;
        }
        len += c.len_utf8();
    }
    Some(len)
}

/// What the pattern knows about a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `\s`, Unicode's White_Space, and U+0345: what no word holds.
    Space,
    /// `\p{L}`.
    Letter,
    /// `\p{N}`.
    Number,
    /// Everything else.
    Other,
}

/// The kind of a character.
pub(super) fn kind(c: char) -> Kind {
    match c {
        'a'..='z' | 'A'..='Z' => Kind::Letter,
        '0'..='9' => Kind::Number,
        '\u{345}' => Kind::Space,
        _ if c.is_whitespace() => Kind::Space,
        _ if c.is_ascii() => Kind::Other,
        _ if is_letter(c) => Kind::Letter,
        _ if c.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// Unicode's general category L, which `char::is_alphabetic` is not: that has vowel signs and circled letters too.
fn is_letter(c: char) -> bool {
    static LETTERS: LazyLock<Vec<(u32, u32)>> = LazyLock::new(|| {
        let hex = |digits| u32::from_str_radix(digits, 16).expect("data/letters.txt holds hexadecimal ranges");
        (include_str!("data/letters.txt").lines())
            .map(|line| line.split_once('-').unwrap_or((line, line)))
            .map(|(first, last)| (hex(first), hex(last)))
            .collect()
    });
    let ranges = &*LETTERS;
    let after = ranges.partition_point(|&(first, _)| first <= c.into());
    after > 0 && u32::from(c) <= ranges[after - 1].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let got: Vec<&str> = words(text).map(|range| &text[range]).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn endings_stand_apart_from_their_words() {
        check("they'll've it's", &["they", "'ll", "'ve", "it", "'s"]);
        check("rock'n'roll 'sofa", &["rock", "'", "n", "'", "roll", "'s", "ofa"]);
    }

    #[test]
    fn digits_stand_alone_and_signs_together() {
        check("v2.0-rc1 ½²!?", &["v", "2", ".", "0", "-", "rc", "1", "½", "²", "!?"]);
    }

    #[test]
    fn a_run_of_signs_swallows_the_start_of_a_special_token() {
        check("a<|endoftext|>b", &["a", "<|endoftext|>", "b"]);
        check("!<|endoftext|>", &["!<|", "endoftext", "|>"]);
    }

    #[test]
    fn the_long_s_is_an_s_to_the_pattern() {
        check("it'ſ", &["it", "'ſ"]);
        check("<|ſtartoftext|>", &["<|ſtartoftext|>"]);
    }

    #[test]
    fn an_iota_subscript_on_its_own_vanishes() {
        check("!\u{345}! ᾳ", &["!", "!", "ᾳ"]);
    }

    #[test]
    fn a_vowel_sign_is_no_letter() {
        check("कि", &["क", "\u{93f}"]);
    }
}
