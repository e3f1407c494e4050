//! What is checked of a Parquet file's metadata before anything is read by it: an index of images, or a data set.

use std::path::Path;

use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::basic::Compression;

use super::cells::may_have_rows;
use crate::error::{Error, Result};

/// Refuses columns outside of a file of `n_bytes`, and more rows than it can hold.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_offsets(metadata: &ArrowReaderMetadata, n_bytes: u64) -> std::result::Result<(), &'static str> {
    let groups = metadata.metadata().row_groups();
    let is_inside = |start: i64, length: i64| {
        let end = start.checked_add(length);
        start >= 0 && length >= 0 && end.is_some_and(|end| end as u64 <= n_bytes)
    };
    for chunk in groups.iter().flat_map(|group| group.columns()) {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        if !is_inside(start, chunk.compressed_size()) || chunk.data_page_offset() < 0 {
            return Err("a column is outside of the file");
        }
    }
    let rows = groups.iter().map(|group| u64::try_from(group.num_rows()));
    let n_rows = rows.reduce(|sum, n| Ok(sum?.saturating_add(n?))).unwrap_or(Ok(0));
    match n_rows {
        Err(_) => Err("it has a negative number of rows"),
        Ok(n_rows) if !may_have_rows(n_rows, n_bytes) => Err("it says that it has more rows than it can hold"),
        Ok(_) => Ok(()),
    }
}

/// Refuses compressions that this build doesn't read.
///
/// # Errors
/// [`Error::Usage`] with the name of the first one.
pub(crate) fn check_compression(path: &Path, metadata: &ArrowReaderMetadata) -> Result<()> {
    let groups = metadata.metadata().row_groups();
    for chunk in groups.iter().flat_map(|group| group.columns()) {
        let name = match chunk.compression() {
            Compression::BROTLI(_) => "brotli",
            Compression::LZO => "LZO",
            Compression::UNCOMPRESSED
            | Compression::SNAPPY
            | Compression::GZIP(_)
            | Compression::LZ4
            | Compression::LZ4_RAW
            | Compression::ZSTD(_) => continue,
        };
        return Err(Error::usage(
            format!(
                "`{}` is compressed with {name}; Parquet files are read if they have no compression, or snappy, gzip, lz4 or zstd",
                path.display()
            ),
            "write it with another compression, for example zstd",
        ));
    }
    Ok(())
}
