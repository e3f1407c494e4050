//! Repairs of bytes on their way from a code page to UTF-8, and the kinds of UTF-8 that are read.

/// The pattern of a byte in a sequence.
type Slot = fn(u8) -> bool;

const SPACE: Slot = |b| b == b' ';
/// A continuation byte whose character isn't an unlikely one beside a space.
const LIKELY: Slot = |b| matches!(b, 0x80..=0x84 | 0x86..=0x9f | 0xa1..=0xbf);
const CONTINUATION: Slot = |b| matches!(b, 0x80..=0xbf);
const F0: Slot = |b| b == 0xf0;

/// UTF-8 sequences in which a space stands for the byte A0, as where something took A0 for a space.
/// Those whose characters are unlikely are left out: ftfy's `ALTERED_UTF8_RE`, its comments give the scripts.
const ALTERED: &[&[Slot]] = &[
    &[|b| matches!(b, 0xc2 | 0xc3 | 0xc5 | 0xce | 0xd0 | 0xd9), SPACE],
    &[|b| matches!(b, 0xe2 | 0xe3), SPACE, LIKELY],
    &[|b| matches!(b, 0xe0..=0xe3), LIKELY, SPACE],
    &[F0, SPACE, CONTINUATION, CONTINUATION],
    &[F0, CONTINUATION, SPACE, CONTINUATION],
    &[F0, CONTINUATION, CONTINUATION, SPACE],
];

const LOST: Slot = |b| b == 0x1a;
const LOST_OR_MARK: Slot = |b| matches!(b, 0x1a | b'?');
const LOST_OR_CONTINUATION: Slot = |b| matches!(b, 0x1a | 0x80..=0xbf);
const ANY_CONTINUATION: Slot = |b| matches!(b, 0x1a | b'?' | 0x80..=0xbf);
const ED: Slot = |b| b == 0xed;
const HIGH_SURROGATE: Slot = |b| matches!(b, 0xa0..=0xaf);
const LOW_SURROGATE: Slot = |b| matches!(b, 0xb0..=0xbf);
const FIRST_OF_3: Slot = |b| matches!(b, 0xe0..=0xef);
const FIRST_OF_4: Slot = |b| matches!(b, 0xf0..=0xf4);

/// UTF-8 and CESU-8 sequences of which a byte was lost (1A), or became a `?`: ftfy's `LOSSY_UTF8_RE`.
const LOSSY: &[&[Slot]] = &[
    &[|b| matches!(b, 0xc2..=0xdf), LOST],
    &[|b| matches!(b, 0xc2 | 0xc3), |b| b == b'?'],
    &[ED, HIGH_SURROGATE, LOST_OR_MARK, ED, LOW_SURROGATE, ANY_CONTINUATION],
    &[ED, HIGH_SURROGATE, ANY_CONTINUATION, ED, LOW_SURROGATE, LOST_OR_MARK],
    &[FIRST_OF_3, LOST_OR_MARK, LOST_OR_CONTINUATION],
    &[FIRST_OF_3, LOST_OR_CONTINUATION, LOST_OR_MARK],
    &[FIRST_OF_4, LOST_OR_MARK, LOST_OR_CONTINUATION, LOST_OR_CONTINUATION],
    &[FIRST_OF_4, LOST_OR_CONTINUATION, LOST_OR_MARK, LOST_OR_CONTINUATION],
    &[FIRST_OF_4, LOST_OR_CONTINUATION, LOST_OR_CONTINUATION, LOST_OR_MARK],
    &[LOST],
];

/// The length of the first of the patterns that fits at the front.
fn matched(patterns: &[&[Slot]], bytes: &[u8]) -> Option<usize> {
    let fits =
        |pattern: &&&[Slot]| bytes.len() >= pattern.len() && pattern.iter().zip(bytes).all(|(slot, &byte)| slot(byte));
    patterns.iter().find(fits).map(|pattern| pattern.len())
}

/// Replaces what the patterns match, from left to right.
fn replace(patterns: &[&[Slot]], bytes: &[u8], write: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let len = matched(patterns, rest);
        let (taken, after) = rest.split_at(len.unwrap_or(1));
        match len {
            Some(_) => write(taken, &mut out),
            None => out.push(first),
        }
        rest = after;
    }
    out
}

/// Whether a space seems to stand for the byte A0 somewhere.
pub(super) fn has_altered_a0(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| matched(ALTERED, &bytes[at..]).is_some())
}

