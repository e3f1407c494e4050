//! Arrow output: the batches of an input stream, with columns of results added to each (Arrow IPC stream).
//!
//! The caller gives [`Widener`] a batch and one [`Row`] per row of it. The input's columns stay unchanged and are followed
//! by `label`, the best one (null if no label reaches the threshold); `scores`, a list of fixed length in the order of the
//! labels (of varying length if rows have their own labels); for pairs `cosine` and `logit` instead; `embedding`, a list of
//! fixed length; and `error`. What a failed row lacks is null. The schema's metadata has `longclip.version`,
//! `longclip.model`, `longclip.dtype` and `longclip.labels` (JSON).

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder};
use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::columns::{texts, vector_field, vectors};
use super::{FormatInfo, Holds, Settings, Task};
use crate::error::{Control, Error, Result, hint};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "arrow",
    about: "the batches of an Arrow stream, with columns of results",
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

/// The error for an Arrow output without an Arrow input.
pub fn needs_batches() -> Error {
    Error::usage(
        "the arrow format returns the batches of an Arrow stream, and the input is not one",
        hint!("add {}", Control::ArrowInput).or("use another format, such as parquet"),
    )
}

/// Whose labels a row's scores are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoresOf {
    /// The run's labels: the same number of scores in each row.
    Run,
    /// The row's own labels.
    Row,
    /// The row's text: how well it fits the image.
    Text,
    /// The row's texts: how well each fits the image.
    Texts,
}

/// How well a text fits an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The cosine.
    pub cosine: f32,
    /// The cosine times `exp(logit_scale)`.
    pub logit: f32,
}

/// The results of one row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The best label.
    pub label: Option<String>,
    /// One score per label, in the order of the labels.
    pub scores: Option<Vec<f32>>,
    /// How well each text fits, in the order of the texts.
    pub fits: Option<Vec<Fit>>,
    /// The image's embedding.
    pub embedding: Option<Vec<f32>>,
    /// Why the row failed.
    pub error: Option<String>,
}

/// The columns of results.
#[derive(Debug, Clone)]
struct ResultColumns {
    task: Task,
    scores: ScoresOf,
    /// How many labels the run has.
    n_labels: usize,
}

impl ResultColumns {
    fn new(settings: &Settings, scores: ScoresOf) -> Self {
        ResultColumns {
            task: settings.task,
            scores,
            n_labels: settings.labels.len(),
        }
    }

    fn fields(&self) -> Vec<Field> {
        let mut fields = Vec::new();
        let number = |name| Field::new(name, DataType::Float32, true);
        let numbers = |name| Field::new_list(name, Field::new_list_field(DataType::Float32, true), true);
        if let Task::Labels(_) = self.task {
            fields.extend(match self.scores {
                ScoresOf::Run => [label_field(), vector_field("scores", self.n_labels)],
                ScoresOf::Row => [label_field(), numbers("scores")],
                ScoresOf::Text => [number("cosine"), number("logit")],
                ScoresOf::Texts => [numbers("cosine"), numbers("logit")],
            });
        }
        fields.extend(self.task.embed_dim().map(|n| vector_field("embedding", n)));
        fields.push(Field::new("error", DataType::Utf8, true));
        fields
    }

    fn arrays(&self, rows: &[Row]) -> Vec<ArrayRef> {
        let mut arrays = Vec::new();
        if let Task::Labels(_) = self.task {
            let labels = || texts(rows.iter().map(|row| row.label.as_deref()));
            let scores = rows.iter().map(|row| row.scores.as_deref());
            arrays.extend(match self.scores {
                ScoresOf::Run => [labels(), vectors(scores, self.n_labels)],
                ScoresOf::Row => [labels(), lists(scores)],
                ScoresOf::Text => [one_fit(rows, |fit| fit.cosine), one_fit(rows, |fit| fit.logit)],
                ScoresOf::Texts => [all_fits(rows, |fit| fit.cosine), all_fits(rows, |fit| fit.logit)],
            });
        }
        if let Some(n) = self.task.embed_dim() {
            arrays.push(vectors(rows.iter().map(|row| row.embedding.as_deref()), n));
        }
        arrays.push(texts(rows.iter().map(|row| row.error.as_deref())));
        arrays
    }
}

fn label_field() -> Field {
    Field::new("label", DataType::Utf8, true)
}

/// A number of each row's only text.
fn one_fit(rows: &[Row], number: fn(&Fit) -> f32) -> ArrayRef {
    let first = rows.iter().map(|row| Some(number(row.fits.as_ref()?.first()?)));
    Arc::new(first.collect::<Float32Array>())
}

/// A number of each of a row's texts.
fn all_fits(rows: &[Row], number: fn(&Fit) -> f32) -> ArrayRef {
    let rows = rows.iter().map(|row| row.fits.as_ref());
    let numbers: Vec<Option<Vec<f32>>> = rows.map(|fits| Some(fits?.iter().map(number).collect())).collect();
    lists(numbers.iter().map(Option::as_deref))
}

fn lists<'a>(rows: impl Iterator<Item = Option<&'a [f32]>>) -> ArrayRef {
    let mut builder = ListBuilder::new(Float32Builder::new());
    for row in rows {
        builder.values().append_slice(row.unwrap_or_default());
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

/// Writes the batches of an input stream with their results.
pub struct Widener {
    schema: SchemaRef,
    results: ResultColumns,
    writer: StreamWriter<Vec<u8>>,
}

impl Widener {
    /// Prepares for batches of this schema.
    ///
    /// # Errors
    /// [`Error::Usage`] if a column has the name of a result, or a type that can't be written.
    pub fn new(input: &Schema, settings: &Settings, scores: ScoresOf) -> Result<Self> {
        let results = ResultColumns::new(settings, scores);
        let added = results.fields();
        if let Some(taken) = added.iter().find(|field| input.index_of(field.name()).is_ok()) {
            return Err(Error::usage(
                format!(
                    "the Arrow stream already has a column `{}`, which is also the name of a result",
                    taken.name()
                ),
                "rename or drop the column first",
            ));
        }
        let fields = input.fields().iter().cloned().chain(added.into_iter().map(Arc::new));
        let mut metadata = input.metadata().clone();
        metadata.extend(settings.metadata());
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata);
        let writer = StreamWriter::try_new(Vec::new(), &schema).map_err(|error| {
            Error::usage(
                format!("a column of the Arrow stream can't be written: {error}"),
                "drop the column first",
            )
        })?;
        Ok(Widener {
            schema: Arc::new(schema),
            results,
            writer,
        })
    }

    /// Writes the schema.
    ///
    /// # Errors
    /// The error of `out`.
    pub fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.pass_on(out)
    }

    /// Writes a batch with the results of its rows.
    ///
    /// # Errors
    /// The error of `out`.
    pub fn batch(&mut self, batch: &RecordBatch, rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
        let columns = [batch.columns(), &self.results.arrays(rows)].concat();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(io::Error::other)?;
        self.pass_on(out)
    }

    /// Writes the end of the stream.
    ///
    /// # Errors
    /// The error of `out`.
    pub fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.writer.finish().map_err(io::Error::other)?;
        self.pass_on(out)
    }

    /// Flushes as well, so that a reader that waits for this batch gets it.
    fn pass_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let encoded = self.writer.get_mut();
        out.write_all(encoded)?;
        encoded.clear();
        out.flush()
    }
}
