//! Output: records, and one file a format. A format writes to the `Write` it is given and knows no model.

mod json;
mod record;
mod table;

use std::io::{self, Write};

pub use json::{Json, Ndjson};
pub use record::{EmbeddingRecord, Input, Labelled, Outcome, Record};
pub use table::{Bars, Table};

/// Writes records in one format: `begin` once, `record` for each in order, `end` once.
pub trait Format {
    /// What stands before the first record.
    ///
    /// # Errors
    /// Those of writing.
    fn begin(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// One record.
    ///
    /// # Errors
    /// Those of writing.
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()>;

    /// What stands behind the last record.
    ///
    /// # Errors
    /// Those of writing.
    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}