/// Puts back the byte A0 where a space stands for it.
pub(super) fn restore_a0(bytes: &[u8]) -> Vec<u8> {
    replace(ALTERED, &separate_a_grave(bytes), |taken, out| {
        out.extend(taken.iter().map(|&byte| if byte == b' ' { 0xa0 } else { byte }));
    })
}

/// `Ã la` was `à la`, with both spaces in one: an `à` that was cut short keeps a space behind it, but for Portuguese
/// words that start with it.
fn separate_a_grave(bytes: &[u8]) -> Vec<u8> {
    const JOINED: [&[u8]; 5] = [b" ", b"quele", b"quela", b"quilo", b"s "];
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        match rest.strip_prefix(b"\xc3 ") {
            Some(after) if !JOINED.iter().any(|word| after.starts_with(word)) => {
                out.extend(b"\xc3\xa0 ");
                rest = after;
            }
            _ => {
                out.push(first);
                rest = &rest[1..];
            }
        }
    }
    out
}

/// Writes U+FFFD for each sequence of which a byte was lost.
pub(super) fn replace_lossy(bytes: &[u8]) -> Vec<u8> {
    replace(LOSSY, bytes, |_, out| out.extend("\u{fffd}".as_bytes()))
}

/// Reads UTF-8, or, where the bytes C0 or ED say so, one of its variants; nothing if it is neither.
pub(super) fn decode_utf8(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0xc0) || bytes.contains(&0xed) {
        decode_variant(&bytes)
    } else {
        String::from_utf8(bytes).ok()
    }
}

/// Reads UTF-8 with Java's C0 80 for U+0000 and with CESU-8's surrogate pairs.
///
/// ftfy's patterns take a line break that ends the text for the end itself, and then swallow it as the last byte of a
/// sequence cut short there. The same is done here.
fn decode_variant(bytes: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(bytes.len());
    let mut plain = 0;
    let mut at = 0;
    while at < bytes.len() {
        let special = match bytes[at..] {
            [0xc0, 0x80, ..] | [0xc0, b'\n'] => Some(('\0', 2)),
            [0xed, 0xa0..=0xaf, 0x80..=0xbf, 0xed, 0xb0..=0xbf, 0x80..=0xbf, ..]
            | [0xed, 0xa0..=0xaf, 0x80..=0xbf, 0xed, 0xb0..=0xbf, b'\n'] => Some((surrogate_pair(&bytes[at..]), 6)),
            _ => None,
        };
        let Some((c, len)) = special else {
            at += 1;
            continue;
        };
        out.push_str(std::str::from_utf8(&bytes[plain..at]).ok()?);
        out.push(c);
        at += len;
        plain = at;
    }
    out.push_str(std::str::from_utf8(&bytes[plain..]).ok()?);
    Some(out)
}

/// The character of `ED 1010abcd 10efghij ED 1011klmn 10opqrst`: U+10000 and twenty bits.
fn surrogate_pair(bytes: &[u8]) -> char {
    let bits = |at: usize, mask: u8| u32::from(bytes[at] & mask);
    let code = 0x10000 + (bits(1, 0x0f) << 16) + (bits(2, 0x3f) << 10) + (bits(4, 0x0f) << 6) + bits(5, 0x3f);
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_java_and_cesu_8() {
        let bytes = b"\xed\xa6\x9d\xed\xbd\xb7 is an unassigned character, and \xc0\x80 is null";
        assert_eq!(
            decode_utf8(bytes.into()).unwrap(),
            "\u{77777} is an unassigned character, and \0 is null"
        );
        assert_eq!(decode_utf8(b"\xed\xa0\x80".into()), None);
        assert_eq!(decode_utf8("한".into()).unwrap(), "한");
    }

    #[test]
    fn an_a_grave_cut_short_stays_a_word() {
        assert_eq!(restore_a0(b"voil\xc3 le"), b"voil\xc3\xa0 le");
        assert_eq!(restore_a0(b"\xc3 s ruas"), b"\xc3\xa0s ruas");
    }

    #[test]
    fn a_lost_byte_takes_its_sequence_with_it() {
        assert_eq!(
            replace_lossy(b"a\xe2\x80\x1ab\x1ac\xc3?"),
            "a\u{fffd}b\u{fffd}c\u{fffd}".as_bytes()
        );
    }
}
