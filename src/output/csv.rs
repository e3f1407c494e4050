//! CSV and TSV: a row for each label of a picture, or a row for each picture with a column for each label.
//!
//! CSV is that of RFC 4180 with `\n`. TSV has no quotes: a tab, a line's end and a backslash in a value are `\t`, `\n`,
//! `\r` and `\\` (the IANA registration of text/tab-separated-values leaves them out altogether). A number that a score
//! doesn't have is empty, never NaN. Where labels are grouped, a label's row has its group and that group's sum; the wide
//! layout has a column `group:NAME` for each group behind those of the labels. Both can be continued.

use std::io::{self, BufRead, Write};

use super::resume::{self, Held, HeldRecords};
use super::{Fields, Format, FormatInfo, Holds, Labelled, Layout, Record, Settings};
use crate::files::Excerpt;

pub(super) const CSV: FormatInfo = FormatInfo {
    name: "csv",
    about: "a row for each label, its rank first; `--wide`: a row for each picture",
    holds: &[Holds::Labels, Holds::Wide, Holds::Continuable],
    make: |settings| Ok(Box::new(Rows::new(Dialect::Csv, settings))),
    wrote: |file| has_our_header(file, b','),
};

pub(super) const TSV: FormatInfo = FormatInfo {
    name: "tsv",
    about: "as csv, with tabs; a tab or a line's end in a value is written `\\t` or `\\n`",
    holds: &[Holds::Labels, Holds::Wide, Holds::Continuable],
    make: |settings| Ok(Box::new(Rows::new(Dialect::Tsv, settings))),
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

/// Rows and columns.
struct Rows {
    dialect: Dialect,
    layout: Layout,
    fields: Fields,
    /// The run's labels: the columns of the wide layout.
    labels: Vec<String>,
    /// The run's groups; empty where there are none.
    groups: Vec<String>,
}

impl Rows {
    fn new(dialect: Dialect, settings: &Settings) -> Self {
        Rows {
            dialect,
            layout: settings.layout,
            fields: settings.fields,
            labels: settings.labels.clone(),
            groups: settings.groups.clone(),
        }
    }

    fn header(&self) -> Vec<String> {
        let mut columns = vec!["path".to_owned()];
        match self.layout {
            Layout::Long => {
                columns.extend(["rank", "label", "probability", "logit", "cosine"].map(Into::into));
                if !self.groups.is_empty() {
                    columns.extend(["group", "group_probability"].map(Into::into));
                }
            }
            Layout::Wide => {
                columns.extend(self.labels.iter().cloned());
                columns.extend(self.groups.iter().map(|group| format!("group:{group}")));
            }
        }
        columns.push("error".into());
        if self.fields == Fields::Carried {
            columns.push("fields".into());
        }
        columns
    }

    /// Where a row says why its picture failed.
    fn error_column(&self) -> usize {
        self.header().len() - 1 - usize::from(self.fields == Fields::Carried)
    }

    /// What stands behind the labels in each row of a record.
    fn last_columns(&self, record: &Record) -> Vec<String> {
        let mut columns = vec![record.outcome.failure().unwrap_or_default().to_owned()];
        if self.fields == Fields::Carried {
            let carried: serde_json::Map<_, _> = record.carried().map(|(k, v)| (k.clone(), v.clone())).collect();
            let is_empty = carried.is_empty();
            columns.push(if is_empty {
                String::new()
            } else {
                serde_json::Value::Object(carried).to_string()
            });
        }
        columns
    }

    fn long_row(&self, record: &Record, rank: usize, label: Option<&Labelled>) -> Vec<String> {
        let mut row = vec![record.subject.to_string()];
        row.push(label.map_or_else(String::new, |_| (rank + 1).to_string()));
        row.push(label.map_or_else(String::new, |label| label.label.clone()));
        row.push(number(label.and_then(|label| label.probability)));
        row.push(number(label.and_then(|label| label.logit)));
        row.push(number(label.and_then(|label| label.cosine)));
        if !self.groups.is_empty() {
            let group = label.and_then(|label| label.group.as_ref());
            let sum = group.and_then(|group| sum_of(record, group));
            row.push(group.cloned().unwrap_or_default());
            row.push(number(sum));
        }
        row.extend(self.last_columns(record));
        row
    }

    fn wide_row(&self, record: &Record) -> Vec<String> {
        let found = record.outcome.labels();
        let score = |label: &String| {
            let labelled = found.iter().find(|labelled| labelled.label == *label);
            number(labelled.and_then(Labelled::score))
        };
        let mut row = vec![record.subject.to_string()];
        row.extend(self.labels.iter().map(score));
        row.extend(self.groups.iter().map(|group| number(sum_of(record, group))));
        row.extend(self.last_columns(record));
        row
    }

    fn encoded(&self, row: &[String]) -> String {
        let (separator, encode): (&str, fn(&str) -> String) = match self.dialect {
            Dialect::Csv => (",", quoted),
            Dialect::Tsv => ("\t", escaped),
        };
        let values: Vec<String> = row.iter().map(|value| encode(value)).collect();
        values.join(separator) + "\n"
    }

    /// The record that a row begins; none where it is a further label of the record before.
    fn beginning(&self, row: &str, end: u64) -> Option<Held> {
        let start = end - row.len() as u64;
        let row = row.trim_end_matches('\n');
        let mut values = match self.dialect {
            Dialect::Csv => values_of_csv(row),
            Dialect::Tsv => row.split('\t').map(unescaped).collect(),
        };
        let value = |column: usize| values.get(column).map_or("", String::as_str);
        // A picture without labels has no rank.
        let begins = self.layout == Layout::Wide || matches!(value(1), "1" | "");
        let failed = !value(self.error_column()).is_empty();
        begins.then(|| Held {
            name: Some(values.swap_remove(0)),
            start,
            end,
            failed,
        })
    }
}

/// A number as f32 has it, or nothing.
fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| (value as f32).to_string())
}

