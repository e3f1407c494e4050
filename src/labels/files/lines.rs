//! One label a line: blank lines and lines that begin with `#` are left out; `\#` begins a label with a `#`.

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
