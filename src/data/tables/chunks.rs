//! Reads some rows of a table at a time, and keeps the last ones, since their neighbours are usually needed next.

use std::collections::VecDeque;
use std::sync::Arc;

use super::columns::Rows;

/// The columns that are asked for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What rows say of their images.
    Descriptions,
    /// The images, and their paths.
    Images,
}

/// Consecutive rows.
pub(super) struct Chunk {
    pub(super) first_row: usize,
    pub(super) n_rows: usize,
    /// The rows, or why they can't be read.
    pub(super) rows: Result<Rows, String>,
}

impl Chunk {
    /// The rows with this row of the table, and its index there.
    pub(super) fn row(&self, row: usize) -> Result<(&Rows, usize), String> {
        let rows = self.rows.as_ref().map_err(String::clone)?;
        Ok((rows, row - self.first_row))
    }

    fn has(&self, row: usize) -> bool {
        (self.first_row..self.first_row + self.n_rows).contains(&row)
    }
}

/// Rows that are kept at least. The readers of a run are at most 8 rows apart.
const ROWS_KEPT: usize = 16;

/// The chunks that were read last.
#[derive(Default)]
pub(super) struct Recent(VecDeque<Arc<Chunk>>);

impl Recent {
    /// The chunk with a row, if it is one of them.
    pub(super) fn with(&self, row: usize) -> Option<Arc<Chunk>> {
        self.0.iter().find(|chunk| chunk.has(row)).cloned()
    }

    /// Keeps a chunk.
    pub(super) fn add(&mut self, chunk: Chunk) -> Arc<Chunk> {
        let chunk = Arc::new(chunk);
        self.0.push_back(Arc::clone(&chunk));
        let mut n_later: usize = self.0.iter().skip(1).map(|chunk| chunk.n_rows).sum();
        while self.0.len() > 2 && n_later >= ROWS_KEPT {
            self.0.pop_front();
            n_later -= self.0[0].n_rows;
        }
        chunk
    }
}
