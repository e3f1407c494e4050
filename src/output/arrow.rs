//! Arrow out: batches that came in, each given back with its results as columns, in a stream (Arrow IPC).
//!
//! `cli` gives [`Widener`] a batch and a [`Row`] for each of its rows. The input's columns stay as they are; behind them stand
//! `label`, the likeliest (null where none reaches the least score), `scores`, a list of fixed length in the labels' order
//! (of varying length where rows bring labels of their own, in theirs), `embedding`, a list of fixed length, and `error`.
//! What a failed row has none of is null. Notes of the schema: `longclip.version`, `longclip.model`, `longclip.dtype`,
//! `longclip.labels` (JSON).

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use super::{FormatInfo, Holds, Settings, Task};
use crate::error::{Error, Result};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "arrow",
    about: "the batches of `--in arrow`, with columns of results",
    holds: &[
        Holds::Labels,
        Holds::LabelsWithVectors,
        Holds::Vectors,
        Holds::Binary,
        Holds::Batches,
    ],
    make: |_| Err(needs_batches()),
    wrote: |file| file.start_has("longclip.version") && !file.start.starts_with(b"PAR1"),
};

/// Why records alone can't be written.
pub fn needs_batches() -> Error {
    Error::usage(
        "`--out arrow` gives the batches of an Arrow stream back, and none come in",
        "add `--in arrow`; of other inputs `--format parquet` makes columns",
    )
}

/// How many scores a row has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoresOf {
    /// One for each of the run's labels.
    Run,
    /// One for each of its own labels, where it has some.
    Row,
}

/// One row's results.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The likeliest label.
    pub label: Option<String>,
    /// A score for each label, in their order.
    pub scores: Option<Vec<f32>>,
    /// The picture's vector.
    pub embedding: Option<Vec<f32>>,
    /// Why there is nothing else.
    pub error: Option<String>,
}

/// The columns of results.
#[derive(Debug, Clone)]
struct Results {
    task: Task,
    n_scores: Option<usize>,
}

impl Results {
    fn new(settings: &Settings, scores: ScoresOf) -> Self {
        Results {
            task: settings.task,
            n_scores: (scores == ScoresOf::Run).then_some(settings.labels.len()),
        }
    }

    fn fields(&self) -> Vec<Field> {
        let item = Arc::new(Field::new_list_field(DataType::Float32, true));
        let vector = |name: &str, n: usize| {
            let list = DataType::FixedSizeList(Arc::clone(&item), n as i32);
            Field::new(name, list, true)
        };
        let mut fields = Vec::new();
        if let Task::Labels(_) = self.task {
            fields.push(Field::new("label", DataType::Utf8, true));
            fields.push(match self.n_scores {
                Some(n) => vector("scores", n),
                None => Field::new("scores", DataType::List(Arc::clone(&item)), true),
            });
        }
        fields.extend(self.task.embed_dim().map(|n| vector("embedding", n)));
        fields.push(Field::new("error", DataType::Utf8, true));
        fields
    }

    fn columns(&self, rows: &[Row]) -> Vec<ArrayRef> {
        let mut columns = Vec::new();
        if let Task::Labels(_) = self.task {
            columns.push(texts(rows.iter().map(|row| row.label.as_deref())));
            let scores = rows.iter().map(|row| row.scores.as_deref());
            columns.push(match self.n_scores {
                Some(n) => vectors(scores, n),
                None => lists(scores),
            });
        }
        if let Some(n) = self.task.embed_dim() {
            columns.push(vectors(rows.iter().map(|row| row.embedding.as_deref()), n));
        }
        columns.push(texts(rows.iter().map(|row| row.error.as_deref())));
        columns
    }
}

fn texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    texts.for_each(|text| builder.append_option(text));
    Arc::new(builder.finish())
}

/// Under a null list its places hold NaN, so that the flat values can't be taken for numbers.
fn vectors<'a>(rows: impl Iterator<Item = Option<&'a [f32]>>, n: usize) -> ArrayRef {
    let mut builder = FixedSizeListBuilder::new(Float32Builder::new(), n as i32);
    for row in rows {
        match row {
            Some(values) => builder.values().append_slice(values),
            None => builder.values().append_slice(&vec![f32::NAN; n]),
        }
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

fn lists<'a>(rows: impl Iterator<Item = Option<&'a [f32]>>) -> ArrayRef {
    let mut builder = ListBuilder::new(Float32Builder::new());
    for row in rows {
        builder.values().append_slice(row.unwrap_or_default());
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

fn notes(settings: &Settings) -> [(String, String); 4] {
    [
        ("longclip.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("longclip.model", settings.model.clone()),
        ("longclip.dtype", settings.dtype.clone()),
        ("longclip.labels", serde_json::json!(settings.labels).to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
}

/// Encodes batches of one schema; a writer's bytes are fetched from inside.
struct Encoder {
    schema: SchemaRef,
    writer: StreamWriter<Vec<u8>>,
}

impl Encoder {
    fn new(schema: Schema) -> Result<Self, ArrowError> {
        Ok(Encoder {
            writer: StreamWriter::try_new(Vec::new(), &schema)?,
            schema: Arc::new(schema),
        })
    }

    fn batch(&mut self, columns: Vec<ArrayRef>, out: &mut dyn Write) -> io::Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(io::Error::other)?;
        self.pass_on(out)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.writer.finish().map_err(io::Error::other)?;
        self.pass_on(out)
    }

    /// What is encoded goes out at once: whoever waits for it has it.
    fn pass_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let encoded = self.writer.get_mut();
        out.write_all(encoded)?;
        encoded.clear();
        out.flush()
    }
}

/// Gives back the batches that came in, each with its results.
pub struct Widener {
    encoder: Encoder,
    results: Results,
}

impl Widener {
    /// For batches of this schema.
    ///
    /// # Errors
    /// [`Error::Usage`] where a column is called as one of the results is, or is of a type that can't be written.
    pub fn new(input: &Schema, settings: &Settings, scores: ScoresOf) -> Result<Self> {
        let results = Results::new(settings, scores);
        let added = results.fields();
        if let Some(taken) = added.iter().find(|field| input.index_of(field.name()).is_ok()) {
            return Err(Error::usage(
                format!(
                    "the Arrow stream has a column `{}` already, and the results would have another",
                    taken.name()
                ),
                "rename it or drop it before",
            ));
        }
        let fields: Vec<_> = input
            .fields()
            .iter()
            .cloned()
            .chain(added.into_iter().map(Arc::new))
            .collect();
        let mut metadata = input.metadata().clone();
        metadata.extend(notes(settings));
        let encoder = Encoder::new(Schema::new_with_metadata(fields, metadata));
        let encoder = encoder.map_err(|error| {
            Error::usage(
                format!("a column of the Arrow stream can't be written again: {error}"),
                "drop it before",
            )
        })?;
        Ok(Widener { encoder, results })
    }

    /// Writes the schema.
    ///
    /// # Errors
    /// Those of writing.
    pub fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.encoder.pass_on(out)
    }

    /// Writes a batch with its rows' results.
    ///
    /// # Errors
    /// Those of writing.
    pub fn batch(&mut self, batch: &RecordBatch, rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
        let results = self.results.columns(rows);
        self.encoder.batch([batch.columns(), &results].concat(), out)
    }

    /// Writes the mark of the end.
    ///
    /// # Errors
    /// Those of writing.
    pub fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.encoder.end(out)
    }
}
