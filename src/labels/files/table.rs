//! Labels as a table, `label,prompt,group`: the first row names the columns, in any order; only `label` must be there.
//!
//! The groups' column may have another name. A label with several prompts has a row for each. An empty prompt or group counts as none. Quotes are those of CSV
//! (RFC 4180), with tabs as with commas.

use std::collections::HashMap;

use super::{GROUP, Place, bad};
use crate::error::{Error, Result};
use crate::labels::Label;

/// What stands between two fields.
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
    /// `group`, where another column is asked for.
    OtherGroup,
}

const HINT: &str = "the first row names the columns: `label,prompt,group`, of which `label` must be there";

pub(super) fn parse(name: &str, text: &str, delimiter: Delimiter, group_column: &str) -> Result<Vec<Label>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if delimiter == Delimiter::Tab { b'\t' } else { b',' })
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<Column>> = None;
    let mut rows = Rows::default();
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| unreadable(name, &error))?
    {
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let line = line_of(text, start);
        check_quotes(name, line, &text[start..reader.position().byte() as usize], &record)?;
        match &columns {
            None => columns = Some(header(name, line, &record, group_column)?),
            Some(_) if record.iter().all(str::is_empty) => {}
            Some(columns) => rows.add(row(name, line, columns, &record)?),
        }
    }
    Ok(rows.labels)
}

/// The line of the first character at or behind `start` that is not an end of line: blank lines belong to no record.
fn line_of(text: &str, start: usize) -> usize {
    let blank = text[start..].len() - text[start..].trim_start_matches(['\r', '\n']).len();
    text[..start + blank].matches('\n').count() + 1
}

fn unreadable(name: &str, error: &csv::Error) -> Error {
    Error::usage(format!("`{name}` is not a table of text: {error}"), HINT)
}

/// A quote that is never closed swallows all lines behind it.
fn check_quotes(name: &str, line: usize, raw: &str, record: &csv::StringRecord) -> Result<()> {
    let swallowing = record.iter().position(|field| field.contains('\n'));
    match swallowing {
        Some(column) if raw.matches('"').count() % 2 == 1 => {
            let place = Place {
                line,
                column: column + 1,
            };
            Err(bad(
                name,
                place,
                "the quote that opens here is never closed",
                "close it, or write a quote that is meant as `\"\"` inside of quotes",
            ))
        }
        _ => Ok(()),
    }
}

fn header(name: &str, line: usize, record: &csv::StringRecord, group_column: &str) -> Result<Vec<Column>> {
    let group_column = group_column.to_lowercase();
    let mut columns = Vec::new();
    for (i, field) in record.iter().enumerate() {
        let place = Place { line, column: i + 1 };
        let column = match field.to_lowercase().as_str() {
            "label" => Column::Label,
            "prompt" => Column::Prompt,
            column if column == group_column => Column::Group,
            GROUP => Column::OtherGroup,
            _ => return Err(bad(name, place, &format!("unknown column `{field}`"), HINT)),
        };
        if columns.contains(&column) {
            return Err(bad(name, place, &format!("column `{field}` is there twice"), HINT));
        }
        columns.push(column);
    }
    let missing = |column: &str| {
        bad(
            name,
            Place { line, column: 1 },
            &format!("there is no column `{column}`"),
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
        let place = Place {
            line,
            column: columns.len() + 1,
        };
        let problem = format!("{} fields; the first row names {} columns", record.len(), columns.len());
        return Err(bad(
            name,
            place,
            &problem,
            "put quotes around a text with a comma: `\"a cat, asleep\"`",
        ));
    }
    let field = |wanted| {
        let place = columns.iter().position(|column| *column == wanted);
        place
            .and_then(|place| record.get(place))
            .filter(|text| !text.is_empty())
    };
    let Some(label) = field(Column::Label) else {
        let column = 1 + columns.iter().position(|column| *column == Column::Label).unwrap_or(0);
        return Err(bad(
            name,
            Place { line, column },
            "the label is empty",
            "fill it in, or drop the row",
        ));
    };
    Ok(Label {
        name: label.to_owned(),
        prompts: field(Column::Prompt).map(str::to_owned).into_iter().collect(),
        group: field(Column::Group).map(str::to_owned),
    })
}

/// Rows of one label gathered into it.
#[derive(Default)]
struct Rows {
    labels: Vec<Label>,
    places: HashMap<String, usize>,
}

impl Rows {
    /// A row with a new prompt is more of its label; one that says nothing new stays, for the list to notice.
    fn add(&mut self, row: Label) {
        if let Some(&place) = self.places.get(&row.name) {
            let known = &mut self.labels[place];
            let same_group = row.group.is_none() || row.group == known.group;
            if same_group
                && let [prompt] = row.prompts.as_slice()
                && !known.prompts.contains(prompt)
            {
                known.prompts.extend(row.prompts);
                return;
            }
        } else {
            self.places.insert(row.name.clone(), self.labels.len());
        }
        self.labels.push(row);
    }
}
