//! Arrow input: a stream of record batches (Arrow IPC) whose rows are images.
//!
//! A [`Stream`] reads its schema when it is opened; [`Columns`] finds the columns `path`, `image`, `id` and `labels`, and
//! makes items of a batch's rows. A batch is returned as soon as it has arrived: nothing is read ahead. The bytes are
//! untrusted: `frames.rs` reads messages within limits, `check.rs` checks what the decoder assumes, and a panic in the
//! decoder is an error too. Format: arrow.apache.org, "Arrow Columnar Format", section "Serialization
//! and Interprocess Communication". An Arrow file (Feather 2) is a stream between two markers, and is read as one.

mod check;
mod columns;
pub(crate) mod file;
mod frames;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{read_dictionary, read_record_batch};
use arrow_ipc::{Message, MessageHeader};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use self::check::Refused;
pub(crate) use self::columns::refused_items;
pub use self::columns::{Columns, LabelColumn, PerRow};
use self::frames::{Frame, Frames};
use crate::error::{Error, Result, caught};

/// A batch of a stream.
pub struct Batch {
    /// Its columns. If it was refused, all values are null.
    pub columns: RecordBatch,
    /// Why it was not decoded: it would take more memory than there is for it.
    pub refused: Option<String>,
}

/// A stream of record batches.
pub struct Stream {
    frames: Frames,
    /// For messages.
    name: String,
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    n_batches: u64,
}

impl Stream {
    /// Reads a stream's schema; `name` is for messages.
    ///
    /// # Errors
    /// [`Error::Stream`] if it doesn't begin like an Arrow stream.
    pub fn open(reader: Box<dyn Read + Send>, name: &str) -> Result<Stream> {
        let (frames, schema) = opened(reader, name)?;
        Ok(Stream {
            frames,
            name: name.to_owned(),
            schema,
            dictionaries: HashMap::new(),
            n_batches: 0,
        })
    }

    /// The columns of its batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Waits for the next batch; none at the end of the stream. One that is too large is refused, and the stream can be
    /// read on, if null can stand for all of its values.
    ///
    /// # Errors
    /// [`Error::Stream`] if it ends in the middle of a message, or a message is not a batch of this schema. Nothing can be
    /// read after that.
    pub fn next_batch(&mut self) -> Result<Option<Batch>> {
        loop {
            let place = self.n_batches + 1;
            let failed = |problem| broken(&self.name, format!("batch {place}: {problem}"));
            let Some(frame) = self.frames.next().map_err(failed)? else {
                return Ok(None);
            };
            let decoded = decoded(&frame, &self.schema, &mut self.dictionaries).map_err(failed)?;
            if decoded.is_some() {
                self.n_batches = place;
                return Ok(decoded);
            }
        }
    }
}

/// The messages of a stream after its schema, and the schema.
fn opened(reader: Box<dyn Read + Send>, name: &str) -> Result<(Frames, SchemaRef)> {
    let failed = |problem| broken(name, problem);
    let mut frames = Frames::open(reader).map_err(failed)?;
    let first = frames
        .next()
        .map_err(|problem| failed(frames.not_a_stream(&problem)))?
        .ok_or_else(|| failed("it ends before its schema".into()))?;
    let schema = schema(&first).map_err(|problem| failed(frames.not_a_stream(&problem)))?;
    Ok((frames, schema))
}

fn broken(name: &str, problem: String) -> Error {
    Error::Stream {
        name: name.to_owned(),
        problem,
    }
}

fn schema(frame: &Frame) -> Result<SchemaRef, String> {
    let message = frame.message();
    let schema = message
        .header_as_schema()
        .ok_or_else(|| format!("its first message is {}, not a schema", kind(&message)))?;
    if !schema.endianness().equals_to_target_endianness() {
        return Err("its numbers are in the other byte order than this machine's".into());
    }
    if schema.fields().is_none() {
        return Err("its schema has no list of columns".into());
    }
    guarded(|| Ok(Arc::new(fb_to_schema(schema))))
}

