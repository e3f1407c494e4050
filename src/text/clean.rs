//! Cleaning: what upstream's `basic_clean`, `whitespace_clean` and `lower()` make of a text.

use super::{entities, mojibake};

/// A text as the word pattern reads it: mojibake undone, entities resolved, white space single, lower case.
///
/// ```
/// assert_eq!(longclip::text::clean(" A&nbsp;CAFÃ‰ \n"), "a café");
/// ```
pub fn clean(text: &str) -> String {
    let fixed = mojibake::fix_text(text);
    // Twice, as upstream does: `&amp;amp;` is found in the wild.
    let once = entities::unescape(&fixed);
    let plain = entities::unescape(&once);
    single_spaces(&plain).trim_matches(is_python_space).to_lowercase()
}

/// Each run of white space (`\s` of the `regex` package) as one space.
fn single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_run = false;
    for c in text.chars() {
        let space = c.is_whitespace();
        if !space {
            out.push(c);
        } else if !in_run {
            out.push(' ');
        }
        in_run = space;
    }
    out
}

/// `str.isspace`: what `str.strip` takes off. The separators U+001C to U+001F are no white space to Unicode.
pub(super) fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(clean(text), expected);
    }

    #[test]
    fn white_space_of_all_kinds_becomes_one_space() {
        check("\u{3000}a \t\u{2003}\r\nb\u{85}\u{a0}", "a b…");
    }

    #[test]
    fn entities_are_resolved_twice_beyond_what_ftfy_does() {
        check("<b> &amp;lt;", "<b> <");
        check("<b> &amp;amp;lt;", "<b> &lt;");
    }

    #[test]
    fn a_final_sigma_is_written_as_one() {
        check("ΟΔΟΣ ΣΑΣ", "οδος σας");
    }
}
