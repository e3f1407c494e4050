//! Files of labels, of templates and of neutral prompts: plain lines, JSON, or a table.
//!
//! The command line reads them before it loads a model. A byte order mark, CRLF and blank lines are fine. Errors give
//! file, line and column, both from 1; in a table, the column is the number of the field.

mod json;
mod lines;
mod table;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

pub use self::lines::Line;
use super::Label;
use crate::error::{Error, Result};

/// The default name of the column of a table, and the key of a JSON object, that holds a label's group.
pub const GROUP: &str = "group";

/// Reads a file of labels: `.json`, `.csv` or `.tsv` by its extension, otherwise one label per line. `-` reads stdin,
/// where a text that starts with `{` or `[` is JSON. `group_column` is the table's column of groups, usually [`GROUP`].
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`] if the file is not UTF-8, is malformed, or has no labels.
pub fn read_labels(path: &Path, group_column: &str) -> Result<Vec<Label>> {
    let text = read_text(path)?;
    let name = path.display().to_string();
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    let labels = match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("json") => json::parse(&name, &text),
        Some("csv") => table::parse(&name, &text, table::Delimiter::Comma, group_column),
        Some("tsv") => table::parse(&name, &text, table::Delimiter::Tab, group_column),
        None if name == "-" && text.trim_start().starts_with(['{', '[']) => json::parse(&name, &text),
        _ => Ok(lines::parse(&text).map(|line| Label::plain(line.text)).collect()),
    }?;
    if labels.is_empty() {
        return Err(Error::usage(
            format!("`{name}` has no labels"),
            "write one per line, or give another file",
        ));
    }
    Ok(labels)
}

/// The lines of a text file without blank lines and comments.
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`] if the file is not UTF-8, or has no such lines.
pub fn read_lines(path: &Path) -> Result<Vec<Line>> {
    let lines_found: Vec<Line> = lines::parse(&read_text(path)?).collect();
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
    Ok(lines::parse_texts(&read_text(path)?).collect())
}

/// The text of a file, or of stdin if the path is `-`, without a byte order mark.
fn read_text(path: &Path) -> Result<String> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(Error::read(path))?;
    decode(&path.display().to_string(), bytes)
}

fn decode(name: &str, bytes: Vec<u8>) -> Result<String> {
    const HINT: &str = "save it as UTF-8, which text editors offer when saving";
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Error::usage(format!("`{name}` is UTF-16; UTF-8 is expected"), HINT));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let (good, byte) = (
            &error.as_bytes()[..error.utf8_error().valid_up_to()],
            error.utf8_error().valid_up_to(),
        );
        let good = String::from_utf8_lossy(good);
        let position = position_of_end(&good);
        bad(
            name,
            position,
            &format!("byte {:#04x} is not UTF-8", error.as_bytes()[byte]),
            HINT,
        )
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// A position in a file; line and column count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FilePosition {
    line: usize,
    column: usize,
}

/// The position of the character that would follow `text`.
fn position_of_end(text: &str) -> FilePosition {
    let last_line = text.rsplit('\n').next().unwrap_or(text);
    FilePosition {
        line: text.matches('\n').count() + 1,
        column: last_line.chars().count() + 1,
    }
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
