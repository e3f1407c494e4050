//! Files of labels, of templates, of neutral prompts and of texts: plain lines, JSON, or a table.
//!
//! The command line reads them before it loads a model. A byte order mark, any ends of lines and blank lines are fine. If a
//! file's ending doesn't say what it is, its content does. Errors give file, line and column, both from 1; in a table, the
//! column is the number of the field.

mod json;
mod kind;
mod lines;
mod table;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use self::kind::FileKind;
pub use self::lines::Line;
use super::Label;
use crate::error::{Error, Result};
use crate::plain_text;

/// The default name of the column of a table, and the key of a JSON object, that holds a label's group.
pub const GROUP: &str = "group";

/// Reads a file of labels: `.json`, `.jsonl`, `.ndjson`, `.csv` or `.tsv` by its extension; otherwise JSON or JSON lines if
/// its content is that, else one label per line. `-` reads stdin. `group_column` is the table's column of groups, usually
/// [`GROUP`].
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`] if the file is not UTF-8, is malformed, or has no labels.
pub fn read_labels(path: &Path, group_column: &str) -> Result<Vec<Label>> {
    let lines = read_label_lines(path, group_column)?;
    Ok(lines.into_iter().flatten().collect())
}

/// As [`read_labels`], with `None` for each line of text that has no label, so that lines can be counted.
///
/// # Errors
/// As [`read_labels`].
pub fn read_label_lines(path: &Path, group_column: &str) -> Result<Vec<Option<Label>>> {
    parsed(path, &read_text(path)?, group_column)
}

fn parsed(path: &Path, text: &str, group_column: &str) -> Result<Vec<Option<Label>>> {
    let name = path.display().to_string();
    let all = |labels: Vec<Label>| labels.into_iter().map(Some).collect();
    let labels: Vec<Option<Label>> = match FileKind::of(path, text) {
        FileKind::Json => all(json::parse(&name, text)?),
        FileKind::JsonLines => json::parse_lines(&name, text)?,
        FileKind::Table(delimiter) => table::parse(&name, text, delimiter, group_column)?,
        FileKind::Lines => lines::parse(text).map(|line| line.label()).collect(),
    };
    if labels.iter().all(Option::is_none) {
        return Err(Error::usage(
            format!("`{name}` has no labels"),
            "write one per line, or give another file",
        ));
    }
    Ok(labels)
}

/// What a file of tags holds.
pub(super) enum VocabularyFile {
    /// Labels, as a label file has them.
    Labels(Vec<Label>),
    /// Lines of text, whose indents mean something.
    Lines(String),
}

/// Reads a file of tags: a label file if it is JSON or a table, else its lines.
pub(super) fn read_vocabulary(path: &Path) -> Result<VocabularyFile> {
    let text = read_text(path)?;
    match FileKind::of(path, &text) {
        FileKind::Lines => Ok(VocabularyFile::Lines(text)),
        FileKind::Json | FileKind::JsonLines | FileKind::Table(_) => {
            let labels = parsed(path, &text, GROUP)?;
            Ok(VocabularyFile::Labels(labels.into_iter().flatten().collect()))
        }
    }
}

/// The labels of a table with tabs.
pub(super) fn parse_tsv(name: &str, text: &str) -> Result<Vec<Label>> {
    let labels = table::parse(name, text, table::Delimiter::Tab, GROUP)?;
    Ok(labels.into_iter().flatten().collect())
}

/// The lines of a text file without blank lines and comments, or the texts of a JSON list.
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`] if the file is not UTF-8, or has no such lines.
pub fn read_lines(path: &Path) -> Result<Vec<Line>> {
    let text = read_text(path)?;
    let lines_found: Vec<Line> = match json_texts(path, &text)? {
        Some(texts) => (1..).zip(texts).map(|(number, text)| Line { number, text }).collect(),
        None => lines::parse(&text)
            .filter(Line::has_text)
            .map(Line::unescaped)
            .collect(),
    };
    if lines_found.is_empty() {
        return Err(Error::usage(
            format!("`{}` is empty", path.display()),
            "write one per line, or omit the option",
        ));
    }
    Ok(lines_found)
}

/// The non-blank lines of a file of texts. Lines that start with `#` are not comments.
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`] if the file is not UTF-8.
pub fn read_texts(path: &Path) -> Result<Vec<String>> {
    let mut texts = read_text_lines(path)?;
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

/// All lines of a file of texts, blank ones as empty texts.
///
/// # Errors
/// As [`read_texts`].
pub fn read_text_lines(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path)?;
    let lines = || plain_text::lines(&text).map(|line| line.trim().to_owned()).collect();
    Ok(json_texts(path, &text)?.unwrap_or_else(lines))
}

/// The texts of JSON; `None` if the file is lines of text.
fn json_texts(path: &Path, text: &str) -> Result<Option<Vec<String>>> {
    let name = path.display().to_string();
    match FileKind::of(path, text) {
        FileKind::Json => json::parse_texts(&name, text).map(Some),
        FileKind::JsonLines => json::parse_text_lines(&name, text).map(Some),
        FileKind::Table(_) | FileKind::Lines => Ok(None),
    }
}

/// The text of a file, or of stdin if the path is `-`, without a byte order mark.
fn read_text(path: &Path) -> Result<String> {
    kind::refuse_by_name(path)?;
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(Error::read(path))?;
    plain_text::decoded(&path.display().to_string(), bytes)
}

/// A position in a file; line and column count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FilePosition {
    line: usize,
    column: usize,
}

/// An error at a position.
fn bad(name: &str, position: FilePosition, problem: &str, hint: &'static str) -> Error {
    Error::usage(
        format!("`{name}` line {}, column {}: {problem}", position.line, position.column),
        hint,
    )
}

#[cfg(test)]
mod tests;
