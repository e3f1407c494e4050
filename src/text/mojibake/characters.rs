//! Repairs of single characters: control characters, ligatures, full-width forms, quotes, line breaks.

use unicode_normalization::UnicodeNormalization;

use super::charsets::Charset;

/// Applies all repairs in ftfy's order. Plain ASCII without control characters is returned unchanged.
pub(super) fn fix(text: String) -> String {
    let unchanged = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    if text.bytes().all(unchanged) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut after_return = false;
    for c in text.chars() {
        let c = c1_control(c);
        // The line feed of `\r\n` is already written.
        if !(after_return && c == '\n') {
            push_plain(c, &mut out);
        }
        after_return = c == '\r';
    }
    let mut out = without_terminal_escapes(out);
    out.retain(|c| !is_control(c));
    out
}

/// Replaces a C1 control character by Windows-1252's character for the same byte.
pub(super) fn c1_control(c: char) -> char {
    match c {
        '\u{80}'..='\u{9f}' => Charset::windows_1252().decode(c as u8),
        _ => c,
    }
}

/// Appends a character without ligatures, in its normal width, with straight quotes and with `\n` as the line break.
fn push_plain(c: char, out: &mut String) {
    let text = match c {
        ..='\u{7f}' => {
            out.push(if c == '\r' { '\n' } else { c });
            return;
        }
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        // ftfy replaces `ŉ` by a letter apostrophe and `n`, and then the apostrophe by a straight quote.
        'ŉ' => "'n",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        '\u{3000}' => " ",
        '\u{2bc}' | '‘'..='\u{201b}' => "'",
        '“'..='\u{201f}' => "\"",
        '\u{2028}' | '\u{2029}' | '\u{85}' => "\n",
        '\u{ff01}'..='\u{ffef}' => return out.extend(std::iter::once(c).nfkc()),
        _ => return out.push(c),
    };
    out.push_str(text);
}

/// Removes sequences such as `ESC [ 1 ; 31 m`, which colour text on a terminal.
fn without_terminal_escapes(text: String) -> String {
    const START: &str = "\u{1b}[";
    if !text.contains(START) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find(START) {
        out.push_str(&rest[..at]);
        let body = &rest[at + START.len()..];
        let letter = body.find(|c: char| !(is_decimal(c) || c == ';'));
        match letter.filter(|&at| body.as_bytes()[at].is_ascii_alphabetic()) {
            Some(letter) => rest = &body[letter + 1..],
            None => {
                out.push_str(START);
                rest = body;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Python's `\d`, which ftfy's pattern uses: the decimal digits of every script.
fn is_decimal(c: char) -> bool {
    c.is_ascii_digit() || (c.is_numeric() && super::classes::is_decimal_digit(c))
}

/// Invisible characters that are never intended: ASCII's control characters except white space, and those that Unicode
/// TR 20 calls unsuitable for use with markup.
fn is_control(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}')
}
