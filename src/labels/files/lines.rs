//! One label a line: blank lines and lines that begin with `#` are left out; `\#` begins a label with a `#`. In a file of
//! texts that are only read, a `#` is a character as any other.

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: usize,
    /// What it says, without white space around it.
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

/// As [`parse`], without comments.
pub(super) fn parse_texts(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}
