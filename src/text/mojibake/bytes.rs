//! Repairs of the bytes that a code page gives before they are decoded as UTF-8, and the variants of UTF-8 we decode.

/// Whether a byte may be at one position of a sequence.
type BytePattern = fn(u8) -> bool;

const SPACE: BytePattern = |b| b == b' ';
/// A continuation byte, except those that give characters which are unlikely next to a space.
const LIKELY: BytePattern = |b| matches!(b, 0x80..=0x84 | 0x86..=0x9f | 0xa1..=0xbf);
const CONTINUATION: BytePattern = |b| matches!(b, 0x80..=0xbf);
const F0: BytePattern = |b| b == 0xf0;

/// UTF-8 sequences in which a space replaced the byte A0 (some program took A0 for a space). Sequences that would give
/// unlikely characters are not listed. This is ftfy's `ALTERED_UTF8_RE`; its comments name the scripts.
const ALTERED: &[&[BytePattern]] = &[
    &[|b| matches!(b, 0xc2 | 0xc3 | 0xc5 | 0xce | 0xd0 | 0xd9), SPACE],
    &[|b| matches!(b, 0xe2 | 0xe3), SPACE, LIKELY],
    &[|b| matches!(b, 0xe0..=0xe3), LIKELY, SPACE],
    &[F0, SPACE, CONTINUATION, CONTINUATION],
    &[F0, CONTINUATION, SPACE, CONTINUATION],
    &[F0, CONTINUATION, CONTINUATION, SPACE],
];

const LOST: BytePattern = |b| b == 0x1a;
const LOST_OR_MARK: BytePattern = |b| matches!(b, 0x1a | b'?');
const LOST_OR_CONTINUATION: BytePattern = |b| matches!(b, 0x1a | 0x80..=0xbf);
const ANY_CONTINUATION: BytePattern = |b| matches!(b, 0x1a | b'?' | 0x80..=0xbf);
const ED: BytePattern = |b| b == 0xed;
const HIGH_SURROGATE: BytePattern = |b| matches!(b, 0xa0..=0xaf);
const LOW_SURROGATE: BytePattern = |b| matches!(b, 0xb0..=0xbf);
const FIRST_OF_3: BytePattern = |b| matches!(b, 0xe0..=0xef);
const FIRST_OF_4: BytePattern = |b| matches!(b, 0xf0..=0xf4);

/// UTF-8 and CESU-8 sequences in which a byte was lost (1A) or became a `?`: ftfy's `LOSSY_UTF8_RE`.
const LOSSY: &[&[BytePattern]] = &[
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

/// The length of the first pattern that matches at the start of `bytes`.
fn matched(patterns: &[&[BytePattern]], bytes: &[u8]) -> Option<usize> {
    let fits = |pattern: &&&[BytePattern]| {
        bytes.len() >= pattern.len() && pattern.iter().zip(bytes).all(|(slot, &byte)| slot(byte))
    };
    patterns.iter().find(fits).map(|pattern| pattern.len())
}

/// Replaces every match of the patterns, from left to right.
fn replace(patterns: &[&[BytePattern]], bytes: &[u8], write: impl Fn(&[u8], &mut Vec<u8>)) -> Vec<u8> {
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

/// Whether `bytes` has a sequence in which a space seems to have replaced the byte A0.
pub(super) fn has_altered_a0(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| matched(ALTERED, &bytes[at..]).is_some())
}

/// Restores the byte A0 in sequences in which a space replaced it.
pub(super) fn restore_a0(bytes: &[u8]) -> Vec<u8> {
    replace(ALTERED, &separate_a_grave(bytes), |taken, out| {
        out.extend(taken.iter().map(|&byte| if byte == b' ' { 0xa0 } else { byte }));
    })
}

/// `Ã la` comes from `à la`: the no-break space that is part of `à` and the space after it were merged into one. So the
/// `à` gets its space back, except at the start of some Portuguese words.
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

/// Replaces each sequence that lost a byte by U+FFFD.
pub(super) fn replace_lossy(bytes: &[u8]) -> Vec<u8> {
    replace(LOSSY, bytes, |_, out| out.extend("\u{fffd}".as_bytes()))
}

/// Decodes UTF-8, or one of its variants if the bytes C0 or ED occur; `None` if the bytes are neither.
pub(super) fn decode_utf8(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0xc0) || bytes.contains(&0xed) {
        decode_variant(&bytes)
    } else {
        String::from_utf8(bytes).ok()
    }
}

/// Decodes UTF-8 with Java's C0 80 for U+0000 and with CESU-8's surrogate pairs.
///
/// In ftfy's patterns `$` also matches before a final line break, which is then consumed as the last byte of a
/// truncated sequence. We do the same.
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

/// Decodes `ED 1010abcd 10efghij ED 1011klmn 10opqrst` to U+10000 plus these twenty bits.
fn surrogate_pair(bytes: &[u8]) -> char {
    let bits = |at: usize, mask: u8| u32::from(bytes[at] & mask);
    let code = 0x10000 + (bits(1, 0x0f) << 16) + (bits(2, 0x3f) << 10) + (bits(4, 0x0f) << 6) + bits(5, 0x3f);
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_javas_null_and_cesu_8() {
        let bytes = b"\xed\xa6\x9d\xed\xbd\xb7 is an unassigned character, and \xc0\x80 is null";
        assert_eq!(
            decode_utf8(bytes.into()).unwrap(),
            "\u{77777} is an unassigned character, and \0 is null"
        );
        assert_eq!(decode_utf8(b"\xed\xa0\x80".into()), None);
        assert_eq!(decode_utf8("한".into()).unwrap(), "한");
    }

    #[test]
    fn a_truncated_a_grave_keeps_the_space_after_it() {
        assert_eq!(restore_a0(b"voil\xc3 le"), b"voil\xc3\xa0 le");
        assert_eq!(restore_a0(b"\xc3 s ruas"), b"\xc3\xa0s ruas");
    }

    #[test]
    fn a_sequence_that_lost_a_byte_becomes_one_replacement_character() {
        assert_eq!(
            replace_lossy(b"a\xe2\x80\x1ab\x1ac\xc3?"),
            "a\u{fffd}b\u{fffd}c\u{fffd}".as_bytes()
        );
    }
}
