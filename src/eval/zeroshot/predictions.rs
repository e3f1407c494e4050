//! One row per image with its true class and what was predicted, as NDJSON, CSV or Parquet.
//!
//! All three have the same columns: `path`, `truth`, `truth_probability`, `is_right`, then `predicted_1`, `probability_1`, ...
//! for the most probable classes, best first. Rows are in the order of the data.

use std::io::{self, Write};
use std::path::Path;

use memchr::memmem;

use super::{Answer, KEPT};
use crate::data::Image;
use crate::error::{Error, Result};
use crate::files::Excerpt;
use crate::json_fields::push_member;

/// How predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictionFormat {
    /// A JSON object per line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
    /// Typed columns.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl PredictionFormat {
    /// The format that a file's ending names.
    ///
    /// # Errors
    /// [`Error::Usage`] for any other ending.
    pub fn of_ending(file: &Path) -> Result<Self> {
        let ending = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match ending.as_str() {
            "ndjson" | "jsonl" => Ok(PredictionFormat::Ndjson),
            "csv" => Ok(PredictionFormat::Csv),
            #[cfg(feature = "parquet")]
            "parquet" => Ok(PredictionFormat::Parquet),
            _ => Err(Error::usage(
                format!("`{}` has no ending that predictions can be written as", file.display()),
                if cfg!(feature = "parquet") {
                    "end it in .ndjson, .csv or .parquet"
                } else {
                    "end it in .ndjson or .csv"
                },
            )),
        }
    }
}

/// Whether a file looks like predictions that were written here.
pub fn wrote_predictions(file: &Excerpt) -> bool {
    let (line, _) = file.first_line();
    (line.starts_with(b"{\"path\":") && memmem::find(line, b",\"truth_probability\":").is_some())
        || line.starts_with(b"path,truth,truth_probability,")
        || (file.start.starts_with(b"PAR1") && file.end_has("longclip.version"))
}

/// What is written.
pub struct Predictions<'a> {
    /// The images, in the order of the answers.
    pub images: &'a [&'a Image],
    /// The answers.
    pub answers: &'a [Answer],
    /// The classes.
    pub labels: &'a [String],
    /// The model's name, which a Parquet file has in its metadata.
    pub model: &'a str,
}

/// A value of a row.
enum Cell<'a> {
    Text(&'a str),
    /// The model computes in f32, so more digits would be noise.
    Number(f32),
    Flag(bool),
}

impl Predictions<'_> {
    /// Writes all rows.
    ///
    /// # Errors
    /// The error of `out`.
    pub fn write(&self, format: PredictionFormat, out: &mut dyn Write) -> io::Result<()> {
        match format {
            PredictionFormat::Ndjson => self.ndjson(out),
            PredictionFormat::Csv => self.csv(out),
            #[cfg(feature = "parquet")]
            PredictionFormat::Parquet => parquet_file::write(self, out),
        }
    }

    /// The number of classes that each row has.
    fn n_predicted(&self) -> usize {
        KEPT.min(self.labels.len())
    }

    fn columns(&self) -> Vec<String> {
        let first = ["path", "truth", "truth_probability", "is_right"].map(str::to_owned);
        let predicted = (1..=self.n_predicted()).flat_map(|k| [format!("predicted_{k}"), format!("probability_{k}")]);
        first.into_iter().chain(predicted).collect()
    }

    fn rows(&self) -> impl Iterator<Item = Vec<Cell<'_>>> {
        self.images.iter().zip(self.answers).map(|(image, answer)| {
            let label = |class: usize| Cell::Text(&self.labels[class]);
            let mut row = vec![
                Cell::Text(image.name()),
                label(answer.truth),
                Cell::Number(answer.truth_probability as f32),
                Cell::Flag(answer.is_within(1)),
            ];
            for (class, probability) in answer.likeliest.iter().take(self.n_predicted()) {
                row.extend([label(*class), Cell::Number(*probability as f32)]);
            }
            row
        })
    }

    fn ndjson(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.columns();
        for row in self.rows() {
            let mut object = "{".to_owned();
            for (name, cell) in columns.iter().zip(row) {
                let value = match cell {
                    Cell::Text(text) => serde_json::to_string(text)?,
                    Cell::Number(number) => serde_json::to_string(&number)?,
                    Cell::Flag(flag) => flag.to_string(),
                };
                push_member(&mut object, name, &value);
            }
            writeln!(out, "{object}}}")?;
        }
        Ok(())
    }

    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(self.columns())?;
        for row in self.rows() {
            writer.write_record(row.iter().map(|cell| match cell {
                Cell::Text(text) => (*text).to_owned(),
                Cell::Number(number) => number.to_string(),
                Cell::Flag(flag) => flag.to_string(),
            }))?;
        }
        writer.flush()
    }
}

#[cfg(feature = "parquet")]
mod parquet_file {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BooleanArray, Float32Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;

    use super::{Cell, Predictions, Write, io};

    /// Writes all rows as one Parquet file.
    pub(super) fn write(predictions: &Predictions<'_>, out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<Vec<Cell<'_>>> = predictions.rows().collect();
        let columns = predictions.columns().into_iter().enumerate();
        let columns = columns.map(|(i, name)| (name, array(&rows, i)));
        let batch = RecordBatch::try_from_iter(columns).map_err(io::Error::other)?;
        let metadata = [
            ("longclip.version", env!("CARGO_PKG_VERSION")),
            ("longclip.model", predictions.model),
        ];
        let metadata = metadata.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(metadata.to_vec()))
            .build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).map_err(io::Error::other)?;
        writer.write(&batch).map_err(io::Error::other)?;
        out.write_all(&writer.into_inner().map_err(io::Error::other)?)
    }

    fn array(rows: &[Vec<Cell<'_>>], i: usize) -> ArrayRef {
        let cells = || rows.iter().map(|row| &row[i]);
        match rows.first().map(|row| &row[i]) {
            Some(Cell::Number(_)) => Arc::new(Float32Array::from_iter(cells().map(|cell| match cell {
                Cell::Number(number) => Some(*number),
                Cell::Text(_) | Cell::Flag(_) => None,
            }))),
            Some(Cell::Flag(_)) => Arc::new(BooleanArray::from_iter(cells().map(|cell| match cell {
                Cell::Flag(flag) => Some(*flag),
                Cell::Text(_) | Cell::Number(_) => None,
            }))),
            Some(Cell::Text(_)) | None => Arc::new(StringArray::from_iter(cells().map(|cell| match cell {
                Cell::Text(text) => Some(*text),
                Cell::Number(_) | Cell::Flag(_) => None,
            }))),
        }
    }
}
