//! Cleaning: upstream's `basic_clean`, `whitespace_clean` and `lower()`.

use super::{entities, mojibake};

/// Prepares a text for the word pattern: undoes mojibake, resolves entities, collapses white space, lowercases.
///
/// ```
/// assert_eq!(longclip::text::clean(" A&nbsp;CAFÃ‰ \n"), "a café");
/// ```
pub fn clean(text: &str) -> String {
    let fixed = mojibake::fix_text(text);
    // Twice, as upstream does: `&amp;amp;` occurs in real data.
    let once = entities::unescape(&fixed);
    let plain = entities::unescape(&once);
    single_spaces(&plain).trim_matches(is_python_space).to_lowercase()
}

/// Replaces each run of white space (`\s` of the `regex` package) by one space.
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

/// Python's `str.isspace`, which decides what `str.strip` removes. Unlike Unicode's White_Space it includes U+001C to
/// U+001F.
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
    fn any_run_of_white_space_becomes_one_space() {
        check("\u{3000}a \t\u{2003}\r\nb\u{85}\u{a0}", "a b…");
    }

    #[test]
    fn resolves_entities_twice_after_ftfy() {
        check("<b> &amp;lt;", "<b> <");
        check("<b> &amp;amp;lt;", "<b> &lt;");
    }

    #[test]
    fn lowercases_a_final_sigma_to_its_final_form() {
        check("ΟΔΟΣ ΣΑΣ", "οδος σας");
    }
}
