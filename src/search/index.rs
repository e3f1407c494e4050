//! An open index: a memory-mapped file whose embeddings are used in place.
//!
//! If another program has rewritten the file (compressed, as f32, with a dictionary), the embeddings are read through
//! Arrow into memory instead: slower to open, but the answers are the same.

use std::io;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use bytes::Bytes;
use half::f16;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Type};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::serialized_reader::SerializedPageReader;

use super::columns::{self, EMBEDDING, PATH, damaged, not_an_index};
use super::origin::Origin;
use super::page::{VALUE_BYTES, values_in_place};
use super::rows::{self, Picture};
use crate::error::{Control, Error, Result, caught, hint};
use crate::input::parquet::{check_compression, check_offsets};
use crate::kernels::StoredRows;
use crate::output::one_line;
use crate::weights::map;

/// An index of images, open for reading.
pub struct Index {
    path: PathBuf,
    origin: Origin,
    file: Bytes,
    metadata: ArrowReaderMetadata,
    /// The embeddings as consecutive blocks of complete rows, little-endian f16.
    parts: Vec<Bytes>,
    n_rows: usize,
    is_searched_in_place: bool,
}

impl Index {
    /// Opens an index; `None` if the file doesn't exist or is empty.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open_if_there(path: &Path) -> Result<Option<Self>> {
        match path.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            _ => Index::open(path).map(Some),
        }
    }

    /// Opens an index.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Usage`] if the file is missing, not an index, or damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let file = mapped(path)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let loaded = no_panic(path, || ArrowReaderMetadata::load(&file, options))?;
        let metadata = loaded.map_err(|error| {
            if !file.starts_with(b"PAR1") {
                return not_an_index(path, "not a Parquet file");
            }
            damaged(
                path,
                &format!("the Parquet file is damaged ({})", one_line(&error.to_string())),
            )
        })?;
        check_offsets(&metadata, file.len() as u64).map_err(|problem| damaged(path, problem))?;
        check_compression(path, &metadata)?;
        let about = metadata.metadata().file_metadata();
        let origin = columns::origin(path, about.key_value_metadata())?;
        for column in [PATH, EMBEDDING] {
            if metadata.schema().column_with_name(column).is_none() {
                return Err(damaged(path, &format!("it has no column `{column}`")));
            }
        }
        let n_rows = usize::try_from(about.num_rows()).unwrap_or(0);
        let mapped = no_panic(path, || in_place(&file, &metadata, origin.embed_dim))?;
        let is_searched_in_place = mapped.is_some();
        let parts = match mapped {
            Some(parts) => parts,
            None => vec![no_panic(path, || read(path, &file, &metadata, origin.embed_dim))??],
        };
        let found = parts.iter().map(Bytes::len).sum::<usize>() / (origin.embed_dim * VALUE_BYTES);
        if found != n_rows {
            let problem = format!("it has {found} embeddings for {n_rows} images");
            return Err(damaged(path, &problem));
        }
        Ok(Index {
            path: path.to_owned(),
            origin,
            file,
            metadata,
            parts,
            n_rows,
            is_searched_in_place,
        })
    }

    /// How its embeddings were made.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The number of images.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether it has no images.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Whether its embeddings are used in the memory-mapped file, without a copy.
    pub fn is_searched_in_place(&self) -> bool {
        self.is_searched_in_place
    }

    /// The embeddings, unit length, in order.
    pub fn embeddings(&self) -> StoredRows<'_> {
        StoredRows::new(self.parts().collect(), self.origin.embed_dim)
    }

    /// The bytes of the embeddings, in order: blocks of complete rows, little-endian f16.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|part| &part[..])
    }

    /// All images, in order.
    ///
    /// # Errors
    /// [`Error::Usage`] if the file is damaged.
    pub fn pictures(&self) -> Result<Vec<Picture>> {
        self.read(self.n_rows, || rows::all(&self.file, &self.metadata))
    }

    /// The images of these rows, which must ascend.
    ///
    /// # Errors
    /// [`Error::Usage`] if the file is damaged.
    pub fn pictures_of(&self, rows: &[usize]) -> Result<Vec<Picture>> {
        self.read(rows.len(), || rows::some(&self.file, &self.metadata, rows))
    }

    fn read(&self, n: usize, read: impl FnOnce() -> parquet::errors::Result<Vec<Picture>>) -> Result<Vec<Picture>> {
        let read = no_panic(&self.path, read)?;
        let pictures = read.map_err(|error| damaged(&self.path, &one_line(&error.to_string())))?;
        if pictures.len() != n {
            let problem = format!("it has {} paths instead of {n}", pictures.len());
            return Err(damaged(&self.path, &problem));
        }
        Ok(pictures)
    }

    /// The embedding of a row, as stored.
    ///
    /// # Panics
    /// If there is no such row.
    pub(super) fn stored_embedding(&self, row: usize) -> &[u8] {
        let row_bytes = self.origin.embed_dim * VALUE_BYTES;
        let mut before = row * row_bytes;
        for part in &self.parts {
            if before < part.len() {
                return &part[before..before + row_bytes];
            }
            before -= part.len();
        }
        panic!("row {row} of {}", self.n_rows)
    }
}

