//! Parquet: one typed row per image, labels as a list or as columns, and the model's name in the file's metadata.
//!
//! Columns: `path`; `labels`, a list of structs `label`, `probability`, `logit`, `cosine`, `group` (in the wide layout,
//! one float column per label with its score); `groups`, a list of structs `group`, `probability` (in the wide layout,
//! one float column `group:NAME` per group), if labels have groups; `embedding`, a list of fixed length; `fields`, the
//! carried fields as JSON; `error`. Numbers are f32, as the model computes; a number that a score doesn't have is null,
//! never NaN. Records are collected into row groups, so memory doesn't grow. Metadata: `longclip.version`,
//! `longclip.model`, `longclip.dtype`, `longclip.labels` (JSON).

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use arrow_array::builder::{Float32Builder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, Float32Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::columns::{texts, vector_field, vectors};
use super::{Format, FormatInfo, Grouped, Holds, Labelled, Layout, Record, Settings, Task, refuse_repeated};
use crate::error::{Error, Result};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "parquet",
    about: "typed columns for data frames; labels as lists, in the wide layout as columns",
    holds: &[
        Holds::Labels,
        Holds::LabelsWithVectors,
        Holds::Vectors,
        Holds::Wide,
        Holds::Binary,
    ],
    make: |settings| Ok(Box::new(Parquet::new(settings)?)),
    wrote: |file| file.start.starts_with(b"PAR1") && file.end_has("longclip.version"),
};

/// Rows of a row group: some megabytes with a handful of labels.
const GROUP_ROWS: usize = 4096;
/// A row group ends earlier if it has this many numbers: embeddings and long lists of labels are large.
const GROUP_VALUES: usize = 1 << 20;

struct Parquet {
    /// `None` after the end.
    writer: Option<ArrowWriter<Vec<u8>>>,
    schema: Arc<Schema>,
    settings: Settings,
    /// The records of the next row group.
    waiting: Vec<Record>,
    n_values: usize,
}

impl Parquet {
    fn new(settings: &Settings) -> Result<Self> {
        let schema = Arc::new(schema(settings));
        refuse_repeated(schema.fields().iter().map(|field| field.name()))?;
        let metadata = settings.metadata().map(|(key, value)| KeyValue::new(key, value));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(metadata.to_vec()))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties));
        let writer = writer.map_err(|error| {
            Error::usage(
                format!("a Parquet file can't have these columns: {error}"),
                "use the long layout, or ndjson",
            )
        })?;
        Ok(Parquet {
            writer: Some(writer),
            schema,
            settings: settings.clone(),
            waiting: Vec::new(),
            n_values: 0,
        })
    }

    fn write_group(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let records = mem::take(&mut self.waiting);
        self.n_values = 0;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        if !records.is_empty() {
            let columns = columns(&records, &self.settings);
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io::Error::other)?;
            writer.write(&batch).map_err(io::Error::other)?;
            writer.flush().map_err(io::Error::other)?;
        }
        out.write_all(&mem::take(writer.inner_mut()))
    }
}

