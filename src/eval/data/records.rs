//! Files that list pictures with their labels: NDJSON or a JSON array, and csv or tsv.
//!
//! A JSON record has `path` (or `image`) and `label` (or `class`), a text or a number; paths are relative to the file. A
//! table's first row names its columns by the same words; without such a row, the first of two columns is the path.
//! A label that is none of the names, and a number, is a place in the list of labels, from 0.

use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};
use serde_json::Value;

use super::{DataSet, Sample, Truth};
use crate::error::{Error, Result};
use crate::eval::Picture;
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
            Err(error) => data.unusable.push(super::Unusable { place, error }),
        }
    }
    if let Some(error) = damage {
        let place = path.display().to_string();
        data.unusable.push(super::Unusable { place, error });
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
    let unreadable = |error: csv::Error| {
        Error::usage(
            format!("`{}` is not a table of text: {error}", path.display()),
            "the first row names the columns: `path,label`",
        )
    };
    let reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_path(path);
    let mut reader = reader.map_err(unreadable)?;
    let mut data = DataSet::new("a table of path and label");
    let mut columns = None;
    let mut row = StringRecord::new();
    while reader.read_record(&mut row).map_err(unreadable)? {
        let line = row.position().map_or(0, csv::Position::line);
        let place = format!("{} line {line}", path.display());
        let Some((picture_at, label_at)) = columns else {
            let (found, is_header) = columns_of(&row).ok_or_else(|| {
                Error::usage(
                    format!("{place}: its columns don't say which is the path and which the label"),
                    "name them in the first row: `path,label`",
                )
            })?;
            columns = Some(found);
            if !is_header {
                data.add_row(path, &row, found, place);
            }
            continue;
        };
        data.add_row(path, &row, (picture_at, label_at), place);
    }
    Ok(data)
}

/// The places of path and label, and whether this row names them.
fn columns_of(row: &StringRecord) -> Option<((usize, usize), bool)> {
    let place = |names: &[&str]| {
        let known = |field: &str| names.contains(&field.trim_start_matches('\u{feff}').to_lowercase().as_str());
        row.iter().position(known)
    };
    match (place(&PATHS), place(&LABELS)) {
        (Some(path), Some(label)) => Some(((path, label), true)),
        (None, None) if row.len() == 2 => Some(((0, 1), false)),
        _ => None,
    }
}

impl DataSet {
    fn add_row(&mut self, list: &Path, row: &StringRecord, (picture, label): (usize, usize), place: String) {
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
