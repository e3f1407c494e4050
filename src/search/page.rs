//! The bytes of embeddings in a Parquet file: pages whose numbers are in sequence, so they can be used where they are
//! memory-mapped.
//!
//! The page of a list column is a header; then, for each number, a repetition level (0 if a list begins, else 1) and a
//! definition level (1: not null), both run-length encoded; then the numbers. The `parquet` crate can write such a page,
//! but with one allocation per number. Format: parquet-format's `README.md` ("Data Pages") and `Encodings.md` ("RLE");
//! the header is `PageHeader` of `parquet.thrift` in Thrift's compact protocol.

use bytes::Bytes;
use half::f16;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::Page;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, OffsetIndexBuilder};
use parquet::schema::types::ColumnDescPtr;

use crate::model::normalize;

/// Bytes of a number, f16.
pub(super) const VALUE_BYTES: usize = 2;

/// An embedding as an index stores it: unit length, little-endian f16. `None` if it isn't finite.
pub(super) fn stored_embedding(embedding: &[f32]) -> Option<Vec<u8>> {
    let mut unit = embedding.to_vec();
    normalize(&mut unit);
    let is_finite = unit.iter().all(|value| value.is_finite());
    let bytes = || unit.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes());
    is_finite.then(|| bytes().collect())
}

/// A column chunk with one page.
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    pub(super) close: ColumnCloseResult,
}

/// Makes a column chunk of `values`, little-endian f16, rows of `dim` numbers.
pub(super) fn chunk(values: &[u8], dim: usize, column: ColumnDescPtr) -> ParquetResult<Chunk> {
    let n_values = values.len() / VALUE_BYTES;
    let n_rows = n_values / dim;
    let levels = levels(n_rows, dim);
    let body_bytes = levels.len() + values.len();
    let mut bytes = header(i32::try_from(body_bytes)?, i32::try_from(n_values)?);
    bytes.reserve_exact(body_bytes);
    bytes.extend(levels);
    bytes.extend(values);
    let n_bytes = bytes.len() as i64;
    let metadata = ColumnChunkMetaData::builder(column)
        .set_compression(Compression::UNCOMPRESSED)
        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
        .set_num_values(n_values as i64)
        .set_total_compressed_size(n_bytes)
        .set_total_uncompressed_size(n_bytes)
        .set_data_page_offset(0)
        .build()?;
    let mut pages = OffsetIndexBuilder::new();
    pages.append_row_count(n_rows as i64);
    pages.append_offset_and_size(0, i32::try_from(n_bytes)?);
    Ok(Chunk {
        bytes: bytes.into(),
        close: ColumnCloseResult {
            bytes_written: n_bytes as u64,
            rows_written: n_rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(pages.build()),
        },
    })
}

/// The numbers of a page, if it has the form that [`chunk`] gives it.
pub(super) fn values_in_place(page: &Page, dim: usize) -> Option<Bytes> {
    let Page::DataPage {
        buf,
        num_values,
        encoding: Encoding::PLAIN,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        ..
    } = page
    else {
        return None;
    };
    let n_values = *num_values as usize;
    if !n_values.is_multiple_of(dim) || buf.len() < n_values.checked_mul(VALUE_BYTES)? {
        return None;
    }
    // Other levels mean lists of other lengths, or nulls.
    let expected = levels(n_values / dim, dim);
    let is_ours = buf.starts_with(&expected) && buf.len() == expected.len() + n_values * VALUE_BYTES;
    is_ours.then(|| buf.slice(expected.len()..))
}

/// The repetition and the definition levels of `n_rows` lists of `dim` numbers, each preceded by its length in bytes.
fn levels(n_rows: usize, dim: usize) -> Vec<u8> {
    let mut row = run(1, 0);
    if dim > 1 {
        row.extend(run(dim - 1, 1));
    }
    let repetition = row.repeat(n_rows);
    let definition = run(n_rows * dim, 1);
    [repetition, definition]
        .iter()
        .flat_map(|levels| {
            (levels.len() as u32)
                .to_le_bytes()
                .into_iter()
                .chain(levels.iter().copied())
        })
        .collect()
}

/// A run of `n` levels of one bit each.
fn run(n: usize, level: u8) -> Vec<u8> {
    let mut bytes = varint((n as u64) << 1);
    bytes.push(level);
    bytes
}

/// The page header: the sizes, plain values, run-length encoded levels.
fn header(body_bytes: i32, n_values: i32) -> Vec<u8> {
    const DATA_PAGE: i32 = 0;
    const PLAIN: i32 = 0;
    const RLE: i32 = 3;
    const END: u8 = 0;
    let mut bytes = Vec::new();
    // `type`, `uncompressed_page_size`, `compressed_page_size` are fields 1 to 3.
    for number in [DATA_PAGE, body_bytes, body_bytes] {
        field(&mut bytes, 1, number);
    }
    // `data_page_header` is field 5, a struct (12).
    bytes.push(2 << 4 | 12);
    // `num_values`, `encoding`, `definition_level_encoding`, `repetition_level_encoding` are its fields 1 to 4.
    for number in [n_values, PLAIN, RLE, RLE] {
        field(&mut bytes, 1, number);
    }
    bytes.extend([END, END]);
    bytes
}

/// Appends an i32 field in Thrift's compact protocol. `step` is the distance from the number of the field before it.
fn field(bytes: &mut Vec<u8>, step: u8, number: i32) {
    const I32: u8 = 5;
    bytes.push(step << 4 | I32);
    // Zigzag encoding of a number that is not negative.
    bytes.extend(varint((number as u64) << 1));
}

/// Seven bits per byte, the lowest first.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