/// The batch of a message; none for a dictionary, which is kept for later batches.
fn decoded(
    frame: &Frame,
    schema: &SchemaRef,
    dictionaries: &mut HashMap<i64, ArrayRef>,
) -> Result<Option<Batch>, String> {
    let message = frame.message();
    let version = message.version();
    if let Some(batch) = message.header_as_record_batch() {
        let checked = frame
            .body
            .as_ref()
            .map_err(|problem| Refused::TooLarge(problem.clone()));
        let checked = checked.and_then(|body| check::batch(&batch, body).map(|()| body));
        return match checked {
            Ok(body) => guarded(|| read_record_batch(body, batch, Arc::clone(schema), dictionaries, None, &version))
                .map(|columns| Some(Batch { columns, refused: None })),
            Err(Refused::TooLarge(problem)) => nulls(schema, batch.length(), problem).map(Some),
            Err(Refused::Malformed(problem)) => Err(problem),
        };
    }
    let body = frame.body.as_ref().map_err(String::clone)?;
    if let Some(dictionary) = message.header_as_dictionary_batch() {
        let values = dictionary.data().ok_or("a dictionary without values")?;
        check::batch(&values, body).map_err(Refused::problem)?;
        guarded(|| read_dictionary(body, dictionary, schema, dictionaries, &version))?;
        return Ok(None);
    }
    match message.header_type() {
        MessageHeader::NONE => Ok(None),
        _ => Err(no_batch(&message)),
    }
}

fn no_batch(message: &Message<'_>) -> String {
    format!("expected a record batch, found {}", kind(message))
}

/// A batch of rows without values, in place of one that is too large.
///
/// # Errors
/// The problem, if the rows can't be so many, or if a column must have values.
fn nulls(schema: &SchemaRef, n_rows: i64, problem: String) -> Result<Batch, String> {
    /// More than programs write in a batch.
    const ROWS_MAX: usize = 1 << 17;
    const BYTES_MAX: u64 = 64 << 20;
    let n_rows = usize::try_from(n_rows).ok().filter(|n| *n <= ROWS_MAX);
    let fields = schema.fields().iter();
    let row_bytes = fields
        .clone()
        .fold(0, |sum: u64, field| sum.saturating_add(null_bytes(field.data_type())));
    let can_be_null = fields.clone().all(|field| field.is_nullable());
    let Some(n_rows) = n_rows.filter(|n| can_be_null && row_bytes.saturating_mul(*n as u64) <= BYTES_MAX) else {
        return Err(problem);
    };
    let columns = guarded(|| {
        let columns = fields.map(|field| new_null_array(field.data_type(), n_rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
    })?;
    Ok(Batch {
        columns,
        refused: Some(problem),
    })
}

/// About how much memory a null takes.
fn null_bytes(data_type: &DataType) -> u64 {
    let size = |n: &i32| u64::try_from(*n).unwrap_or(0);
    match data_type {
        DataType::FixedSizeBinary(n) => size(n),
        DataType::FixedSizeList(item, n) => size(n).saturating_mul(null_bytes(item.data_type())),
        DataType::Struct(fields) => fields
            .iter()
            .fold(0, |sum: u64, field| sum.saturating_add(null_bytes(field.data_type()))),
        _ => 16,
    }
}

fn kind(message: &Message<'_>) -> &'static str {
    match message.header_type() {
        MessageHeader::Schema => "a schema",
        MessageHeader::RecordBatch => "a record batch",
        MessageHeader::DictionaryBatch => "a dictionary",
        MessageHeader::Tensor | MessageHeader::SparseTensor => "a tensor",
        _ => "a message without a header",
    }
}

/// Decodes; a panic of the decoder is an error like any other.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, String> {
    match caught(decode) {
        Ok(decoded) => decoded.map_err(|error| error.to_string()),
        Err(bug) => Err(format!("its bytes make no sense: {}", bug.said())),
    }
}
