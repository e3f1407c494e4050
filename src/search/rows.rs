//! What an index knows of each picture besides its embedding, and reading it back: all rows, or a few of a million.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType, TimestampNanosecondType};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::Result as ParquetResult;
use serde::{Deserialize, Serialize};

use super::columns::{MTIME, PATH, SHA256, SIZE};

/// A picture as an index knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// What the person named.
    pub path: String,
    /// Bytes of its file.
    pub size: Option<u64>,
    /// When its file was last changed, in microseconds since 1970; `None` where it isn't a file.
    pub mtime_us: Option<i64>,
    /// The hash of its bytes, in hexadecimal digits, where it isn't a file.
    pub sha256: Option<String>,
}

/// Whether a picture's file is still the one that was indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is, or the picture isn't a file, which nobody can tell.
    AsIndexed,
    /// It was written since.
    Changed,
    /// There is none.
    Gone,
}

impl Picture {
    /// Whether it was a file of its own.
    pub fn is_file(&self) -> bool {
        self.mtime_us.is_some()
    }

    /// Where its file is; `folder` is where relative paths begin.
    pub fn place(&self, folder: &Path) -> PathBuf {
        folder.join(&self.path)
    }

    /// Looks at its file.
    pub fn state(&self, folder: &Path) -> State {
        if !self.is_file() {
            return State::AsIndexed;
        }
        match size_and_mtime(&self.place(folder)) {
            None => State::Gone,
            found if found == self.size.zip(self.mtime_us) => State::AsIndexed,
            Some(_) => State::Changed,
        }
    }
}

/// A file's length and time of change, in microseconds, which every tool reads; `None` where there is no such file or its time can't be told.
pub(super) fn size_and_mtime(path: &Path) -> Option<(u64, i64)> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let modified = metadata.modified().ok()?;
    let since = |later: std::time::SystemTime, earlier| later.duration_since(earlier).ok();
    let mtime_us = match since(modified, UNIX_EPOCH) {
        Some(after) => i64::try_from(after.as_micros()).ok()?,
        None => -i64::try_from(UNIX_EPOCH.duration_since(modified).ok()?.as_micros()).ok()?,
    };
    Some((metadata.len(), mtime_us))
}

/// All rows, in order.
pub(super) fn all(file: &Bytes, metadata: &ArrowReaderMetadata) -> ParquetResult<Vec<Picture>> {
    read(reader(file, metadata))
}

/// The rows of these numbers, which ascend. Only pages that hold one of them are read.
pub(super) fn some(file: &Bytes, metadata: &ArrowReaderMetadata, rows: &[usize]) -> ParquetResult<Vec<Picture>> {
    let mut groups = Vec::new();
    let mut ranges = Vec::new();
    // Row numbers of a selection count those of the groups that are read.
    let (mut start, mut n_read) = (0, 0);
    for (group, about) in metadata.metadata().row_groups().iter().enumerate() {
        let n_rows = about.num_rows() as usize;
        let inside = rows.iter().filter(|row| (start..start + n_rows).contains(row));
        let inside: Vec<usize> = inside.map(|row| row - start + n_read).collect();
        if !inside.is_empty() {
            groups.push(group);
            ranges.extend(inside.iter().map(|row| *row..row + 1));
            n_read += n_rows;
        }
        start += n_rows;
    }
    let selection = RowSelection::from_consecutive_ranges(ranges.into_iter(), n_read);
    let reader = reader(file, metadata).with_row_groups(groups);
    read(reader.with_row_selection(selection))
}

type Reader = ParquetRecordBatchReaderBuilder<Bytes>;

fn reader(file: &Bytes, metadata: &ArrowReaderMetadata) -> Reader {
    let columns = [PATH, SIZE, MTIME, SHA256];
    let mask = ProjectionMask::columns(metadata.parquet_schema(), columns);
    Reader::new_with_metadata(file.clone(), metadata.clone()).with_projection(mask)
}

fn read(reader: Reader) -> ParquetResult<Vec<Picture>> {
    let mut pictures = Vec::new();
    for batch in reader.build()? {
        let batch = batch?;
        let (paths, sizes) = (texts(&batch, PATH), numbers(&batch, SIZE));
        let (times, digests) = (numbers(&batch, MTIME), texts(&batch, SHA256));
        let rows = paths.into_iter().zip(sizes).zip(times).zip(digests);
        pictures.extend(rows.map(|(((path, size), mtime_us), sha256)| Picture {
            path: path.unwrap_or_default(),
            size: size.and_then(|size| u64::try_from(size).ok()),
            mtime_us,
            sha256,
        }));
    }
    Ok(pictures)
}

/// A column's texts in whichever of Arrow's three forms another writer left them; none where there is no such column.
fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let Some(column) = batch.column_by_name(name) else {
        return vec![None; batch.num_rows()];
    };
    if let Some(texts) = column.as_string_opt::<i32>() {
        return texts.iter().map(owned).collect();
    }
    if let Some(texts) = column.as_string_opt::<i64>() {
        return texts.iter().map(owned).collect();
    }
    match column.as_string_view_opt() {
        Some(texts) => texts.iter().map(owned).collect(),
        None => vec![None; batch.num_rows()],
    }
}

/// A column's integers, or its times in microseconds.
fn numbers(batch: &RecordBatch, name: &str) -> Vec<Option<i64>> {
    let Some(column) = batch.column_by_name(name) else {
        return vec![None; batch.num_rows()];
    };
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return numbers.iter().collect();
    }
    if let Some(times) = column.as_primitive_opt::<TimestampNanosecondType>() {
        return times.iter().map(|time| Some(time?.div_euclid(1000))).collect();
    }
    match column.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => times.iter().collect(),
        None => vec![None; batch.num_rows()],
    }
}
