//! One label per line. Blank lines and lines that start with `#` are skipped; `\#` starts a label with a `#`. In a file
//! of plain texts, `#` has no special meaning.

/// A line that is neither blank nor a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its line number in the file, from 1.
    pub number: usize,
    /// Its text, trimmed.
    pub text: String,
}

pub(super) fn parse(text: &str) -> impl Iterator<Item = Line> {
    text.lines().enumerate().filter_map(|(i, line)| {
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let text = if text.starts_with("\\#") { &text[1..] } else { text };
        Some(Line {
            number: i + 1,
            text: text.to_owned(),
        })
    })
}

/// The non-blank lines; `#` has no special meaning.
pub(super) fn parse_texts(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}
