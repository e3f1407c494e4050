//! CSV and TSV: one row per label of an image or, in the wide layout, one row per image with one column per label.
//!
//! CSV follows RFC 4180, with `\n` as line break. TSV has no quotes: a tab or line break in a value is written as `\t`, `\n`
//! or `\r` (the IANA registration of text/tab-separated-values forbids such values). A backslash stays, so that paths exist. A number that a
//! score doesn't have is empty, never NaN. If labels have groups, a label's row has its group and the group's
//! probability; the wide layout has a column `group:NAME` per group after the labels. Both formats can be resumed.

use std::io::{self, BufRead, Read, Write};
use std::ops::Range;

use super::escapes::escaped;
use super::resume::{Held, HeldRecords};
use super::{Format, FormatInfo, Holds, Labelled, Layout, Record, Settings, refuse_repeated};
use crate::error::Result;
use crate::files::Excerpt;

pub(super) const CSV: FormatInfo = FormatInfo {
    name: "csv",
    about: "one row per label, with its rank; in the wide layout one row per image",
    holds: &[Holds::Labels, Holds::Wide, Holds::Continuable],
    make: |settings| Ok(Box::new(Delimited::checked(Dialect::Csv, settings)?)),
    wrote: |file| has_our_header(file, b','),
};

pub(super) const TSV: FormatInfo = FormatInfo {
    name: "tsv",
    about: "like csv, with tabs; tabs and line breaks in values are written as `\\t` and `\\n`",
    holds: &[Holds::Labels, Holds::Wide, Holds::Continuable],
    make: |settings| Ok(Box::new(Delimited::checked(Dialect::Tsv, settings)?)),
    wrote: |file| has_our_header(file, b'\t'),
};

/// Whether a file begins with the columns that both layouts have, or with as much of them as a kill left.
fn has_our_header(file: &Excerpt, separator: u8) -> bool {
    let (line, is_whole) = file.first_line();
    let mut columns = line.split(|byte| *byte == separator);
    if !is_whole {
        let first = columns.next().unwrap_or_default();
        return first == b"path" || (b"path".starts_with(first) && columns.next().is_none());
    }
    let ends = [&b"error"[..], b"fields"];
    columns.next() == Some(b"path") && columns.next_back().is_some_and(|last| ends.contains(&last))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Csv,
    Tsv,
}

#[derive(Clone)]
struct Delimited {
    dialect: Dialect,
    settings: Settings,
}

impl Delimited {
    fn new(dialect: Dialect, settings: &Settings) -> Self {
        let settings = settings.clone();
        Delimited { dialect, settings }
    }

    fn checked(dialect: Dialect, settings: &Settings) -> Result<Self> {
        let format = Delimited::new(dialect, settings);
        refuse_repeated(&format.header())?;
        Ok(format)
    }

    fn header(&self) -> Vec<String> {
        let mut columns = vec!["path".to_owned()];
        match self.settings.layout {
            Layout::Long => {
                columns.extend(["rank", "label", "probability", "logit", "cosine"].map(Into::into));
                if !self.settings.groups.is_empty() {
                    columns.extend(["group", "group_probability"].map(Into::into));
                }
            }
            Layout::Wide => columns.extend(self.settings.wide_columns()),
        }
        columns.push("error".into());
        if self.settings.carries_fields {
            columns.push("fields".into());
        }
        columns
    }

    fn error_column(&self) -> usize {
        self.header().len() - 1 - usize::from(self.settings.carries_fields)
    }

    fn rows(&self, record: &Record) -> Vec<Vec<String>> {
        let labels = record.outcome.labels();
        let mut rows: Vec<Vec<String>> = match self.settings.layout {
            Layout::Wide => vec![self.settings.wide_values(record).into_iter().map(number).collect()],
            Layout::Long if labels.is_empty() => vec![self.long_columns(record, None)],
            Layout::Long => {
                let ranked = (1..).zip(labels);
                ranked.map(|label| self.long_columns(record, Some(label))).collect()
            }
        };
        let (path, fields) = (record.subject.to_string(), record.carried_json().unwrap_or_default());
        for row in &mut rows {
            row.insert(0, path.clone());
            row.push(record.outcome.failure().unwrap_or_default().to_owned());
            if self.settings.carries_fields {
                row.push(fields.clone());
            }
        }
        rows
    }

    /// The columns of one label with its rank; all empty for `None`.
    fn long_columns(&self, record: &Record, label: Option<(usize, &Labelled)>) -> Vec<String> {
        let (rank, label) = label.unzip();
        let of_label = |value: fn(&Labelled) -> Option<f64>| number(label.and_then(value));
        let mut columns = vec![
            rank.map_or_else(String::new, |rank| rank.to_string()),
            label.map_or_else(String::new, |label| label.label.clone()),
            of_label(|label| label.probability),
            of_label(|label| label.logit),
            of_label(|label| label.cosine),
        ];
        if !self.settings.groups.is_empty() {
            let group = label.and_then(|label| label.group.as_deref());
            let sum = group.and_then(|group| record.outcome.group_probability(group));
            columns.extend([group.unwrap_or_default().to_owned(), number(sum)]);
        }
        columns
    }

