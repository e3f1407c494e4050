//! Parquet: a row for each picture, typed, with the labels as a list or as columns; model and version in the file's notes.
//!
//! Columns: `path`; `labels`, a list of structs `label`, `probability`, `logit`, `cosine`, `group` (or, wide, a float column
//! for each label with its score); `groups`, a list of structs `group`, `probability` (or, wide, a float column
//! `group:NAME` for each), where labels are grouped; a number that a score doesn't have is null, never NaN; `embedding`, a list of fixed length; `fields`, the carried ones as JSON; `error`.
//! Numbers are f32, as the model computes. Rows wait until there are some thousand, then they are a row group, written
//! and forgotten. Notes: `longclip.version`, `longclip.model`, `longclip.dtype`, `longclip.labels` (JSON).

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{Fields, Format, FormatInfo, Holds, Labelled, Layout, Record, Settings, Task};
use crate::error::{Error, Result};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "parquet",
    about: "typed columns for data frames; labels as lists, or `--wide` as columns",
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
/// Numbers and labels after which a row group is closed sooner: vectors and long lists of labels are large.
const GROUP_VALUES: usize = 1 << 20;

struct Parquet {
    writer: Option<ArrowWriter<Shared>>,
    /// What the writer gave out and the destination hasn't got yet.
    written: Shared,
    schema: Arc<Schema>,
    settings: Settings,
    waiting: Vec<Record>,
    n_values: usize,
}

/// The writer's output, to be fetched from outside.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    /// What was written since the last call.
    pub(crate) fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Parquet {
    fn new(settings: &Settings) -> Result<Self> {
        let schema = Arc::new(schema(settings));
        let written = Shared::default();
        let notes = vec![
            KeyValue::new("longclip.version".into(), env!("CARGO_PKG_VERSION").to_owned()),
            KeyValue::new("longclip.model".into(), settings.model.clone()),
            KeyValue::new("longclip.dtype".into(), settings.dtype.clone()),
            KeyValue::new("longclip.labels".into(), serde_json::json!(settings.labels).to_string()),
        ];
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(notes))
            .build();
        let writer = ArrowWriter::try_new(written.clone(), Arc::clone(&schema), Some(properties));
        let writer = writer.map_err(|error| {
            Error::usage(
                format!("these columns can't be a parquet file: {error}"),
                "leave out `--wide`, or use ndjson",
            )
        })?;
        Ok(Parquet {
            writer: Some(writer),
            written,
            schema,
            settings: settings.clone(),
            waiting: Vec::new(),
            n_values: 0,
        })
    }

    fn write_group(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let records = mem::take(&mut self.waiting);
        self.n_values = 0;
        if let Some(writer) = self.writer.as_mut().filter(|_| !records.is_empty()) {
            let columns = columns(&records, &self.settings);
            let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io::Error::other)?;
            writer.write(&batch).map_err(io::Error::other)?;
            writer.flush().map_err(io::Error::other)?;
        }
        out.write_all(&self.written.take())
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
        if let Some(writer) = self.writer.take() {
            writer.close().map_err(io::Error::other)?;
        }
        out.write_all(&self.written.take())
    }
}

/// The fields of a label's struct.
fn label_fields() -> Vec<Field> {
    let number = |name: &str| Field::new(name, DataType::Float32, true);
    vec![
        Field::new("label", DataType::Utf8, true),
        number("probability"),
        number("logit"),
        number("cosine"),
        Field::new("group", DataType::Utf8, true),
    ]
}

/// The fields of a group's struct.
fn group_fields() -> Vec<Field> {
    vec![
        Field::new("group", DataType::Utf8, true),
        Field::new("probability", DataType::Float32, true),
    ]
}

fn schema(settings: &Settings) -> Schema {
    let mut fields = vec![Field::new("path", DataType::Utf8, false)];
    match (settings.task, settings.layout) {
        (Task::Labels(_), Layout::Long) => {
            let item = Field::new_list_field(DataType::Struct(label_fields().into()), true);
            fields.push(Field::new("labels", DataType::List(Arc::new(item)), true));
            if !settings.groups.is_empty() {
                let item = Field::new_list_field(DataType::Struct(group_fields().into()), true);
                fields.push(Field::new("groups", DataType::List(Arc::new(item)), true));
            }
        }
        (Task::Labels(_), Layout::Wide) => {
            let groups = settings.groups.iter().map(|group| format!("group:{group}"));
            let columns = settings.labels.iter().cloned().chain(groups);
            fields.extend(columns.map(|name| Field::new(name, DataType::Float32, true)));
        }
        (Task::Embeddings(_), _) => {}
    }
    if let Some(dim) = settings.task.embed_dim() {
        let item = Arc::new(Field::new_list_field(DataType::Float32, true));
        fields.push(Field::new("embedding", DataType::FixedSizeList(item, dim as i32), true));
    }
    if settings.fields == Fields::Carried {
        fields.push(Field::new("fields", DataType::Utf8, true));
    }
    fields.push(Field::new("error", DataType::Utf8, true));
    Schema::new(fields)
}

