//! `--in arrow --out arrow`: batches come in, and each goes out with its results as soon as all its rows are done.
//!
//! All rows run through one pipeline, so that small batches fill the model's too. Two threads meet at the [`Exchange`]: the
//! pipeline's reader brings batches, this one their rows' results, and whoever completes the earliest batch writes it.
//! A batch without rows is complete when it comes. So a caller that waits for each batch before the next one always
//! gets it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use clap::ValueEnum;
use longclip::files::Destination;
use longclip::input::arrow::{self, Columns, LabelColumn, Stream};
use longclip::input::{InputOptions, Inputs, Item, Items, Source};
use longclip::output::arrow::{Row, ScoresOf, Widener};
use longclip::output::{Progress, Settings};
use longclip::{Error, Result};

use super::Outcome;
use super::input_flags::InputFlags;
use super::model_flags::reason;
use super::pictures::{Run, Seen, Sink, Verdict};
use super::progress::Expected;
use super::tally::Ended;
use super::targets::Writing;

/// Whether pictures come as rows of a stream.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Input")]
pub(super) struct StreamFlags {
    /// `arrow`: pictures are the rows of an Arrow IPC stream on stdin, or of the one file that is named, with a column `path`
    /// or `image` (encoded bytes), perhaps `id`, and `labels`, each row's own. Its batches come back on stdout
    /// in their order, each with columns of results
    #[arg(long = "in", value_name = "FORMAT", hide_short_help = true)]
    format_in: Option<InputFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    Arrow,
}

/// A stream whose schema is read.
pub(super) struct Incoming {
    stream: Stream,
    pub(super) columns: Columns,
    options: InputOptions,
}

impl StreamFlags {
    pub(super) fn is_asked(&self) -> bool {
        self.format_in.is_some()
    }

    /// Where the stream comes from. `stdin_is_taken` names a flag that reads stdin, where one does.
    pub(super) fn source(&self, input: &InputFlags, stdin_is_taken: Option<&str>) -> Result<StreamSource> {
        let file = input.stream()?.map(Path::to_owned);
        if let (None, Some(flag)) = (&file, stdin_is_taken) {
            return Err(Error::usage(
                format!("`--in arrow` and `{flag}` both want stdin, and it can be read once"),
                "give one of them a file",
            ));
        }
        if file.is_none() && stdin().is_terminal() {
            return Err(Error::usage(
                "`--in arrow` reads a stream from stdin, and that is a terminal",
                "pipe one in, or name a file: `longclip classify photos.arrows --in arrow ...`",
            ));
        }
        Ok(StreamSource {
            file,
            options: input.options(),
        })
    }
}

/// Where a stream comes from: a file, or stdin.
pub(super) struct StreamSource {
    file: Option<PathBuf>,
    options: InputOptions,
}

impl StreamSource {
    /// The rules for what is written, with this stream among what is read.
    pub(super) fn target_rules<'a>(&self, writing: Writing<'a>) -> Writing<'a> {
        writing.reads("the stream", &self.file)
    }

    /// Waits for the schema.
    pub(super) fn open(self, labels: LabelColumn) -> Result<Incoming> {
        tell_no_panic_of_a_decoder();
        let stream = match &self.file {
            Some(path) => opened(path)?,
            None => Stream::open(Box::new(stdin()), "stdin")?,
        };
        Ok(Incoming {
            columns: Columns::of(stream.schema(), labels)?,
            stream,
            options: self.options,
        })
    }
}

fn opened(path: &Path) -> Result<Stream> {
    let file = File::open(path).map_err(Error::read(path))?;
    Stream::open(Box::new(file), &format!("`{}`", path.display()))
}

/// A decoder that panics on hostile bytes is an error in one line; what it would print beside that is noise.
fn tell_no_panic_of_a_decoder() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !arrow::is_decoding() {
            tell(panic);
        }
    }));
}

impl Incoming {
    /// Runs all rows through the model, and writes the batches with what `judge` makes of each picture.
    pub(super) fn run(
        self,
        run: Run<'_>,
        settings: &Settings,
        destination: Destination,
        judge: &mut dyn FnMut(&Item, Seen) -> Result<Row>,
    ) -> Outcome {
        let scores = if self.columns.have_labels() {
            ScoresOf::Row
        } else {
            ScoresOf::Run
        };
        let exchange = Exchange {
            open: VecDeque::new(),
            widener: Widener::new(self.stream.schema(), settings, scores)?,
            destination,
            failure: None,
        };
        let exchange = Arc::new(Mutex::new(exchange));
        locked(&exchange).begin()?;
        let inputs = Inputs {
            sources: vec![Source::Named("-".into())],
            options: self.options.clone(),
        };
        let rows = Rows {
            incoming: self,
            current: Box::new(std::iter::empty()),
            n_rows: 0,
            exchange: Arc::clone(&exchange),
        };
        let report = run.report;
        let mut sink = RowSink {
            exchange: &exchange,
            judge,
        };
        let (ended, exit) = run.over(Expected::Of(&inputs), Box::new(rows), Progress::default(), &mut sink)?;
        let mut exchange = locked(&exchange);
        if let Some(failure) = exchange.failure.take() {
            return Err(failure.into());
        }
        if ended == Ended::AtTheEnd {
            exchange.end()?;
        } else {
            report.note("batches that were not done as a whole are left out");
            if let Some(partial) = exchange.destination.leave()? {
                report.note(format!("what was done until now is in `{}`", partial.display()));
            }
        }
        Ok(exit)
    }
}

/// Where batches are completed.
struct Exchange {
    /// Batches that are not written yet, in order.
    open: VecDeque<Open>,
    widener: Widener,
    destination: Destination,
    /// Why no more rows come, where that isn't the stream's end.
    failure: Option<Error>,
}

/// A batch, and its rows' results as far as they are there.
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
        self.current = columns.items(&batch, self.n_rows, options);
        self.n_rows += batch.num_rows() as u64;
        locked(&self.exchange).bring(batch)?;
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

/// Adds to the exchange what came of each row.
struct RowSink<'a> {
    exchange: &'a Mutex<Exchange>,
    judge: &'a mut dyn FnMut(&Item, Seen) -> Result<Row>,
}

impl Sink for RowSink<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> anyhow::Result<Verdict> {
        let (row, verdict) = match seen.and_then(|seen| (self.judge)(&item, seen)) {
            Ok(row) => (row, Verdict::Done),
            Err(error) => {
                let row = Row {
                    error: Some(reason(&error)),
                    ..Row::default()
                };
                (row, Verdict::Failed(error))
            }
        };
        locked(self.exchange).add(row)?;
        Ok(verdict)
    }

    /// Batches are flushed as they are written.
    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}
