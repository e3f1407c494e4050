//! The batches of an Arrow stream: each is written with its results as soon as all its rows are done.
//!
//! All rows run through one pipeline, so that small batches fill the model's too. Two threads meet at the `Exchange`: the
//! pipeline's reader brings batches, the calling thread brings their rows' results, and the one that completes the
//! earliest batch writes it. A batch without rows is complete when it arrives. So a caller that waits for each batch before
//! it sends the next one always gets it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;

use super::{Ended, Run, Seen, Sink, TextsAhead, Verdict, Watch};
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::input::arrow::{Columns, LabelColumn, PerRow, Stream, refused_items};
use crate::input::{InputOptions, Item, Items};
use crate::output::Settings;
use crate::output::arrow::{Row, ScoresOf, Widener};

/// A stream whose schema is read.
pub struct Incoming {
    stream: Stream,
    columns: Columns,
    options: InputOptions,
    ahead: Option<TextsAhead>,
}

impl Incoming {
    /// Finds the columns of images.
    ///
    /// # Errors
    /// As [`Columns::of`].
    pub fn new(stream: Stream, labels: LabelColumn<'_>, options: InputOptions) -> Result<Self> {
        Ok(Incoming {
            columns: Columns::of(stream.schema(), labels)?,
            stream,
            options,
            ahead: None,
        })
    }

    /// The same rows, whose texts are encoded ahead.
    #[must_use]
    pub fn encoding_ahead(mut self, ahead: TextsAhead) -> Self {
        self.ahead = Some(ahead);
        self
    }

    /// Whether rows bring labels of their own.
    pub fn have_labels(&self) -> bool {
        self.columns.labels().is_some()
    }

    fn scores(&self) -> ScoresOf {
        match self.columns.labels() {
            None => ScoresOf::Run,
            Some(PerRow::Labels) => ScoresOf::Row,
            Some(PerRow::Text) => ScoresOf::Text,
            Some(PerRow::Texts) => ScoresOf::Texts,
        }
    }

    /// How rows that name files or URLs are read.
    pub fn options(&self) -> &InputOptions {
        &self.options
    }

    /// Runs all rows through the model, and writes the batches with what `judge` makes of each image. A row that can't be
    /// used gets an error. After an early end, the batches that were not done as a whole are missing, and if the output is
    /// a file, the path of what was written is returned.
    ///
    /// # Errors
    /// Those of reading and writing the stream, and of [`Run::over`].
    pub fn run(
        mut self,
        run: &Run<'_>,
        settings: &Settings,
        destination: Destination,
        watch: &mut dyn Watch,
        judge: &mut dyn FnMut(&Item, Seen) -> Result<Row>,
    ) -> Result<(Ended, Option<PathBuf>)> {
        let exchange = Arc::new(Mutex::new(Exchange {
            open: VecDeque::new(),
            widener: Widener::new(self.stream.schema(), settings, self.scores())?,
            destination,
            failure: None,
        }));
        locked(&exchange).begin()?;
        let ahead = self.ahead.take();
        let rows = Rows {
            incoming: self,
            current: Box::new(std::iter::empty()),
            n_rows: 0,
            exchange: Arc::clone(&exchange),
        };
        let rows: Items = Box::new(rows);
        let rows = match ahead {
            Some(ahead) => ahead.of(rows),
            None => rows,
        };
        let mut sink = RowSink {
            exchange: &exchange,
            reason: run.reason,
            judge,
        };
        let ended = run.over(rows, watch, &mut sink)?;
        let mut exchange = locked(&exchange);
        if let Some(failure) = exchange.failure.take() {
            return Err(failure);
        }
        match ended {
            Ended::AtTheEnd => exchange.end().map(|()| (ended, None)),
            Ended::Interrupted | Ended::TooManyFailed => Ok((ended, exchange.destination.leave()?)),
        }
    }
}

/// Where batches are completed.
struct Exchange {
    /// Batches that are not written yet, in order.
    open: VecDeque<Open>,
    widener: Widener,
    destination: Destination,
    /// Why no more rows come, if that isn't the stream's end.
    failure: Option<Error>,
}

/// A batch, and the results of its first rows.
struct Open {
    batch: RecordBatch,
    rows: Vec<Row>,
}

fn locked(exchange: &Mutex<Exchange>) -> MutexGuard<'_, Exchange> {
    exchange.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    fn begin(&mut self) -> Result<()> {
        let begun = self.widener.begin(&mut self.destination);
        begun.map_err(|source| self.destination.error(source))
    }

    fn bring(&mut self, batch: RecordBatch) -> Result<()> {
        let rows = Vec::with_capacity(batch.num_rows());
        self.open.push_back(Open { batch, rows });
        self.write_whole()
    }

    fn add(&mut self, row: Row) -> Result<()> {
        let first = self.open.front_mut();
        first.expect("a row is of a batch that was brought").rows.push(row);
        self.write_whole()
    }

    fn write_whole(&mut self) -> Result<()> {
        while let Some(open) = self
            .open
            .front()
            .filter(|open| open.rows.len() == open.batch.num_rows())
        {
            let written = self.widener.batch(&open.batch, &open.rows, &mut self.destination);
            written.map_err(|source| self.destination.error(source))?;
            self.open.pop_front();
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let ended = self.widener.end(&mut self.destination);
        ended.map_err(|source| self.destination.error(source))?;
        self.destination.finish()
    }
}

/// The rows of all batches, each batch brought to the exchange before its first row.
struct Rows {
    incoming: Incoming,
    current: Items,
    n_rows: u64,
    exchange: Arc<Mutex<Exchange>>,
}

impl Rows {
    /// Draws the next batch; false at the end.
    fn draw(&mut self) -> Result<bool> {
        let Some(batch) = self.incoming.stream.next_batch()? else {
            return Ok(false);
        };
        let Incoming { columns, options, .. } = &self.incoming;
        let n_rows = batch.columns.num_rows();
        self.current = match batch.refused {
            None => columns.items(&batch.columns, self.n_rows, options),
            Some(problem) => refused_items(n_rows, self.n_rows, problem),
        };
        self.n_rows += n_rows as u64;
        locked(&self.exchange).bring(batch.columns)?;
        Ok(true)
    }
}

impl Iterator for Rows {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.current.next() {
                return Some(item);
            }
            match self.draw() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(failure) => {
                    locked(&self.exchange).failure = Some(failure);
                    return None;
                }
            }
        }
    }
}

/// Adds the result of each row to the exchange.
struct RowSink<'a> {
    exchange: &'a Mutex<Exchange>,
    reason: fn(&Error) -> String,
    judge: &'a mut dyn FnMut(&Item, Seen) -> Result<Row>,
}

impl Sink for RowSink<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let (row, verdict) = match seen.and_then(|seen| (self.judge)(&item, seen)) {
            Ok(row) => (row, Verdict::Done),
            Err(error) => {
                let row = Row {
                    error: Some((self.reason)(&error)),
                    ..Row::default()
                };
                (row, Verdict::Failed(error))
            }
        };
        locked(self.exchange).add(row)?;
        Ok(verdict)
    }
}