fn mapped(path: &Path) -> Result<Bytes> {
    if path.is_dir() {
        return Err(not_an_index(path, "a folder"));
    }
    match map(path) {
        Ok(map) => Ok(Bytes::from_owner(map)),
        Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Err(Error::usage(
            format!("there is no index `{}`", path.display()),
            hint!("make it: {}", Control::BuildIndex(path.display().to_string())),
        )),
        Err(error) => Err(error),
    }
}

/// Makes an error of a panic: the Parquet reader may panic on a damaged file.
fn no_panic<T>(path: &Path, read: impl FnOnce() -> T) -> Result<T> {
    caught(read).map_err(|_| damaged(path, "the Parquet reader failed unexpectedly"))
}

/// The numbers of all pages, if all are in the form that our writer gives them.
fn in_place(file: &Bytes, metadata: &ArrowReaderMetadata, dim: usize) -> Option<Vec<Bytes>> {
    let column = embedding_column(metadata)?;
    let about = metadata.parquet_schema().column(column);
    if about.physical_type() != Type::FIXED_LEN_BYTE_ARRAY || about.type_length() != VALUE_BYTES as i32 {
        return None;
    }
    let mut parts = Vec::new();
    for group in metadata.metadata().row_groups() {
        let chunk = group.column(column);
        if chunk.compression() != Compression::UNCOMPRESSED {
            return None;
        }
        let n_rows = usize::try_from(group.num_rows()).ok()?;
        let pages = SerializedPageReader::new(file.clone().into(), chunk, n_rows, None).ok()?;
        for page in pages {
            parts.push(values_in_place(&page.ok()?, dim)?);
        }
    }
    Some(parts)
}

/// The index of the embeddings' column among the file's leaf columns.
fn embedding_column(metadata: &ArrowReaderMetadata) -> Option<usize> {
    let mut columns = metadata.parquet_schema().columns().iter();
    columns.position(|column| column.path().parts().first().is_some_and(|name| name == EMBEDDING))
}

/// Reads embeddings of any other form.
fn read(path: &Path, file: &Bytes, metadata: &ArrowReaderMetadata, dim: usize) -> Result<Bytes> {
    let mask = ProjectionMask::columns(metadata.parquet_schema(), [EMBEDDING]);
    let failed = |error: &dyn std::fmt::Display| damaged(path, &one_line(&error.to_string()));
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata.clone());
    let batches = reader.with_projection(mask).build().map_err(|error| failed(&error))?;
    let mut values = Vec::new();
    for batch in batches {
        let batch = batch.map_err(|error| failed(&error))?;
        let column = batch.column(0);
        append(column, dim, &mut values)
            .ok_or_else(|| damaged(path, &format!("an embedding is not {dim} numbers, or is missing")))?;
    }
    Ok(values.into())
}

/// Appends the rows of a list column as f16; `None` if one is null, has nulls or has another length.
fn append(column: &ArrayRef, dim: usize, values: &mut Vec<u8>) -> Option<()> {
    for row in 0..column.len() {
        let list = list_at(column, row)?;
        if list.len() != dim || list.null_count() > 0 {
            return None;
        }
        let mut push = |value: f16| values.extend(value.to_le_bytes());
        if let Some(numbers) = list.as_primitive_opt::<Float16Type>() {
            numbers.values().iter().for_each(|value| push(*value));
        } else if let Some(numbers) = list.as_primitive_opt::<Float32Type>() {
            numbers.values().iter().for_each(|value| push(f16::from_f32(*value)));
        } else {
            let numbers = list.as_primitive_opt::<Float64Type>()?;
            numbers.values().iter().for_each(|value| push(f16::from_f64(*value)));
        }
    }
    Some(())
}

/// A row of any kind of list column.
fn list_at(column: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if column.is_null(row) {
        return None;
    }
    if let Some(lists) = column.as_fixed_size_list_opt() {
        return Some(lists.value(row));
    }
    if let Some(lists) = column.as_list_opt::<i32>() {
        return Some(lists.value(row));
    }
    column.as_list_opt::<i64>().map(|lists| lists.value(row))
}