fn columns(records: &[Record], settings: &Settings) -> Vec<ArrayRef> {
    let mut columns = vec![texts(records, |record| Some(record.subject.to_string()))];
    match (settings.task, settings.layout) {
        (Task::Labels(_), Layout::Long) => {
            columns.push(label_lists(records));
            if !settings.groups.is_empty() {
                columns.push(group_lists(records));
            }
        }
        (Task::Labels(_), Layout::Wide) => {
            columns.extend(settings.labels.iter().map(|name| label_scores(records, name)));
            columns.extend(settings.groups.iter().map(|name| group_sums(records, name)));
        }
        (Task::Embeddings(_), _) => {}
    }
    if let Some(dim) = settings.task.embed_dim() {
        columns.push(vectors(records, dim));
    }
    if settings.fields == Fields::Carried {
        columns.push(texts(records, |record| {
            let carried: serde_json::Map<_, _> = record.carried().map(|(k, v)| (k.clone(), v.clone())).collect();
            (!carried.is_empty()).then(|| serde_json::Value::Object(carried).to_string())
        }));
    }
    columns.push(texts(records, |record| record.outcome.failure().map(str::to_owned)));
    columns
}

fn texts(records: &[Record], text: impl Fn(&Record) -> Option<String>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    records.iter().for_each(|record| builder.append_option(text(record)));
    Arc::new(builder.finish())
}

fn floats(records: &[Record], number: impl Fn(&Record) -> Option<f64>) -> ArrayRef {
    let mut builder = Float32Builder::new();
    for record in records {
        builder.append_option(number(record).map(|number| number as f32));
    }
    Arc::new(builder.finish())
}

fn label_scores(records: &[Record], label: &str) -> ArrayRef {
    floats(records, |record| {
        let found = record.outcome.labels().iter().find(|labelled| labelled.label == label);
        found.and_then(Labelled::score)
    })
}

fn group_sums(records: &[Record], group: &str) -> ArrayRef {
    floats(records, |record| {
        let found = record.outcome.groups().iter().find(|grouped| grouped.group == group);
        found.map(|grouped| grouped.probability)
    })
}

fn group_lists(records: &[Record]) -> ArrayRef {
    let mut lists = ListBuilder::new(StructBuilder::from_fields(group_fields(), 0));
    for record in records {
        for grouped in record.outcome.groups() {
            append_text(lists.values(), 0, Some(&grouped.group));
            append_number(lists.values(), 1, Some(grouped.probability));
            lists.values().append(true);
        }
        lists.append(record.outcome.failure().is_none());
    }
    Arc::new(lists.finish())
}

fn label_lists(records: &[Record]) -> ArrayRef {
    let mut lists = ListBuilder::new(StructBuilder::from_fields(label_fields(), 0));
    for record in records {
        record
            .outcome
            .labels()
            .iter()
            .for_each(|labelled| append_label(lists.values(), labelled));
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

fn vectors(records: &[Record], dim: usize) -> ArrayRef {
    let mut lists = FixedSizeListBuilder::new(Float32Builder::new(), dim as i32);
    for record in records {
        match record.outcome.embedding() {
            Some(values) => lists.values().append_slice(values),
            None => (0..dim).for_each(|_| lists.values().append_null()),
        }
        lists.append(record.outcome.embedding().is_some());
    }
    Arc::new(lists.finish())
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

    struct Read {
        rows: RecordBatch,
        notes: Vec<(String, Option<String>)>,
    }

    fn read_back(settings: &Settings, records: &[Record]) -> Read {
        let file = bytes(&mut Parquet::new(settings).unwrap(), records);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, file).unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
        let notes = builder.metadata().file_metadata().key_value_metadata().unwrap().clone();
        let mut batches = builder.with_batch_size(1 << 20).build().unwrap();
        Read {
            rows: batches.next().unwrap().unwrap(),
            notes: notes.into_iter().map(|note| (note.key, note.value)).collect(),
        }
    }

    #[test]
    fn labels_are_lists_of_structs_and_a_failure_has_none() {
        let read = read_back(&settings(), &records());
        let labels = read.rows.column_by_name("labels").unwrap().as_list::<i32>();
        assert!(labels.is_null(1));
        let first = labels.value(0);
        let first: &StructArray = first.as_struct();
        assert_eq!(first.column(0).as_string::<i32>().value(1), "two\nlines");
        assert_eq!(first.column(1).as_primitive::<Float32Type>().values(), &[0.75, 0.25]);
        let errors = read.rows.column_by_name("error").unwrap().as_string::<i32>();
        assert!(errors.is_null(0));
        assert_eq!(errors.value(1), "no such file");
        assert_eq!(
            read.rows.column_by_name("fields").unwrap().as_string::<i32>().value(0),
            "{\"n\":1}"
        );
    }

    #[test]
    fn wide_has_a_column_for_each_label_and_vectors_have_their_length() {
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
        let rows = read_back(&settings, &records).rows;
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
    fn what_a_score_does_not_have_is_null_and_groups_are_lists_or_columns() {
        let long = read_back(&bare_settings(), &bare_records()).rows;
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
        let wide = read_back(&settings, &bare_records()).rows;
        let column = |name: &str| wide.column_by_name(name).unwrap().as_primitive::<Float32Type>().clone();
        assert_eq!(column("two\nlines").value(0), 0.25);
        assert!(column("a \"cat\", lying").is_null(0));
        assert_eq!(
            (column("group:=a, b").value(0), column("group:=a, b").is_null(1)),
            (0.75, true)
        );
    }

    #[test]
    fn model_and_version_are_in_the_notes() {
        let notes = read_back(&settings(), &records()).notes;
        assert!(notes.contains(&("longclip.model".into(), Some("nano".into()))));
        assert!(notes.iter().any(|(key, _)| key == "longclip.version"));
    }

    #[test]
    fn many_rows_are_several_groups_and_none_is_lost() {
        let [record, _] = records();
        let many = vec![record; GROUP_ROWS + 10];
        assert_eq!(read_back(&settings(), &many).rows.num_rows(), GROUP_ROWS + 10);
    }
}
