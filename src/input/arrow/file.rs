//! An Arrow stream or file on disk, whose batches are read in any order.
//!
//! Headers are looked through once, without the batches' columns. Then each batch is read where it is, within the limits of
//! a stream's. Used for data sets.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow_array::ArrayRef;
use arrow_ipc::{Message, MessageHeader};
use arrow_schema::SchemaRef;

use super::super::cells::may_have_rows;
use super::frames::{Frame, Frames, all_arrived};
use super::{Batch, broken, decoded, no_batch, opened};
use crate::error::{Error, Result};

/// A file of batches that was looked through.
pub(crate) struct BatchFile {
    path: PathBuf,
    schema: SchemaRef,
    batches: Vec<BatchSpan>,
    /// Where messages with dictionaries begin.
    dictionaries: Vec<u64>,
    known: Mutex<Known>,
}

/// A batch's place in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchSpan {
    offset: u64,
    pub(crate) n_rows: usize,
    /// How many dictionaries come before it.
    n_dictionaries: usize,
}

/// The dictionaries that are valid after the first `n_read`.
#[derive(Default)]
struct Known {
    n_read: usize,
    dictionaries: HashMap<i64, ArrayRef>,
}

impl BatchFile {
    /// Looks a file through. If it is damaged or cut short, gives the batches before that place, and an [`Error::Stream`].
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Stream`] if it doesn't begin like an Arrow stream.
    pub(crate) fn open(path: &Path) -> Result<(Self, Option<Error>)> {
        let failed = Error::read(path);
        let mut file = File::open(path).map_err(failed)?;
        // Both handles have one position.
        let reader = file.try_clone().map_err(failed)?;
        let (mut frames, schema) = opened(Box::new(reader), &quoted(path))?;
        let mut found = BatchFile {
            path: path.to_owned(),
            schema,
            batches: Vec::new(),
            dictionaries: Vec::new(),
            known: Mutex::default(),
        };
        let damage = found.look_through(&mut frames, &mut file).err();
        let damage = damage.map(|problem| found.broken(found.batches.len(), &problem));
        Ok((found, damage))
    }

    /// The columns of all batches.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Its batches, in order.
    pub(crate) fn batches(&self) -> &[BatchSpan] {
        &self.batches
    }

    /// Reads a batch. One that is too large is refused.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Stream`].
    pub(crate) fn batch(&self, i: usize) -> Result<Batch> {
        let BatchSpan {
            offset,
            n_rows,
            n_dictionaries,
        } = self.batches[i];
        let failed = |problem: String| self.broken(i, &problem);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_dictionaries(&mut known, n_dictionaries).map_err(failed)?;
        let frame = self.frame(offset).map_err(failed)?;
        let batch = decoded(&frame, &self.schema, &mut known.dictionaries).map_err(failed)?;
        match batch {
            Some(batch) if batch.columns.num_rows() == n_rows => Ok(batch),
            _ => Err(failed("it has changed since it was looked through".into())),
        }
    }

    fn look_through(&mut self, frames: &mut Frames, file: &mut File) -> Result<(), String> {
        let in_words = |error: io::Error| error.to_string();
        let length = file.metadata().map_err(in_words)?.len();
        loop {
            let offset = file.stream_position().map_err(in_words)?;
            let Some((head, body_bytes)) = frames.next_head()? else {
                return Ok(());
            };
            let body = file.stream_position().map_err(in_words)?;
            all_arrived(length.saturating_sub(body).min(body_bytes), body_bytes, "body")?;
            self.note(&head.as_ref(), offset, body_bytes)?;
            file.seek(SeekFrom::Start(body + body_bytes)).map_err(in_words)?;
        }
    }

    fn note(&mut self, message: &Message<'_>, offset: u64, body_bytes: u64) -> Result<(), String> {
        match message.header_type() {
            MessageHeader::RecordBatch => {
                let announced = message.header_as_record_batch().map_or(0, |batch| batch.length());
                let n_rows = u32::try_from(announced).ok();
                let n_rows = n_rows.filter(|n| may_have_rows(u64::from(*n), body_bytes));
                self.batches.push(BatchSpan {
                    offset,
                    n_rows: n_rows.ok_or_else(|| format!("a batch of {announced} rows"))? as usize,
                    n_dictionaries: self.dictionaries.len(),
                });
            }
            MessageHeader::DictionaryBatch => self.dictionaries.push(offset),
            MessageHeader::NONE => {}
            _ => return Err(no_batch(message)),
        }
        Ok(())
    }

    /// Reads dictionaries until the first `wanted` of the file are known, and no others.
    fn read_dictionaries(&self, known: &mut Known, wanted: usize) -> Result<(), String> {
        if known.n_read > wanted {
            *known = Known::default();
        }
        while known.n_read < wanted {
            let frame = self.frame(self.dictionaries[known.n_read])?;
            decoded(&frame, &self.schema, &mut known.dictionaries)?;
            known.n_read += 1;
        }
        Ok(())
    }

    fn frame(&self, offset: u64) -> Result<Frame, String> {
        let opened = File::open(&self.path).and_then(|mut file| file.seek(SeekFrom::Start(offset)).map(|_| file));
        let file = opened.map_err(|error| error.to_string())?;
        let frame = Frames::within(Box::new(file)).next()?;
        frame.ok_or_else(|| "it has become shorter since it was looked through".into())
    }

    fn broken(&self, batch: usize, problem: &str) -> Error {
        broken(&quoted(&self.path), format!("batch {}: {problem}", batch + 1))
    }
}

fn quoted(path: &Path) -> String {
    format!("`{}`", path.display())
}
