//! Files that list pictures with their labels: NDJSON or a JSON array, and csv or tsv.
//!
//! A JSON record has `path` (or `image`) and `label` (or `class`), a text or a number; paths are relative to the file. A
//! table's first row names its columns by the same words; without such a row, the first of two columns is the path.
//! A label that is none of the names, and a number, is a place in the list of labels, from 0.

use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};
use serde_json::Value;

use super::{DataSet, Sample, Truth};
use crate::error::{Error, Result};
use crate::eval::{Picture, Unusable};
use crate::input::records::{Record, RecordFile, text, unusable};

const PATHS: [&str; 4] = ["path", "image", "filepath", "filename"];
const LABELS: [&str; 3] = ["label", "class", "cls"];

/// Reads NDJSON or a JSON array.
pub(super) fn open_json(path: &Path) -> Result<DataSet> {
    let (records, damage) = RecordFile::open(path)?;
    let mut data = DataSet::new("records of path and label");
    for i in 0..records.len() {
        let place = records.name(i);
        let fields = records.read(i).and_then(|record| fields(&place, &record));
        match fields {
            Ok((picture, label)) => data.add(path, &picture, label, place),
            Err(error) => data.unusable.push(Unusable { place, error }),
        }
    }
    if let Some(error) = damage {
        let place = path.display().to_string();
        data.unusable.push(Unusable { place, error });
    }
    Ok(data)
}

fn fields(place: &str, record: &Record) -> Result<(String, Truth)> {
    let picture = text(place, record, &PATHS)?;
    let picture = picture.ok_or_else(|| unusable(place, "it names no picture as `path` or `image`"))?;
    let found = LABELS.iter().find_map(|key| Some((*key, record.get(*key)?)));
    let label = match found {
        Some((_, Value::Number(number))) => number.to_string(),
        Some(_) => text(place, record, &LABELS)?.unwrap_or_default(),
        None => String::new(),
    };
    match label.trim() {
        "" => Err(unusable(place, "it has no class as `label` or `class`")),
        label => Ok((picture, Truth::Name(label.to_owned()))),
    }
}

/// Reads a table of commas or tabs.
pub(super) fn open_table(path: &Path, delimiter: u8) -> Result<DataSet> {
    let no_table = |problem: String| {
        Error::usage(
            format!("`{}` is no table of text: {problem}", path.display()),
            "save it as UTF-8; the first row names the columns: `path,label`",
        )
    };
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text);
    let mut data = DataSet::new("a table of path and label");
    let mut lines = Lines {
        text,
        counted: 0,
        line: 1,
    };
    let mut columns = None;
    let mut row = ByteRecord::new();
    while reader
        .read_byte_record(&mut row)
        .map_err(|error| no_table(error.to_string()))?
    {
        let line = lines.of_row(row.position().map_or(0, |position| position.byte() as usize));
        let place = format!("{} line {line}", path.display());
        let text = StringRecord::from_byte_record(row.clone());
        let Some(columns) = columns else {
            let row = text.map_err(|_| no_table(format!("line {line} is no UTF-8")))?;
            let (found, holds) = columns_of(&row).ok_or_else(|| {
                Error::usage(
                    format!("`{place}`: its columns don't say which is the path and which the label"),
                    "name them in the first row: `path,label`",
                )
            })?;
            columns = Some(found);
            if holds == Holds::Data {
                data.add_row(path, &row, found, place);
            }
            continue;
        };
        match text {
            Ok(row) => data.add_row(path, &row, columns, place),
            Err(_) => data.leave_out(place, "it is no UTF-8"),
        }
    }
    Ok(data)
}

/// Counts lines while rows go by.
struct Lines<'a> {
    text: &'a [u8],
    /// Bytes whose lines are counted.
    counted: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of a row that begins at `start` or, since blank lines belong to no row, behind them.
    fn of_row(&mut self, start: usize) -> usize {
        let is_blank = |byte: &&u8| matches!(**byte, b'\r' | b'\n');
        let blank = self.text[start..].iter().take_while(is_blank).count();
        let passed = &self.text[self.counted..start + blank];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.counted = start + blank;
        self.line
    }
}

/// What a table's first row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Names,
    Data,
}

/// The places of path and label, and what this row is.
fn columns_of(row: &StringRecord) -> Option<((usize, usize), Holds)> {
    let place = |names: &[&str]| {
        let known = |field: &str| names.contains(&field.to_lowercase().as_str());
        row.iter().position(known)
    };
    match (place(&PATHS), place(&LABELS)) {
        (Some(path), Some(label)) => Some(((path, label), Holds::Names)),
        (None, None) if row.len() == 2 => Some(((0, 1), Holds::Data)),
        _ => None,
    }
}

impl DataSet {
    fn add_row(&mut self, list: &Path, row: &StringRecord, (picture, label): (usize, usize), place: String) {
        if row.iter().any(|field| field.contains('\n')) {
            return self.leave_out(place, "a field of several lines: a quote that opens here is not closed");
        }
        match (row.get(picture), row.get(label)) {
            (Some(picture), Some(label)) if !picture.is_empty() && !label.is_empty() => {
                self.add(list, picture, Truth::Name(label.to_owned()), place);
            }
            _ if row.iter().all(str::is_empty) => {}
            _ => self.leave_out(
                place,
                format!(
                    "it has no path or no label: `{}`",
                    row.iter().collect::<Vec<_>>().join(",")
                ),
            ),
        }
    }

    fn add(&mut self, list: &Path, picture: &str, truth: Truth, place: String) {
        let picture: PathBuf = list.parent().unwrap_or(Path::new("")).join(picture);
        if !picture.is_file() {
            return self.leave_out(place, format!("its picture `{}` is not there", picture.display()));
        }
        let picture = Picture::file(picture);
        self.samples.push(Sample { picture, truth, place });
    }
}
