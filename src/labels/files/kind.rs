//! What a file of labels or texts is: by its ending, or by its content if the ending doesn't say.

use std::path::Path;

use serde::de::IgnoredAny;

use super::table::Delimiter;
use crate::error::{Error, Result};
use crate::plain_text;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    Json,
    /// A JSON value on each line.
    JsonLines,
    Table(Delimiter),
    Lines,
}

impl FileKind {
    pub(super) fn of(path: &Path, text: &str) -> Self {
        match ending(path).as_deref() {
            Some("json") => FileKind::Json,
            Some("jsonl" | "ndjson") => FileKind::JsonLines,
            Some("csv") => FileKind::Table(Delimiter::Comma),
            Some("tsv") => FileKind::Table(Delimiter::Tab),
            _ => FileKind::of_content(text),
        }
    }

    /// Text is JSON if all of it is, or if it begins like a list or an object of texts: damage is reported, not read as
    /// labels.
    fn of_content(text: &str) -> Self {
        let start = text.trim_start();
        if !start.starts_with(['[', '{', '"']) {
            return FileKind::Lines;
        }
        let is_value = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        let is_whole = !start.starts_with('"') && is_value(text);
        let mut lines = plain_text::lines(text).filter(|line| !line.trim().is_empty());
        if !is_whole && lines.all(is_value) {
            return FileKind::JsonLines;
        }
        let inside = start.trim_start_matches(['[', '{']).trim_start();
        match is_whole || (!start.starts_with('"') && inside.starts_with('"')) {
            true => FileKind::Json,
            false => FileKind::Lines,
        }
    }
}

fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

/// Endings of files that hold text in another way, or none, each with what it is.
const OTHERS: [(&str, &str); 17] = [
    ("yaml", "YAML"),
    ("yml", "YAML"),
    ("toml", "TOML"),
    ("xml", "XML"),
    ("xlsx", "a spreadsheet"),
    ("xls", "a spreadsheet"),
    ("ods", "a spreadsheet"),
    ("docx", "a document"),
    ("odt", "a document"),
    ("pdf", "a document"),
    ("parquet", "Parquet"),
    ("gz", "compressed"),
    ("zst", "compressed"),
    ("bz2", "compressed"),
    ("xz", "compressed"),
    ("zip", "compressed"),
    ("7z", "compressed"),
];

/// Refuses a file whose ending says that it is neither lines nor JSON nor a table.
pub(super) fn refuse_by_name(path: &Path) -> Result<()> {
    let ending = ending(path);
    let Some((_, what)) = OTHERS.iter().find(|(other, _)| Some(*other) == ending.as_deref()) else {
        return Ok(());
    };
    let hint = match *what {
        "compressed" => "unpack it first",
        _ => "save it as text, one per line, as `.json`, or as `.csv` or `.tsv` with a column `label`",
    };
    Err(Error::usage(
        format!("`{}` is {what} by its name, which is not read", path.display()),
        hint,
    ))
}
