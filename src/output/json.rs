//! JSON: one array of records, or one record per line (NDJSON), which can be resumed.

use std::io::{self, BufRead, Write};

use serde_json::Value;

use super::record::name_in_json;
use super::resume::{Held, HeldRecords, complete_lines};
use super::{Format, FormatInfo, Holds, Outcome, Record};
use crate::json_fields::JsonFields;

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "json",
    about: "one array of records",
    holds: &[Holds::Labels, Holds::LabelsWithVectors, Holds::Vectors, Holds::Searches],
    make: |_| Ok(Box::new(Json::default())),
    wrote: |file| match file.start.strip_prefix(b"[\n") {
        Some(rest) => rest.starts_with(b"]") || begins_with_a_record(rest),
        None => false,
    },
};

pub(super) const NDJSON: FormatInfo = FormatInfo {
    name: "ndjson",
    about: "one record per line, errors included",
    holds: &[
        Holds::Labels,
        Holds::LabelsWithVectors,
        Holds::Vectors,
        Holds::Searches,
        Holds::Continuable,
    ],
    make: |_| Ok(Box::new(Ndjson)),
    wrote: |file| begins_with_a_record(&file.start),
};

/// Whether bytes begin with a line that is a record of results, or with a part of one that a killed run left.
fn begins_with_a_record(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_cut = line.len() == bytes.len();
    match serde_json::from_slice::<Value>(line.strip_suffix(b",").unwrap_or(line)) {
        Ok(record) => is_of_results(&record),
        Err(_) => {
            let begins = |start: &[u8]| line.starts_with(start) || start.starts_with(line);
            is_cut
                && ["{\"path\":", "{\"id\":", "{\"text\":", "{\"query\":"]
                    .iter()
                    .any(|start| begins(start.as_bytes()))
        }
    }
}

/// Whether a record has fields that this program adds to a record of the input.
fn is_of_results(record: &Value) -> bool {
    let labels = record.get("labels").and_then(Value::as_array);
    labels.is_some_and(|labels| labels.iter().all(Value::is_object))
        || record.get("embedding").is_some_and(Value::is_array)
        || record.get("error").is_some_and(Value::is_string)
        || (record.get("query").is_some() && record.get("rank").is_some())
}

/// One array with one record per line.
#[derive(Debug, Default)]
pub struct Json {
    n_written: usize,
}

impl Format for Json {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"[")
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        objects(record)?.iter().try_for_each(|object| {
            out.write_all(if self.n_written == 0 { b"\n" } else { b",\n" })?;
            self.n_written += 1;
            out.write_all(object)
        })
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"\n]\n")
    }
}

/// One record per line.
#[derive(Debug, Default)]
pub struct Ndjson;

impl Format for Ndjson {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        objects(record)?.into_iter().try_for_each(|mut line| {
            line.push(b'\n');
            out.write_all(&line)
        })
    }

    fn held(&self, file: Box<dyn BufRead>) -> Option<HeldRecords> {
        Some(Box::new(complete_lines(file).map(|line| {
            let (line, end) = line?;
            let record = JsonFields::parse(line.as_bytes()).map_err(io::Error::other)?;
            let name = name_in_json(&record).ok_or_else(|| io::Error::other("it has no `path`"))?;
            Ok(Held {
                name: Some(name),
                start: end - line.len() as u64,
                end,
                failed: record.get("error").is_some(),
            })
        })))
    }
}

/// The object of a record; of a search, one per image that it found.
fn objects(record: &Record) -> io::Result<Vec<Vec<u8>>> {
    match &record.outcome {
        Outcome::Found(found) => found.iter().map(|found| Ok(serde_json::to_vec(found)?)).collect(),
        Outcome::Labels { .. } | Outcome::Embedding(_) | Outcome::Failed(_) => Ok(vec![record.json()?]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::specimen::{held, records, written};
    use super::*;

    #[test]
    fn ndjson_has_one_line_per_record_or_error() {
        assert_eq!(
            written(&mut Ndjson, &records()),
            "{\"path\":\"a.jpg\",\"n\":1,\"labels\":[{\"label\":\"a \\\"cat\\\", lying\",\"probability\":0.75,\"logit\":20.5,\"cosine\":0.25},\
             {\"label\":\"two\\nlines\",\"probability\":0.25,\"logit\":19.5,\"cosine\":0.125}]}\n\
             {\"path\":\"b.jpg\",\"error\":\"no such file\"}\n"
        );
    }

    #[test]
    fn json_is_an_array_even_without_records() {
        let parsed: Value = serde_json::from_str(&written(&mut Json::default(), &records())).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 2);
        assert_eq!(written(&mut Json::default(), &[]), "[\n]\n");
    }

    #[test]
    fn a_last_line_without_its_end_is_not_held() {
        let whole = written(&mut Ndjson, &records());
        let names = |text: &str| -> Vec<String> {
            let records = held(&Ndjson, text).into_iter();
            records.map(|held| held.name.unwrap()).collect()
        };
        assert_eq!(names(&whole), ["a.jpg", "b.jpg"]);
        assert_eq!(names(&whole[..whole.len() - 1]), ["a.jpg"]);
        assert_eq!(names(&whole[..10]), [""; 0]);
    }
}
