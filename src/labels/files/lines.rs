//! One label per line. Blank lines and lines that start with `#` have none; `\\#` starts a label with a `#`. In a file of
//! plain texts, `#` has no special meaning.

use crate::labels::Label;
use crate::plain_text;

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its line number in the file, from 1.
    pub number: usize,
    /// Its text, trimmed.
    pub text: String,
}

impl Line {
    /// Whether it is neither blank nor a comment.
    pub(super) fn has_text(&self) -> bool {
        !self.text.is_empty() && !self.text.starts_with('#')
    }

    /// Without the backslash before a `#`.
    pub(super) fn unescaped(mut self) -> Self {
        if self.text.starts_with("\\#") {
            self.text.remove(0);
        }
        self
    }

    /// Its label, if it has one.
    pub(super) fn label(self) -> Option<Label> {
        self.has_text().then(|| Label::plain(self.unescaped().text))
    }
}

/// All lines.
pub(super) fn parse(text: &str) -> impl Iterator<Item = Line> {
    (1..).zip(plain_text::lines(text)).map(|(number, line)| Line {
        number,
        text: line.trim().to_owned(),
    })
}