impl Format for Parquet {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        self.n_values += record.outcome.labels().len() * 4 + record.outcome.embedding().map_or(0, <[f32]>::len);
        self.waiting.push(record.clone());
        if self.waiting.len() >= GROUP_ROWS || self.n_values >= GROUP_VALUES {
            self.write_group(out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.write_group(out)?;
        match self.writer.take() {
            Some(writer) => out.write_all(&writer.into_inner().map_err(io::Error::other)?),
            None => Ok(()),
        }
    }
}

fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn number_field(name: &str) -> Field {
    Field::new(name, DataType::Float32, true)
}

/// The struct of a label.
fn label_fields() -> Vec<Field> {
    let [probability, logit, cosine] = ["probability", "logit", "cosine"].map(number_field);
    vec![text_field("label"), probability, logit, cosine, text_field("group")]
}

/// The struct of a group.
fn group_fields() -> Vec<Field> {
    vec![text_field("group"), number_field("probability")]
}

fn schema(settings: &Settings) -> Schema {
    let structs = |name: &str, fields: Vec<Field>| {
        let item = Field::new_list_field(DataType::Struct(fields.into()), true);
        Field::new_list(name, item, true)
    };
    let mut fields = vec![Field::new("path", DataType::Utf8, false)];
    match (settings.task, settings.layout) {
        (Task::Labels(_) | Task::Tags, Layout::Long) => {
            fields.push(structs("labels", label_fields()));
            if !settings.groups.is_empty() {
                fields.push(structs("groups", group_fields()));
            }
        }
        (Task::Labels(_) | Task::Tags, Layout::Wide) => {
            fields.extend(settings.wide_columns().map(|name| number_field(&name)));
        }
        (Task::Embeddings(_) | Task::Searches, _) => {}
    }
    fields.extend(settings.task.embed_dim().map(|n| vector_field("embedding", n)));
    if settings.carries_fields {
        fields.push(text_field("fields"));
    }
    fields.push(text_field("error"));
    Schema::new(fields)
}

/// The arrays of [`schema`]'s columns.
fn columns(records: &[Record], settings: &Settings) -> Vec<ArrayRef> {
    let mut columns = vec![texts(records.iter().map(|record| Some(record.subject.to_string())))];
    match (settings.task, settings.layout) {
        (Task::Labels(_) | Task::Tags, Layout::Long) => {
            columns.push(lists(records, label_fields(), |record, lists| {
                let labels = record.outcome.labels().iter();
                labels.for_each(|labelled| append_label(lists, labelled));
            }));
            if !settings.groups.is_empty() {
                columns.push(lists(records, group_fields(), |record, lists| {
                    let groups = record.outcome.groups().iter();
                    groups.for_each(|grouped| append_group(lists, grouped));
                }));
            }
        }
        (Task::Labels(_) | Task::Tags, Layout::Wide) => columns.extend(wide_columns(records, settings)),
        (Task::Embeddings(_) | Task::Searches, _) => {}
    }
    if let Some(n) = settings.task.embed_dim() {
        columns.push(vectors(records.iter().map(|record| record.outcome.embedding()), n));
    }
    if settings.carries_fields {
        columns.push(texts(records.iter().map(Record::carried_json)));
    }
    columns.push(texts(records.iter().map(|record| record.outcome.failure())));
    columns
}

fn wide_columns(records: &[Record], settings: &Settings) -> Vec<ArrayRef> {
    let mut columns = vec![Vec::with_capacity(records.len()); settings.labels.len() + settings.groups.len()];
    for record in records {
        for (column, value) in columns.iter_mut().zip(settings.wide_values(record)) {
            column.push(value.map(|value| value as f32));
        }
    }
    let array = |column| Arc::new(Float32Array::from(column)) as ArrayRef;
    columns.into_iter().map(array).collect()
}

/// Lists of structs, one list per record; null for a failure.
fn lists(records: &[Record], fields: Vec<Field>, append: impl Fn(&Record, &mut StructBuilder)) -> ArrayRef {
    let mut lists = ListBuilder::new(StructBuilder::from_fields(fields, 0));
    for record in records {
        append(record, lists.values());
        lists.append(record.outcome.failure().is_none());
    }
    Arc::new(lists.finish())
}

fn append_label(builder: &mut StructBuilder, labelled: &Labelled) {
    append_text(builder, 0, Some(&labelled.label));
    let numbers = [labelled.probability, labelled.logit, labelled.cosine];
    for (column, value) in (1..).zip(numbers) {
        append_number(builder, column, value);
    }
    append_text(builder, 4, labelled.group.as_deref());
    builder.append(true);
}

fn append_group(builder: &mut StructBuilder, grouped: &Grouped) {
    append_text(builder, 0, Some(&grouped.group));
    append_number(builder, 1, Some(grouped.probability));
    builder.append(true);
}

fn append_text(builder: &mut StructBuilder, column: usize, text: Option<&str>) {
    if let Some(texts) = builder.field_builder::<StringBuilder>(column) {
        texts.append_option(text);
    }
}

fn append_number(builder: &mut StructBuilder, column: usize, number: Option<f64>) {
    if let Some(floats) = builder.field_builder::<Float32Builder>(column) {
        floats.append_option(number.map(|number| number as f32));
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float32Type;
    use arrow_array::{Array, StructArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::super::specimen::{bare_records, bare_settings, bytes, records, settings};
    use super::super::{Outcome, Vectors};
    use super::*;

    fn reader(settings: &Settings, records: &[Record]) -> ParquetRecordBatchReaderBuilder<bytes::Bytes> {
        let file = bytes(&mut Parquet::new(settings).unwrap(), records);
        ParquetRecordBatchReaderBuilder::try_new(file.into()).unwrap()
    }

    fn read_back(settings: &Settings, records: &[Record]) -> RecordBatch {
        let mut batches = reader(settings, records).with_batch_size(1 << 20).build().unwrap();
        batches.next().unwrap().unwrap()
    }

    #[test]
    fn labels_are_lists_of_structs_and_a_failure_has_none() {
        let rows = read_back(&settings(), &records());
        let labels = rows.column_by_name("labels").unwrap().as_list::<i32>();
        assert!(labels.is_null(1));
        let first = labels.value(0);
        let first: &StructArray = first.as_struct();
        assert_eq!(first.column(0).as_string::<i32>().value(1), "two\nlines");
        assert_eq!(first.column(1).as_primitive::<Float32Type>().values(), &[0.75, 0.25]);
        let errors = rows.column_by_name("error").unwrap().as_string::<i32>();
        assert!(errors.is_null(0));
        assert_eq!(errors.value(1), "no such file");
        let fields = rows.column_by_name("fields").unwrap().as_string::<i32>();
        assert_eq!(fields.value(0), "{\"n\":1}");
    }

    #[test]
    fn wide_files_have_one_column_per_label_and_embeddings_of_fixed_length() {
        let mut records = records();
        let Outcome::Labels { labels, .. } = records[0].outcome.clone() else {
            panic!("the first specimen has labels");
        };
        records[0].outcome = Outcome::Labels {
            labels,
            groups: Vec::new(),
            embedding: Some(vec![1.0, 2.0, 3.0]),
        };
        let settings = Settings {
            layout: Layout::Wide,
            task: Task::Labels(Vectors::Beside(3)),
            ..settings()
        };
        let rows = read_back(&settings, &records);
        let cat = rows
            .column_by_name("a \"cat\", lying")
            .unwrap()
            .as_primitive::<Float32Type>();
        assert_eq!((cat.value(0), cat.is_null(1)), (0.75, true));
        let vectors = rows.column_by_name("embedding").unwrap().as_fixed_size_list();
        assert_eq!(
            vectors.value(0).as_primitive::<Float32Type>().values(),
            &[1.0, 2.0, 3.0]
        );
        assert!(vectors.is_null(1));
    }

    #[test]
    fn missing_numbers_are_null_and_groups_are_lists_or_columns() {
        let long = read_back(&bare_settings(), &bare_records());
        let labels = long.column_by_name("labels").unwrap().as_list::<i32>();
        assert!(!labels.is_null(1) && labels.value(1).is_empty());
        let first = labels.value(0);
        let first: &StructArray = first.as_struct();
        let nulls = |column: usize| [0, 1].map(|row| first.column(column).is_null(row));
        assert_eq!([1, 2, 3].map(nulls), [[true, true], [true, true], [false, true]]);
        let groups = long.column_by_name("groups").unwrap().as_list::<i32>().value(0);
        assert_eq!(
            groups.as_struct().column(1).as_primitive::<Float32Type>().values(),
            &[0.75]
        );
        let settings = Settings {
            layout: Layout::Wide,
            ..bare_settings()
        };
        let wide = read_back(&settings, &bare_records());
        let column = |name: &str| wide.column_by_name(name).unwrap().as_primitive::<Float32Type>().clone();
        assert_eq!(column("two\nlines").value(0), 0.25);
        assert!(column("a \"cat\", lying").is_null(0));
        assert_eq!(
            (column("group:=a, b").value(0), column("group:=a, b").is_null(1)),
            (0.75, true)
        );
    }

    #[test]
    fn model_and_version_are_in_the_metadata() {
        let reader = reader(&settings(), &records());
        let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap();
        assert!(metadata.contains(&KeyValue::new("longclip.model".into(), "nano".to_owned())));
        assert!(metadata.iter().any(|entry| entry.key == "longclip.version"));
    }

    #[test]
    fn no_row_is_lost_between_row_groups() {
        let [record, _] = records();
        let many = vec![record; GROUP_ROWS + 10];
        assert_eq!(read_back(&settings(), &many).num_rows(), GROUP_ROWS + 10);
    }
}
