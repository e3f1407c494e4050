//! Writes an index: rows in order, in row groups of some ten megabytes, each with one page of embeddings.
//!
//! Paths and what goes with them are in pages of some thousand rows with an index of pages, so that looking up ten of a
//! million reads ten pages. Nothing is compressed: embeddings don't shrink, and what is plain is read in place.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use half::f16;
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::columns;
use super::origin::Origin;
use super::page::{self, VALUE_BYTES};
use super::rows::Picture;
use crate::output::Shared;

/// Bytes of embeddings of a row group: few groups for a million, and little enough to be held while it is made.
const GROUP_BYTES: usize = 32 << 20;
/// Rows of a page of paths.
const PAGE_ROWS: usize = 2048;

/// Writes an index to `out`.
pub struct IndexWriter<W> {
    out: W,
    written: Shared,
    file: SerializedFileWriter<Shared>,
    dim: usize,
    group_bytes: usize,
    waiting: Group,
}

/// Rows that wait to become a row group.
#[derive(Default)]
struct Group {
    pictures: Vec<Picture>,
    /// Little-endian f16.
    values: Vec<u8>,
}

impl<W: Write> IndexWriter<W> {
    /// Begins an index of embeddings of this origin.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: W, origin: &Origin) -> io::Result<Self> {
        let schema = columns::schema(origin);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(PAGE_ROWS)
            .set_key_value_metadata(Some(columns::notes(origin)))
            .build();
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let written = Shared::default();
        let descriptor = ArrowSchemaConverter::new().convert(&schema).map_err(io::Error::other)?;
        let file = SerializedFileWriter::new(written.clone(), descriptor.root_schema_ptr(), Arc::new(properties));
        Ok(IndexWriter {
            out,
            written,
            file: file.map_err(io::Error::other)?,
            dim: origin.embed_dim,
            group_bytes: GROUP_BYTES,
            waiting: Group::default(),
        })
    }

    /// Row groups of so many bytes of embeddings.
    #[cfg(test)]
    pub(super) fn groups_of(mut self, group_bytes: usize) -> Self {
        self.group_bytes = group_bytes;
        self
    }

    /// A picture and its embedding, of any length; it is stored with length one.
    ///
    /// # Errors
    /// Those of `out`; [`io::ErrorKind::InvalidData`] for an embedding that isn't finite.
    ///
    /// # Panics
    /// If it has another number of numbers than was said.
    pub fn push(&mut self, picture: Picture, embedding: &[f32]) -> io::Result<()> {
        let stored = stored(embedding).ok_or(io::ErrorKind::InvalidData)?;
        self.push_stored(picture, &stored)
    }

    /// As [`IndexWriter::push`], of an embedding as [`stored`] makes it.
    pub(super) fn push_stored(&mut self, picture: Picture, embedding: &[u8]) -> io::Result<()> {
        assert_eq!(embedding.len(), self.dim * VALUE_BYTES, "bytes of an embedding");
        self.waiting.pictures.push(picture);
        self.waiting.values.extend(embedding);
        if self.waiting.values.len() + embedding.len() > self.group_bytes {
            self.write_group()?;
        }
        Ok(())
    }

    /// The end of the file; gives back what it was written to.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_group()?;
        self.file.close().map_err(io::Error::other)?;
        self.out.write_all(&self.written.take())?;
        Ok(self.out)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let group = mem::take(&mut self.waiting);
        if !group.pictures.is_empty() {
            self.encode(&group).map_err(io::Error::other)?;
        }
        self.out.write_all(&self.written.take())
    }

    fn encode(&mut self, group: &Group) -> ParquetResult<()> {
        let vectors = self.file.schema_descr().column(columns::N_PLAIN);
        let mut out = self.file.next_row_group()?;
        let pictures = &group.pictures;
        let paths = pictures.iter().map(|picture| Some(picture.path.as_str()));
        write_texts(&mut out, paths, Presence::Always)?;
        write_numbers(
            &mut out,
            pictures.iter().map(|picture| Some(picture.size?.cast_signed())),
        )?;
        write_numbers(&mut out, pictures.iter().map(|picture| picture.mtime_us))?;
        let digests = pictures.iter().map(|picture| picture.sha256.as_deref());
        write_texts(&mut out, digests, Presence::Sometimes)?;
        let chunk = page::chunk(&group.values, self.dim, vectors)?;
        out.append_column(&chunk.bytes, chunk.close)?;
        out.close()?;
        Ok(())
    }
}

/// An embedding as an index holds it: unit length, little-endian f16. `None` where it isn't finite.
pub(super) fn stored(embedding: &[f32]) -> Option<Vec<u8>> {
    let mut unit = embedding.to_vec();
    crate::model::normalize(&mut unit);
    let is_finite = unit.iter().all(|value| value.is_finite());
    let bytes = || unit.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes());
    is_finite.then(|| bytes().collect())
}

/// Whether a column has a value in each row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Always,
    Sometimes,
}

fn write_texts<'a>(
    out: &mut SerializedRowGroupWriter<'_, Shared>,
    texts: impl Iterator<Item = Option<&'a str>>,
    presence: Presence,
) -> ParquetResult<()> {
    let (texts, there) = values_and_levels(texts.map(|text| text.map(ByteArray::from)));
    let there = (presence == Presence::Sometimes).then_some(there);
    if let Some(mut column) = out.next_column()? {
        column
            .typed::<ByteArrayType>()
            .write_batch(&texts, there.as_deref(), None)?;
        column.close()?;
    }
    Ok(())
}

fn write_numbers(
    out: &mut SerializedRowGroupWriter<'_, Shared>,
    numbers: impl Iterator<Item = Option<i64>>,
) -> ParquetResult<()> {
    let (numbers, there) = values_and_levels(numbers);
    if let Some(mut column) = out.next_column()? {
        column.typed::<Int64Type>().write_batch(&numbers, Some(&there), None)?;
        column.close()?;
    }
    Ok(())
}

/// The values that are there, and for each row whether one is.
fn values_and_levels<T>(rows: impl Iterator<Item = Option<T>>) -> (Vec<T>, Vec<i16>) {
    let mut values = Vec::new();
    let levels = rows.map(|row| {
        let level = i16::from(row.is_some());
        values.extend(row);
        level
    });
    let levels = levels.collect();
    (values, levels)
}