/// What a group sums up to in a record.
fn sum_of(record: &Record, group: &str) -> Option<f64> {
    let groups = record.outcome.groups();
    groups
        .iter()
        .find(|other| other.group == group)
        .map(|other| other.probability)
}

impl Format for Rows {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.encoded(&self.header()).as_bytes())
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        if self.layout == Layout::Wide {
            return out.write_all(self.encoded(&self.wide_row(record)).as_bytes());
        }
        let labels = record.outcome.labels();
        if labels.is_empty() {
            return out.write_all(self.encoded(&self.long_row(record, 0, None)).as_bytes());
        }
        let rows = labels.iter().enumerate();
        rows.map(|(rank, label)| self.encoded(&self.long_row(record, rank, Some(label))))
            .try_for_each(|row| out.write_all(row.as_bytes()))
    }

    fn held(&self, file: Box<dyn BufRead>) -> Option<HeldRecords> {
        let reader = Rows {
            labels: self.labels.clone(),
            groups: self.groups.clone(),
            ..*self
        };
        Some(Box::new(HeldRows {
            rows: match self.dialect {
                Dialect::Csv => quoted_lines(file),
                Dialect::Tsv => resume::whole_lines(file),
            },
            reader,
            header_is_read: false,
            last: None,
        }))
    }
}

/// Groups rows to records. The last record's rows may not all be there, so that it is never held: a record counts once
/// another begins behind it.
struct HeldRows {
    rows: Box<dyn Iterator<Item = io::Result<(String, u64)>>>,
    reader: Rows,
    header_is_read: bool,
    last: Option<Held>,
}

impl Iterator for HeldRows {
    type Item = io::Result<Held>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (row, end) = match self.rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            if !self.header_is_read {
                if row != self.reader.encoded(&self.reader.header()) {
                    return Some(Err(io::Error::other("its columns are others")));
                }
                self.header_is_read = true;
                continue;
            }
            match (self.reader.beginning(&row, end), &mut self.last) {
                (Some(record), last) => {
                    if let Some(before) = last.replace(record) {
                        return Some(Ok(before));
                    }
                }
                (None, Some(last)) => last.end = end,
                (None, None) => return Some(Err(io::Error::other("it begins in the middle of a picture's labels"))),
            }
        }
    }
}

