//! What an index stores of each image besides its embedding, and reading it: all rows, or a few of a million.

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
use crate::input::cells::{Values, is_text};

/// What an index stores of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// The path that the user named.
    pub path: String,
    /// The number of bytes.
    pub size: Option<u64>,
    /// The file's modification time in microseconds since 1970; `None` if the image isn't a file.
    pub mtime_us: Option<i64>,
    /// The hash of its bytes, in hexadecimal digits, if it isn't a file.
    pub sha256: Option<String>,
}

/// Whether an image's file is still the one that was indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Unchanged, or unknown because the image isn't a file.
    AsIndexed,
    /// Written since.
    Changed,
    /// Missing.
    Gone,
}

impl Picture {
    /// Whether the image is a file, as opposed to a member of an archive or stdin.
    pub fn is_file(&self) -> bool {
        self.mtime_us.is_some()
    }

    /// The path of its file; relative paths start from `folder`.
    pub fn file_path(&self, folder: &Path) -> PathBuf {
        folder.join(&self.path)
    }

    /// Compares its file with what was indexed.
    pub fn file_state(&self, folder: &Path) -> FileState {
        if !self.is_file() {
            return FileState::AsIndexed;
        }
        match size_and_mtime(&self.file_path(folder)) {
            None => FileState::Gone,
            found if found == self.size.zip(self.mtime_us) => FileState::AsIndexed,
            Some(_) => FileState::Changed,
        }
    }
}

/// A file's size and its modification time in microseconds since 1970; `None` if there is no such file or it has no time.
/// Microseconds, since not every reader of Parquet knows nanoseconds.
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

/// These rows, which must ascend. Reads only the pages that have one of them.
pub(super) fn some(file: &Bytes, metadata: &ArrowReaderMetadata, rows: &[usize]) -> ParquetResult<Vec<Picture>> {
    let mut groups = Vec::new();
    let mut ranges = Vec::new();
    // A selection counts only the rows of the groups that are read.
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

type PictureReader = ParquetRecordBatchReaderBuilder<Bytes>;

fn reader(file: &Bytes, metadata: &ArrowReaderMetadata) -> PictureReader {
    let columns = [PATH, SIZE, MTIME, SHA256];
    let mask = ProjectionMask::columns(metadata.parquet_schema(), columns);
    PictureReader::new_with_metadata(file.clone(), metadata.clone()).with_projection(mask)
}

fn read(reader: PictureReader) -> ParquetResult<Vec<Picture>> {
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

/// A column of texts, which other programs may have written; nulls if it is missing.
fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    let column = batch.column_by_name(name).filter(|column| is_text(column.data_type()));
    match column.map(Values::new) {
        Some(texts) => (0..batch.num_rows()).map(|row| texts.text(row)).collect(),
        None => vec![None; batch.num_rows()],
    }
}

/// A column of integers or of times, in microseconds; nulls if it is missing.
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
