//! Labels as a table, `label,prompt,group`. The first row names the columns, in any order; only `label` is required.
//!
//! The group column may have another name. A label with several prompts has one row per prompt. An empty prompt or
//! group counts as missing. Quotes work as in CSV (RFC 4180), also with tabs.

use std::collections::{HashMap, HashSet};

use super::{FilePosition, GROUP, bad};
use crate::error::{Error, Result};
use crate::labels::Label;
use crate::plain_text;

/// The character between two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimiter {
    Comma,
    Tab,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Label,
    Prompt,
    Group,
    /// A column `group`, if another column was requested for groups.
    OtherGroup,
}

const HINT: &str = "the first row names the columns: `label,prompt,group`; `label` is required";

/// The labels in the order of their first rows; `None` for a blank row.
pub(super) fn parse(name: &str, text: &str, delimiter: Delimiter, group_column: &str) -> Result<Vec<Option<Label>>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if delimiter == Delimiter::Tab { b'\t' } else { b',' })
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<Column>> = None;
    let mut merged = MergedRows::default();
    let mut record = csv::StringRecord::new();
    let mut lines = plain_text::LineCount::new(text.as_bytes());
    while reader
        .read_record(&mut record)
        .map_err(|error| unreadable(name, &error))?
    {
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let line = lines.of_row(start);
        check_quotes(name, line, &text[start..reader.position().byte() as usize], &record)?;
        match &columns {
            None => columns = Some(header(name, line, &record, group_column)?),
            Some(columns) => {
                merged.add_blank(lines.n_blank_before_row());
                match record.iter().all(str::is_empty) {
                    true => merged.add_blank(1),
                    false => merged.add(row(name, line, columns, &record)?),
                }
            }
        }
    }
    Ok(merged.labels)
}

fn unreadable(name: &str, error: &csv::Error) -> Error {
    Error::usage(format!("`{name}` cannot be read as a table: {error}"), HINT)
}

/// Reports a quote that is never closed, which swallows all following lines.
fn check_quotes(name: &str, line: usize, raw: &str, record: &csv::StringRecord) -> Result<()> {
    let multiline = record.iter().position(|field| field.contains(['\n', '\r']));
    match multiline {
        Some(column) if raw.matches('"').count() % 2 == 1 => {
            let position = FilePosition {
                line,
                column: column + 1,
            };
            Err(bad(
                name,
                position,
                "the quote that opens here is never closed",
                "close it, or write `\"\"` for a literal quote inside quotes",
            ))
        }
        _ => Ok(()),
    }
}

fn header(name: &str, line: usize, record: &csv::StringRecord, group_column: &str) -> Result<Vec<Column>> {
    let group_column = group_column.to_lowercase();
    let mut columns = Vec::new();
    for (i, field) in record.iter().enumerate() {
        let position = FilePosition { line, column: i + 1 };
        let column = match field.to_lowercase().as_str() {
            "label" => Column::Label,
            "prompt" => Column::Prompt,
            column if column == group_column => Column::Group,
            GROUP => Column::OtherGroup,
            _ => return Err(bad(name, position, &format!("unknown column `{field}`"), HINT)),
        };
        if columns.contains(&column) {
            return Err(bad(name, position, &format!("column `{field}` appears twice"), HINT));
        }
        columns.push(column);
    }
    let missing = |column: &str| {
        bad(
            name,
            FilePosition { line, column: 1 },
            &format!("column `{column}` is missing"),
            HINT,
        )
    };
    if !columns.contains(&Column::Label) {
        return Err(missing("label"));
    }
    if group_column != GROUP && !columns.contains(&Column::Group) {
        return Err(missing(&group_column));
    }
    Ok(columns)
}

fn row(name: &str, line: usize, columns: &[Column], record: &csv::StringRecord) -> Result<Label> {
    if record.len() > columns.len() {
        let position = FilePosition {
            line,
            column: columns.len() + 1,
        };
        let problem = format!("{} fields; the first row names {} columns", record.len(), columns.len());
        return Err(bad(
            name,
            position,
            &problem,
            "put quotes around a text with a comma: `\"a cat, asleep\"`",
        ));
    }
    let field = |wanted| {
        let position = columns.iter().position(|column| *column == wanted);
        position
            .and_then(|position| record.get(position))
            .filter(|text| !text.is_empty())
    };
    let Some(label) = field(Column::Label) else {
        let column = 1 + columns.iter().position(|column| *column == Column::Label).unwrap_or(0);
        return Err(bad(
            name,
            FilePosition { line, column },
            "the label is empty",
            "fill it in, or remove the row",
        ));
    };
    Ok(Label {
        name: label.to_owned(),
        prompts: field(Column::Prompt).map(str::to_owned).into_iter().collect(),
        group: field(Column::Group).map(str::to_owned),
    })
}

/// Labels whose rows have been merged.
#[derive(Default)]
struct MergedRows {
    labels: Vec<Option<Label>>,
    indices: HashMap<String, usize>,
    /// The prompts of each label that has several rows, by its index.
    prompts: HashMap<usize, HashSet<String>>,
}

impl MergedRows {
    fn add_blank(&mut self, n_rows: usize) {
        self.labels.extend(std::iter::repeat_n(None, n_rows));
    }

    /// Adds a row. A new prompt of a known label is added to that label. A row without anything new is kept as a
    /// duplicate label, so that the list can report it.
    fn add(&mut self, row: Label) {
        if let Some(&position) = self.indices.get(&row.name)
            && let Some(known) = &mut self.labels[position]
        {
            let prompts = self.prompts.entry(position);
            let prompts = prompts.or_insert_with(|| known.prompts.iter().cloned().collect());
            let same_group = row.group.is_none() || row.group == known.group;
            if same_group
                && let [prompt] = row.prompts.as_slice()
                && prompts.insert(prompt.clone())
            {
                known.prompts.extend(row.prompts);
                return;
            }
        } else {
            self.indices.insert(row.name.clone(), self.labels.len());
        }
        self.labels.push(Some(row));
    }
}