    fn encoded(&self, rows: &[Vec<String>]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut writer = csv::WriterBuilder::new();
        if self.dialect == Dialect::Tsv {
            writer.delimiter(b'\t').quote_style(csv::QuoteStyle::Never);
        }
        let mut writer = writer.from_writer(&mut bytes);
        for row in rows {
            match self.dialect {
                Dialect::Csv => writer.write_record(row)?,
                Dialect::Tsv => writer.write_record(row.iter().map(|value| escaped(value)))?,
            }
        }
        writer.flush()?;
        drop(writer);
        Ok(bytes)
    }

    /// The rows of a file that end with a line break.
    fn complete_rows(&self, file: Box<dyn BufRead>) -> impl Iterator<Item = io::Result<Row>> + use<> {
        let dialect = self.dialect;
        let mut reader = csv::ReaderBuilder::new();
        reader
            .has_headers(false)
            .flexible(true)
            .terminator(csv::Terminator::Any(b'\n'));
        if dialect == Dialect::Tsv {
            reader.delimiter(b'\t').quoting(false);
        }
        // One more byte makes the last row incomplete, whether the file ends within a row or after one.
        let mut reader = reader.from_reader(file.chain(&b"."[..]));
        let next_row = move || {
            let start = reader.position().byte();
            let mut row = csv::ByteRecord::new();
            match reader.read_byte_record(&mut row) {
                Ok(false) => None,
                Ok(true) => Some(Ok(Row {
                    values: csv::StringRecord::from_byte_record_lossy(row)
                        .iter()
                        .map(str::to_owned)
                        .collect(),
                    bytes: start..reader.position().byte(),
                })),
                Err(error) => Some(Err(error.into())),
            }
        };
        let mut rows = std::iter::from_fn(next_row).peekable();
        std::iter::from_fn(move || {
            let row = rows.next()?;
            (row.is_err() || rows.peek().is_some()).then_some(row)
        })
    }

    /// The record that begins with this row; `None` if the row is another label of the record before.
    fn begun_record(&self, row: &Row) -> Option<Held> {
        let value = |column: usize| row.values.get(column).map_or("", String::as_str);
        // An image without labels has no rank.
        let begins = self.settings.layout == Layout::Wide || matches!(value(1), "1" | "");
        begins.then(|| Held {
            name: Some(value(0).to_owned()),
            start: row.bytes.start,
            end: row.bytes.end,
            failed: !value(self.error_column()).is_empty(),
        })
    }
}

/// A row of a file, and where it is.
struct Row {
    values: Vec<String>,
    bytes: Range<u64>,
}

/// A number as the model's f32, or nothing.
fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| (value as f32).to_string())
}

