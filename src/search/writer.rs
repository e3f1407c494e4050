//! Writes an index: rows in order, in row groups of some ten megabytes, each with one page of embeddings.
//!
//! Paths and other columns have pages of some thousand rows and a page index, so finding ten rows among a million reads
//! ten pages. Nothing is compressed: embeddings hardly shrink, and plain pages can be used in place.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::columns;
use super::origin::Origin;
use super::page::{self, VALUE_BYTES, stored_embedding};
use super::rows::Picture;

/// Bytes of embeddings in a row group: large enough for few groups, small enough to be kept in memory.
const GROUP_BYTES: usize = 32 << 20;
/// Rows of a page of paths.
const PAGE_ROWS: usize = 2048;

/// Writes an index to `out`.
pub struct IndexWriter<W> {
    out: W,
    /// Its buffer is passed on to `out` after each row group.
    file: SerializedFileWriter<Vec<u8>>,
    dim: usize,
    group_bytes: usize,
    waiting: RowGroup,
}

/// The rows of the next row group.
#[derive(Default)]
struct RowGroup {
    pictures: Vec<Picture>,
    /// Little-endian f16.
    values: Vec<u8>,
}

impl<W: Write> IndexWriter<W> {
    /// Begins an index of embeddings of this origin.
    ///
    /// # Errors
    /// An internal error of the Parquet writer.
    pub fn new(out: W, origin: &Origin) -> io::Result<Self> {
        let schema = columns::schema(origin);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(PAGE_ROWS)
            .set_key_value_metadata(Some(columns::metadata(origin)))
            .build();
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let descriptor = ArrowSchemaConverter::new().convert(&schema).map_err(io::Error::other)?;
        let file = SerializedFileWriter::new(Vec::new(), descriptor.root_schema_ptr(), Arc::new(properties));
        Ok(IndexWriter {
            out,
            file: file.map_err(io::Error::other)?,
            dim: origin.embed_dim,
            group_bytes: GROUP_BYTES,
            waiting: RowGroup::default(),
        })
    }

    /// Makes row groups of this many bytes of embeddings.
    #[cfg(test)]
    pub(super) fn with_group_bytes(mut self, group_bytes: usize) -> Self {
        self.group_bytes = group_bytes;
        self
    }

    /// Adds an image and its embedding, which is normalised.
    ///
    /// # Errors
    /// The error of `out`; [`io::ErrorKind::InvalidData`] for an embedding that isn't finite.
    ///
    /// # Panics
    /// If the embedding doesn't have the origin's `embed_dim`.
    pub fn push(&mut self, picture: Picture, embedding: &[f32]) -> io::Result<()> {
        let stored = stored_embedding(embedding).ok_or(io::ErrorKind::InvalidData)?;
        self.push_stored(picture, &stored)
    }

    /// Like [`IndexWriter::push`], with an embedding from [`stored_embedding`].
    pub(super) fn push_stored(&mut self, picture: Picture, embedding: &[u8]) -> io::Result<()> {
        assert_eq!(embedding.len(), self.dim * VALUE_BYTES, "bytes of an embedding");
        self.waiting.pictures.push(picture);
        self.waiting.values.extend(embedding);
        if self.waiting.values.len() + embedding.len() > self.group_bytes {
            self.write_group()?;
        }
        Ok(())
    }

    /// Writes the end of the file and returns `out`.
    ///
    /// # Errors
    /// The error of `out`.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_group()?;
        self.out.write_all(&self.file.into_inner().map_err(io::Error::other)?)?;
        Ok(self.out)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let group = mem::take(&mut self.waiting);
        if !group.pictures.is_empty() {
            self.encode(&group).map_err(io::Error::other)?;
        }
        self.out.write_all(&mem::take(self.file.inner_mut()))
    }

    fn encode(&mut self, group: &RowGroup) -> ParquetResult<()> {
        let embeddings = self.file.schema_descr().column(columns::EMBEDDING_COLUMN);
        let mut out = self.file.next_row_group()?;
        let pictures = &group.pictures;
        let paths = pictures.iter().map(|picture| Some(picture.path.as_str()));
        write_texts(&mut out, paths, Nullability::Required)?;
        let sizes = pictures.iter().map(|picture| Some(picture.size?.cast_signed()));
        write_numbers(&mut out, sizes)?;
        write_numbers(&mut out, pictures.iter().map(|picture| picture.mtime_us))?;
        let digests = pictures.iter().map(|picture| picture.sha256.as_deref());
        write_texts(&mut out, digests, Nullability::Nullable)?;
        let chunk = page::chunk(&group.values, self.dim, embeddings)?;
        out.append_column(&chunk.bytes, chunk.close)?;
        out.close()?;
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nullability {
    Required,
    Nullable,
}

fn write_texts<'a>(
    out: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    texts: impl Iterator<Item = Option<&'a str>>,
    nullability: Nullability,
) -> ParquetResult<()> {
    let (texts, levels) = values_and_levels(texts.map(|text| text.map(ByteArray::from)));
    let levels = (nullability == Nullability::Nullable).then_some(levels);
    if let Some(mut column) = out.next_column()? {
        column
            .typed::<ByteArrayType>()
            .write_batch(&texts, levels.as_deref(), None)?;
        column.close()?;
    }
    Ok(())
}

fn write_numbers(
    out: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    numbers: impl Iterator<Item = Option<i64>>,
) -> ParquetResult<()> {
    let (numbers, levels) = values_and_levels(numbers);
    if let Some(mut column) = out.next_column()? {
        column.typed::<Int64Type>().write_batch(&numbers, Some(&levels), None)?;
        column.close()?;
    }
    Ok(())
}

/// The values that are not null, and one definition level per row: 1 for a value, 0 for a null.
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
