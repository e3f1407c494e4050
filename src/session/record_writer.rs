//! Writes a record for each image of a run, in one format, to a stream or to a file.
//!
//! The caller opens the output and says, by a [`Judge`], what the record of an image says; [`RecordWriter::sink`] does the
//! rest for a [`Run`](super::Run). How an output was closed is returned, and the caller reports it.

use std::io::Write;
use std::path::PathBuf;

use super::shards::ShardFile;
use super::{Ended, Seen, Sink, Verdict, record};
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::input::{Item, Shard, Skipped};
use crate::output::{Format, Outcome, Progress, Record, Thumbnail};

/// What the record of an image says, and the image as formats show it.
pub type Judgement = (Outcome, Option<Thumbnail>);

/// Judges an image by what the model saw of it. The inner error is why this image has no result; the outer one ends the
/// run.
pub type Judge<'a> = dyn FnMut(&Item, Seen) -> Result<Result<Judgement>> + 'a;

/// An open output.
pub struct RecordWriter {
    /// How records are written.
    pub format: Box<dyn Format>,
    /// Where they go.
    pub destination: Destination,
    /// What stays of an interrupted run.
    pub held: Progress,
    /// The shard whose file this is, if any, and what of its input was skipped.
    pub shard: Option<(ShardFile, Skipped)>,
}

/// How an output was closed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closed {
    /// The mark of a folder whose shards are all there now, and how many they are.
    pub all_shards: Option<(u32, PathBuf)>,
    /// The shard that was not kept, because the run was cut short.
    pub incomplete: Option<Shard>,
    /// The file that holds what was written, if the run was cut short before the output got its own name.
    pub partial: Option<PathBuf>,
}

impl RecordWriter {
    /// An output that continues no interrupted run, and is not a shard's.
    pub fn new(format: Box<dyn Format>, destination: Destination) -> Self {
        RecordWriter {
            format,
            destination,
            held: Progress::default(),
            shard: None,
        }
    }

    /// Leaves in a file what is held of an interrupted run, and writes what precedes the first record.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn begin(&mut self) -> Result<()> {
        self.destination.keep(self.held.end)?;
        if self.held.n_records == 0 {
            let begun = self.format.begin(&mut self.destination);
            begun.map_err(|source| self.destination.error(source))?;
        }
        Ok(())
    }

    /// A record as it would be written.
    ///
    /// # Errors
    /// [`Error::Write`] if the format can't hold it.
    pub fn encoded(&mut self, record: &Record) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let encoded = self.format.record(record, &mut bytes);
        encoded.map_err(|source| self.destination.error(source))?;
        Ok(bytes)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&mut self, record: &Record) -> Result<()> {
        let written = self.format.record(record, &mut self.destination);
        written.map_err(|source| self.destination.error(source))
    }

    /// Notes what a record was about, for a shard.
    pub fn note(&mut self, verdict: &Verdict) {
        if let Some((shard, _)) = &mut self.shard {
            shard.note(verdict);
        }
    }

    /// What was written is visible to others.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.destination.flush();
        flushed.map_err(|source| self.destination.error(source))
    }

    /// What a run gives its images to, so that each gets a record. `reason` words an error for a record.
    pub fn sink<'a>(&'a mut self, judge: &'a mut Judge<'_>, reason: fn(&Error) -> String) -> impl Sink + 'a {
        Recording {
            writer: self,
            judge,
            reason,
        }
    }

    /// Ends the output: after a whole run it is complete, else what there is can be read and doesn't pass as all.
    ///
    /// # Errors
    /// [`Error::Write`]; [`Error::Usage`] for a shard of which a part could not be read.
    pub fn close(mut self, ended: Ended) -> Result<Closed> {
        let written = self.format.end(&mut self.destination);
        written.map_err(|source| self.destination.error(source))?;
        match ended {
            Ended::AtTheEnd => self.finish(),
            Ended::Interrupted | Ended::TooManyFailed => Ok(Closed {
                partial: self.destination.leave()?,
                incomplete: self.shard.map(|(shard, _)| shard.shard()),
                all_shards: None,
            }),
        }
    }

    fn finish(mut self) -> Result<Closed> {
        if let Some((shard, skipped)) = &self.shard {
            shard.refuse_unread(skipped)?;
        }
        self.destination.finish()?;
        let Some((shard, _)) = &self.shard else {
            return Ok(Closed::default());
        };
        shard.clean_up();
        Ok(Closed {
            all_shards: shard.mark_if_last()?.map(|mark| (shard.shard().count(), mark)),
            ..Closed::default()
        })
    }
}

/// A record of what was judged, and what that means for the run.
///
/// # Errors
/// The outer error of `judge`.
pub fn judged(
    item: Item,
    seen: Result<Seen>,
    judge: &mut Judge<'_>,
    reason: fn(&Error) -> String,
) -> Result<(Record, Verdict)> {
    let judgement = match seen {
        Ok(seen) => judge(&item, seen)?,
        Err(error) => Err(error),
    };
    Ok(match judgement {
        Ok((outcome, thumbnail)) => (record(item, outcome, thumbnail), Verdict::Done),
        Err(error) => {
            let outcome = Outcome::Failed(reason(&error));
            (record(item, outcome, None), Verdict::Failed(error))
        }
    })
}

/// Writes a record for each image.
struct Recording<'a, 'j> {
    writer: &'a mut RecordWriter,
    judge: &'a mut Judge<'j>,
    reason: fn(&Error) -> String,
}

impl Sink for Recording<'_, '_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let (record, verdict) = judged(item, seen, self.judge, self.reason)?;
        self.writer.write(&record)?;
        self.writer.note(&verdict);
        Ok(verdict)
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.flush()
    }
}
