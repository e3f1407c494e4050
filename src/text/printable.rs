//! Text that a terminal shows as it is: names and labels may have characters that move its cursor or turn the line around.

use std::borrow::Cow;

/// The text with control characters and bidirectional controls as escapes, such as `\x1b` and `\u{202e}`, on one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, is_control, short_escape)
}

/// As [`printable`], for a table of several lines.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_control(c), short_escape)
}

/// As [`printable`], for results in a format of their own, which has lines and tabs: escapes are those of JSON, `\u001b` and
/// `\u202e`.
pub fn printable_results(text: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| !matches!(c, '\n' | '\t') && is_control(c);
    escaped(text, is_escaped, |c| format!("\\u{:04x}", u32::from(c)))
}

/// Characters that a terminal obeys instead of showing: C0 and C1 controls, ends of lines, and those of Unicode's
/// bidirectional algorithm (UAX 9, section 2).
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_escaped(c) {
            true => escaped += &escape(c),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

fn short_escape(c: char) -> String {
    match c {
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        '\0'..='\u{ff}' => format!("\\x{:02x}", u32::from(c)),
        _ => format!("\\u{{{:x}}}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_in_a_name() {
        for (text, expected) in [
            ("a cat, größer 猫 👩‍👧", "a cat, größer 猫 👩‍👧"),
            ("\u{1b}[31mred\u{7}\u{9b}", "\\x1b[31mred\\x07\\x9b"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("gpj.\u{202e}exe\u{2066}\u{200f}", "gpj.\\u{202e}exe\\u{2066}\\u{200f}"),
        ] {
            assert_eq!(printable(text), expected);
        }
        assert_eq!(printable_lines("a\nb\u{1b}\n"), "a\nb\\x1b\n");
        assert_eq!(printable_results("a\tb\u{1b}\u{202e}\n"), "a\tb\\u001b\\u202e\n");
    }
}
