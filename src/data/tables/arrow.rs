//! Arrow streams and files as tables: a chunk is a batch of the file.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::chunks::{Chunk, Part, Recent};
use super::columns::Columns;
use super::{DataOptions, Format, LookedThrough, Table};
use crate::error::Result;
use crate::input::arrow::file::BatchFile;

pub(super) const FORMAT: Format = Format {
    endings: &["arrow", "arrows", "feather", "ipc"],
    // An Arrow file, or the marker before a stream's first message.
    begins: |head| head.starts_with(b"ARROW1\0\0") || head.starts_with(&[0xff; 4]),
    open,
};

struct ArrowTable {
    file: BatchFile,
    columns: Columns,
    /// The first row of each batch, and the number of all rows.
    starts: Vec<usize>,
    /// A batch has both parts.
    recent: Mutex<Recent>,
}

fn open(path: &Path, options: &DataOptions) -> Result<LookedThrough> {
    let (file, damage) = BatchFile::open(path)?;
    let columns = Columns::of(file.schema(), path, options)?;
    let mut starts = vec![0];
    for batch in file.batches() {
        starts.push(starts[starts.len() - 1] + batch.n_rows);
    }
    let table = Box::new(ArrowTable {
        file,
        columns,
        starts,
        recent: Mutex::default(),
    });
    Ok(LookedThrough { table, damage })
}

impl Table for ArrowTable {
    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn n_rows(&self) -> usize {
        self.starts[self.starts.len() - 1]
    }

    fn chunk(&self, row: usize, _: Part) -> Arc<Chunk> {
        // Held while a batch is read: others would read the same one.
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.with(row).unwrap_or_else(|| recent.add(self.read(row)))
    }
}

impl ArrowTable {
    /// The batch with a row.
    fn read(&self, row: usize) -> Chunk {
        let batch = self.starts.partition_point(|start| *start <= row) - 1;
        let rows = match self.file.batch(batch) {
            Ok(read) => match read.refused {
                None => Ok(self.columns.rows(&read.columns)),
                Some(problem) => Err(problem),
            },
            Err(error) => Err(error.to_string()),
        };
        Chunk {
            first_row: self.starts[batch],
            n_rows: self.starts[batch + 1] - self.starts[batch],
            rows,
        }
    }
}