/// A CSV file's rows with their ends: a line's end within quotes belongs to a value.
fn quoted_lines(file: Box<dyn BufRead>) -> Box<dyn Iterator<Item = io::Result<(String, u64)>>> {
    let mut lines = resume::whole_lines(file);
    Box::new(std::iter::from_fn(move || {
        let mut row = String::new();
        loop {
            match lines.next()? {
                Ok((line, end)) => {
                    row += &line;
                    if row.matches('"').count().is_multiple_of(2) {
                        return Some(Ok((row, end)));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }))
}

fn quoted(value: &str) -> String {
    if value.contains(['"', ',', '\n', '\r']) || value.trim() != value {
        return format!("\"{}\"", value.replace('"', "\"\""));
    }
    value.to_owned()
}

/// The values of a CSV row.
fn values_of_csv(row: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut within_quotes = false;
    let mut characters = row.chars().peekable();
    while let Some(c) = characters.next() {
        let last = values.len() - 1;
        match c {
            '"' if within_quotes && characters.next_if_eq(&'"').is_some() => values[last].push('"'),
            '"' => within_quotes = !within_quotes,
            ',' if !within_quotes => values.push(String::new()),
            other => values[last].push(other),
        }
    }
    values
}

/// A value on one line without tabs.
pub(super) fn escaped(value: &str) -> String {
    if !value.contains(['\\', '\t', '\n', '\r']) {
        return value.to_owned();
    }
    let escape = |c: char| match c {
        '\\' => "\\\\".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        other => other.to_string(),
    };
    value.chars().map(escape).collect()
}

fn unescaped(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        text.push(match (c, if c == '\\' { characters.next() } else { None }) {
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            (_, Some(other)) => other,
            (c, None) => c,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::specimen::{bare_records, bare_settings, held, records, settings, written};
    use super::*;

    fn rows(dialect: Dialect, layout: Layout) -> Rows {
        Rows::new(dialect, &Settings { layout, ..settings() })
    }

    #[test]
    fn csv_has_a_row_for_each_label_and_one_for_a_failure() {
        assert_eq!(
            written(&mut rows(Dialect::Csv, Layout::Long), &records()),
            "path,rank,label,probability,logit,cosine,error,fields\n\
             a.jpg,1,\"a \"\"cat\"\", lying\",0.75,20.5,0.25,,\"{\"\"n\"\":1}\"\n\
             a.jpg,2,\"two\nlines\",0.25,19.5,0.125,,\"{\"\"n\"\":1}\"\n\
             b.jpg,,,,,,no such file,\n"
        );
    }

    #[test]
    fn wide_rows_have_the_labels_in_their_order() {
        assert_eq!(
            written(&mut rows(Dialect::Tsv, Layout::Wide), &records()),
            "path\ttwo\\nlines\ta \"cat\", lying\terror\tfields\n\
             a.jpg\t0.25\t0.75\t\t{\"n\":1}\n\
             b.jpg\t\t\tno such file\t\n"
        );
    }

    #[test]
    fn a_record_is_held_once_another_begins_behind_it() {
        for dialect in [Dialect::Csv, Dialect::Tsv] {
            for layout in [Layout::Long, Layout::Wide] {
                let mut format = rows(dialect, layout);
                let mut three = records().to_vec();
                three.push(three[0].clone());
                let whole = written(&mut format, &three);
                for cut in 0..=whole.len() {
                    if !whole.is_char_boundary(cut) {
                        continue;
                    }
                    let held = held(&format, &whole[..cut]);
                    let end = held.last().map_or(0, |held| held.end as usize);
                    let redone = written(&mut format, &three[held.len()..]);
                    let header = format.encoded(&format.header());
                    let body = &redone[header.len()..];
                    let start = if held.is_empty() { &header[..] } else { &whole[..end] };
                    assert_eq!(format!("{start}{body}"), whole, "{dialect:?} {layout:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn names_survive_quoting_and_escaping() {
        for name in ["plain", "a,\"b\"\nc", "tab\tand \\ back\\n", ""] {
            assert_eq!(unescaped(&escaped(name)), name);
            assert_eq!(values_of_csv(&format!("{},1,", quoted(name))), [name, "1", ""]);
        }
    }

    #[test]
    fn what_a_score_does_not_have_is_empty_and_groups_have_columns() {
        let rows = |layout| {
            Rows::new(
                Dialect::Csv,
                &Settings {
                    layout,
                    ..bare_settings()
                },
            )
        };
        assert_eq!(
            written(&mut rows(Layout::Long), &bare_records()),
            "path,rank,label,probability,logit,cosine,group,group_probability,error,fields\n\
             a.jpg,1,\"two\nlines\",,,0.25,\"=a, b\",0.75,,\"{\"\"n\"\":1}\"\n\
             a.jpg,2,none of these,,,,,,,\"{\"\"n\"\":1}\"\n\
             b.jpg,,,,,,,,,\n"
        );
        assert_eq!(
            written(&mut rows(Layout::Wide), &bare_records()),
            "path,\"two\nlines\",\"a \"\"cat\"\", lying\",\"group:=a, b\",error,fields\n\
             a.jpg,0.25,,0.75,,\"{\"\"n\"\":1}\"\n\
             b.jpg,,,,,\n"
        );
    }

    #[test]
    fn a_picture_without_labels_is_held_and_has_not_failed() {
        for layout in [Layout::Long, Layout::Wide] {
            let mut format = rows(Dialect::Csv, layout);
            let [_, empty] = bare_records();
            let [_, failed] = records();
            let whole = written(&mut format, &[empty, failed.clone(), failed]);
            let failures: Vec<bool> = held(&format, &whole).iter().map(|held| held.failed).collect();
            assert_eq!(failures, [false, true]);
        }
    }
}
