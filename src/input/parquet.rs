//! What is checked of a Parquet file's metadata before anything is read by it: an index of images, or a data set.

use parquet::arrow::arrow_reader::ArrowReaderMetadata;

/// Refuses columns outside of a file of `n_bytes`.
///
/// # Errors
/// What is wrong.
pub(crate) fn check_offsets(metadata: &ArrowReaderMetadata, n_bytes: u64) -> Result<(), &'static str> {
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
    match groups.iter().any(|group| group.num_rows() < 0) {
        true => Err("it has a negative number of rows"),
        false => Ok(()),
    }
}
