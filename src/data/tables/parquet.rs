//! Parquet files as tables. A row group is read from front to back, some rows at a time, and each part on its own.
//!
//! Texts and images are read as views, which refer to a page of the file and to its dictionary, so a value that many rows
//! share takes memory only once, whatever the file says.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};

use super::chunks::{Chunk, Part, Recent};
use super::columns::Columns;
use super::{DataOptions, Format, LookedThrough, Table};
use crate::error::{Error, Result, caught};
use crate::input::parquet::{check_compression, check_offsets};
use crate::output::one_line;

pub(super) const FORMAT: Format = Format {
    endings: &["parquet"],
    begins: |head| head.starts_with(b"PAR1"),
    open,
};

/// About how many bytes are read at once.
const CHUNK_BYTES: u64 = 4 << 20;
/// The most rows of a chunk.
const CHUNK_ROWS_MAX: u64 = 1024;

struct ParquetTable {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    columns: Columns,
    /// The first row of each row group, and the number of all rows.
    starts: Vec<usize>,
    descriptions: Mutex<PartReader>,
    images: Mutex<PartReader>,
}

/// The chunks of one part.
#[derive(Default)]
struct PartReader {
    recent: Recent,
    /// The reader of a row group, and the row that it reads next.
    open: Option<(usize, ParquetRecordBatchReader)>,
}

fn open(path: &Path, options: &DataOptions) -> Result<LookedThrough> {
    let file = File::open(path).map_err(Error::read(path))?;
    let n_bytes = file.metadata().map_err(Error::read(path))?.len();
    let failed = |problem: &str| {
        let problem = format!("`{}` can't be read as Parquet: {}", path.display(), one_line(problem));
        Error::usage(problem, "copy it again, or write it again")
    };
    let read = || {
        let stored = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(true))?;
        let views = Schema::new(stored.schema().fields().iter().map(as_view).collect::<Fields>());
        let options = ArrowReaderOptions::new()
            .with_skip_arrow_metadata(true)
            .with_schema(Arc::new(views));
        ArrowReaderMetadata::try_new(stored.metadata().clone(), options)
    };
    let metadata = caught(read).map_err(|bug| failed(bug.said()))?;
    let metadata = metadata.map_err(|error| failed(&error.to_string()))?;
    check_offsets(&metadata, n_bytes).map_err(failed)?;
    check_compression(path, &metadata)?;
    let mut starts = vec![0];
    for group in metadata.metadata().row_groups() {
        let n_rows = usize::try_from(group.num_rows()).unwrap_or(0);
        starts.push(starts[starts.len() - 1] + n_rows);
    }
    let table = Box::new(ParquetTable {
        columns: Columns::of(metadata.schema(), path, options)?,
        path: path.to_owned(),
        metadata,
        starts,
        descriptions: Mutex::default(),
        images: Mutex::default(),
    });
    Ok(LookedThrough { table, damage: None })
}

/// The same column with views for texts and bytes.
fn as_view(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        DataType::List(item) => DataType::List(as_view(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(as_view).collect()),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

impl Table for ParquetTable {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn n_rows(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    fn chunk(&self, row: usize, part: Part) -> Arc<Chunk> {
        let reader = match part {
            Part::Descriptions => &self.descriptions,
            Part::Images => &self.images,
        };
        // Held while rows are read: others would read the same ones.
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let known = reader.recent.with(row);
        known.unwrap_or_else(|| {
            let chunk = self.read(&mut reader, row, part);
            reader.recent.add(chunk)
        })
    }
}

impl ParquetTable {
    /// The chunk with a row.
    fn read(&self, reader: &mut PartReader, row: usize, part: Part) -> Chunk {
        let group = self.starts.partition_point(|start| *start <= row) - 1;
        let (start, end) = (self.starts[group], self.starts[group + 1]);
        let mask = self.mask(part);
        let step = self.rows_at_once(group, &mask);
        let first_row = start + (row - start) / step * step;
        let n_rows = step.min(end - first_row);
        let batch = caught(|| {
            let mut open = match reader.open.take() {
                Some((next, open)) if next == first_row => open,
                _ => self.reader(group, first_row - start, mask, step)?,
            };
            let batch = open.next().transpose().map_err(|error| error.to_string())?;
            let batch = batch.filter(|batch| batch.num_rows() == n_rows);
            // At the end of the group the reader has no more.
            reader.open = Some((first_row + n_rows, open)).filter(|(next, _)| *next < end);
            batch.ok_or_else(|| "its row group has fewer rows than its metadata says".to_owned())
        });
        let batch: std::result::Result<RecordBatch, String> = batch.unwrap_or_else(|bug| Err(bug.said().to_owned()));
        Chunk {
            first_row,
            n_rows,
            rows: batch
                .map(|batch| self.columns.rows(&batch))
                .map_err(|problem| format!("the Parquet file can't be read there: {}", one_line(&problem))),
        }
    }

    fn mask(&self, part: Part) -> ProjectionMask {
        let schema = self.metadata.parquet_schema();
        match part {
            Part::Descriptions => ProjectionMask::columns(schema, self.columns.described()),
            Part::Images => ProjectionMask::columns(schema, self.columns.pictured()),
        }
    }

    /// How many rows of a group are read at once.
    fn rows_at_once(&self, group: usize, mask: &ProjectionMask) -> usize {
        let group = self.metadata.metadata().row_group(group);
        let columns = group.columns().iter().enumerate();
        let read = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
        let bytes = read.map(|(_, column)| u64::try_from(column.uncompressed_size()).unwrap_or(0));
        let n_bytes = bytes.fold(0, u64::saturating_add);
        let row_bytes = n_bytes / u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        (CHUNK_BYTES / row_bytes.max(1)).clamp(1, CHUNK_ROWS_MAX) as usize
    }

    /// Reads a group from one of its rows on.
    fn reader(
        &self,
        group: usize,
        skipped: usize,
        mask: ProjectionMask,
        step: usize,
    ) -> std::result::Result<ParquetRecordBatchReader, String> {
        // Each reader has a file of its own: a position is shared with copies of a file.
        let file = File::open(&self.path).map_err(|error| error.to_string())?;
        let n_rows = self.starts[group + 1] - self.starts[group];
        let selection = RowSelection::from(vec![RowSelector::skip(skipped), RowSelector::select(n_rows - skipped)]);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let builder = builder.with_row_groups(vec![group]).with_projection(mask);
        let builder = builder.with_row_selection(selection).with_batch_size(step);
        builder.build().map_err(|error| error.to_string())
    }
}