impl Format for Delimited {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.encoded(&[self.header()])?)
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.encoded(&self.rows(record))?)
    }

    fn name_as_written(&self, name: &str) -> String {
        match self.dialect {
            Dialect::Csv => name.to_owned(),
            Dialect::Tsv => escaped(name),
        }
    }

    /// The last record may lack rows, so a record counts only once the next one has begun.
    fn held(&self, file: Box<dyn BufRead>) -> Option<HeldRecords> {
        let format = self.clone();
        let mut rows = self.complete_rows(file);
        let mut header_is_read = false;
        let mut last: Option<Held> = None;
        Some(Box::new(std::iter::from_fn(move || {
            loop {
                let row = match rows.next()? {
                    Ok(row) => row,
                    Err(error) => return Some(Err(error)),
                };
                if !header_is_read {
                    let header = format.header();
                    let header = header.iter().map(|name| format.name_as_written(name));
                    if !header.eq(row.values) {
                        return Some(Err(io::Error::other("its columns are different")));
                    }
                    header_is_read = true;
                    continue;
                }
                match (format.begun_record(&row), &mut last) {
                    (Some(record), last) => {
                        if let Some(complete) = last.replace(record) {
                            return Some(Ok(complete));
                        }
                    }
                    (None, Some(last)) => last.end = row.bytes.end,
                    (None, None) => return Some(Err(io::Error::other("it starts with a label that is not the first"))),
                }
            }
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Subject;
    use super::super::specimen::{bare_records, bare_settings, held, records, settings, written};
    use super::*;

    fn delimited(dialect: Dialect, layout: Layout) -> Delimited {
        Delimited::new(dialect, &Settings { layout, ..settings() })
    }

    #[test]
    fn csv_has_one_row_per_label_and_one_per_failure() {
        assert_eq!(
            written(&mut delimited(Dialect::Csv, Layout::Long), &records()),
            "path,rank,label,probability,logit,cosine,error,fields\n\
             a.jpg,1,\"a \"\"cat\"\", lying\",0.75,20.5,0.25,,\"{\"\"n\"\":1}\"\n\
             a.jpg,2,\"two\nlines\",0.25,19.5,0.125,,\"{\"\"n\"\":1}\"\n\
             b.jpg,,,,,,no such file,\n"
        );
    }

    #[test]
    fn wide_rows_have_their_labels_in_the_order_of_the_run() {
        assert_eq!(
            written(&mut delimited(Dialect::Tsv, Layout::Wide), &records()),
            "path\ttwo\\nlines\ta \"cat\", lying\terror\tfields\n\
             a.jpg\t0.25\t0.75\t\t{\"n\":1}\n\
             b.jpg\t\t\tno such file\t\n"
        );
    }

    #[test]
    fn a_record_is_held_once_the_next_one_begins() {
        for dialect in [Dialect::Csv, Dialect::Tsv] {
            for layout in [Layout::Long, Layout::Wide] {
                let mut format = delimited(dialect, layout);
                let mut three = records().to_vec();
                three.push(three[0].clone());
                let whole = written(&mut format, &three);
                for cut in 0..=whole.len() {
                    let held = held(&format, &whole[..cut]);
                    let end = held.last().map_or(0, |held| held.end as usize);
                    let redone = written(&mut format, &three[held.len()..]);
                    let header = written(&mut format, &[]);
                    let body = &redone[header.len()..];
                    let start = if held.is_empty() { &header[..] } else { &whole[..end] };
                    assert_eq!(format!("{start}{body}"), whole, "{dialect:?} {layout:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn names_survive_quoting_and_escaping() {
        for dialect in [Dialect::Csv, Dialect::Tsv] {
            for name in ["plain", "a,\"b\"\nc", "tab\tand \\ back\\n", " spaces ", ""] {
                let mut format = delimited(dialect, Layout::Long);
                let mut record = records()[0].clone();
                record.subject = Subject::Path(name.into());
                let whole = written(&mut format, &[record.clone(), record]);
                let held = held(&format, &whole).swap_remove(0).name.unwrap();
                assert_eq!(held, format.name_as_written(name));
                assert!(dialect == Dialect::Csv || !held.contains(['\t', '\n']));
            }
        }
    }

    #[test]
    fn paths_exist_as_written() {
        let mut record = records()[1].clone();
        record.subject = Subject::Path("C:\\new\\a.jpg".into());
        let mut format = delimited(Dialect::Tsv, Layout::Wide);
        assert!(written(&mut format, &[record]).contains("\nC:\\new\\a.jpg\t"));
    }

    #[test]
    fn labels_that_are_columns_are_refused_in_the_wide_layout() {
        for name in ["path", "error", "fields"] {
            let settings = |layout| Settings {
                labels: vec!["a cat".into(), name.into()],
                layout,
                ..settings()
            };
            for format in [CSV, TSV] {
                let error = (format.make)(&settings(Layout::Wide)).err().unwrap().to_string();
                assert!(error.contains(&format!("two columns `{name}`")), "{error}");
                assert!((format.make)(&settings(Layout::Long)).is_ok());
            }
        }
    }

    #[test]
    fn an_open_quote_ends_what_is_held() {
        let mut format = delimited(Dialect::Csv, Layout::Wide);
        let [record, _] = records();
        let whole = written(&mut format, &[record.clone(), record]);
        let open = whole.clone() + "\"" + &"a line\n".repeat(100_000);
        assert_eq!(held(&format, &open), held(&format, &whole));
    }

    #[test]
    fn missing_numbers_are_empty_and_groups_have_columns() {
        let grouped = |layout| {
            let settings = bare_settings();
            Delimited::new(Dialect::Csv, &Settings { layout, ..settings })
        };
        assert_eq!(
            written(&mut grouped(Layout::Long), &bare_records()),
            "path,rank,label,probability,logit,cosine,group,group_probability,error,fields\n\
             a.jpg,1,\"two\nlines\",,,0.25,\"=a, b\",0.75,,\"{\"\"n\"\":1}\"\n\
             a.jpg,2,none of these,,,,,,,\"{\"\"n\"\":1}\"\n\
             b.jpg,,,,,,,,,\n"
        );
        assert_eq!(
            written(&mut grouped(Layout::Wide), &bare_records()),
            "path,\"two\nlines\",\"a \"\"cat\"\", lying\",\"group:=a, b\",error,fields\n\
             a.jpg,0.25,,0.75,,\"{\"\"n\"\":1}\"\n\
             b.jpg,,,,,\n"
        );
    }

    #[test]
    fn an_image_without_labels_is_held_and_has_not_failed() {
        for layout in [Layout::Long, Layout::Wide] {
            let mut format = delimited(Dialect::Csv, layout);
            let [_, empty] = bare_records();
            let [_, failed] = records();
            let whole = written(&mut format, &[empty, failed.clone(), failed]);
            let failures: Vec<bool> = held(&format, &whole).iter().map(|held| held.failed).collect();
            assert_eq!(failures, [false, true]);
        }
    }
}
