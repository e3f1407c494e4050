//! The word pattern: byte-pair encoding never merges across words.
//!
//! Upstream uses a regular expression with `IGNORECASE`, applied from left to right and skipping white space:
//! `<|startoftext|>`, `<|endoftext|>`, `'s 't 're 've 'm 'll 'd`, `\p{L}+`, `\p{N}`, `[^\s\p{L}\p{N}]+`. The text is
//! already in lower case, but `IGNORECASE` still matters twice: `ſ` matches `s` in the literal words, and the iota
//! subscript U+0345 (a mark whose upper case is a letter) matches none of the sets, so it is dropped.

use std::ops::Range;
use std::sync::LazyLock;

/// The start token as it is written in a text.
pub(super) const START: &str = "<|startoftext|>";
/// The end token as it is written in a text.
pub(super) const END: &str = "<|endoftext|>";

const ENDINGS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

/// The words of a cleaned text as byte ranges, in order.
pub(super) fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += text[at..].find(|c| kind(c) != CharKind::Space)?;
        let start = at;
        at += word_len(&text[at..]);
        Some(start..at)
    })
}

/// The length in bytes of the word that `rest` starts with; `rest` does not start with white space.
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
        CharKind::Number => first.len_utf8(),
        run => chars.find(|&(_, c)| kind(c) != run).map_or(rest.len(), |(at, _)| at),
    }
}

/// The length in bytes of `word` at the start of `rest`, where `ſ` matches `s`.
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

/// How the pattern classifies a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CharKind {
    /// `\s` (Unicode's White_Space) and U+0345: never part of a word.
    Space,
    /// `\p{L}`.
    Letter,
    /// `\p{N}`.
    Number,
    /// Everything else.
    Other,
}

/// The kind of a character.
pub(super) fn kind(c: char) -> CharKind {
    match c {
        'a'..='z' | 'A'..='Z' => CharKind::Letter,
        '0'..='9' => CharKind::Number,
        '\u{345}' => CharKind::Space,
        _ if c.is_whitespace() => CharKind::Space,
        _ if c.is_ascii() => CharKind::Other,
        _ if is_letter(c) => CharKind::Letter,
        _ if c.is_numeric() => CharKind::Number,
        _ => CharKind::Other,
    }
}

/// Unicode's general category L. `char::is_alphabetic` is wider: it includes vowel signs and circled letters.
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
    fn splits_endings_from_their_words() {
        check("they'll've it's", &["they", "'ll", "'ve", "it", "'s"]);
        check("rock'n'roll 'sofa", &["rock", "'", "n", "'", "roll", "'s", "ofa"]);
    }

    #[test]
    fn splits_digits_and_joins_punctuation() {
        check("v2.0-rc1 ½²!?", &["v", "2", ".", "0", "-", "rc", "1", "½", "²", "!?"]);
    }

    #[test]
    fn punctuation_before_a_special_token_breaks_the_token() {
        check("a<|endoftext|>b", &["a", "<|endoftext|>", "b"]);
        check("!<|endoftext|>", &["!<|", "endoftext", "|>"]);
    }

    #[test]
    fn the_long_s_matches_s() {
        check("it'ſ", &["it", "'ſ"]);
        check("<|ſtartoftext|>", &["<|ſtartoftext|>"]);
    }

    #[test]
    fn drops_a_separate_iota_subscript() {
        check("!\u{345}! ᾳ", &["!", "!", "ᾳ"]);
    }

    #[test]
    fn a_vowel_sign_is_not_a_letter() {
        check("कि", &["क", "\u{93f}"]);
    }
}
