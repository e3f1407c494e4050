//! JSON: one array of records, or one record a line (NDJSON).

use std::io::{self, Write};

use super::{Format, Record};

/// One array, a record a line inside it.
#[derive(Debug, Default)]
pub struct Json {
    n_written: usize,
}

impl Format for Json {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"[")
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.n_written == 0 { b"\n" } else { b",\n" })?;
        self.n_written += 1;
        serde_json::to_writer(out, record).map_err(io::Error::from)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"\n]\n")
    }
}

/// One record a line.
#[derive(Debug, Default)]
pub struct Ndjson;

impl Format for Ndjson {
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        out.write_all(&line) // one write a line, so that a reader never sees half of one
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Labelled, Outcome};
    use super::*;

    fn written(format: &mut dyn Format, records: &[Record]) -> String {
        let mut out = Vec::new();
        format.begin(&mut out).unwrap();
        records
            .iter()
            .for_each(|record| format.record(record, &mut out).unwrap());
        format.end(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn records() -> [Record; 2] {
        let labelled = Labelled {
            label: "a \"cat\", lying".into(),
            probability: 0.75,
            logit: 20.5,
            cosine: 0.25,
        };
        [
            Record {
                path: "a.jpg".into(),
                outcome: Outcome::Labels(vec![labelled]),
            },
            Record {
                path: "b.jpg".into(),
                outcome: Outcome::Failed("no such file".into()),
            },
        ]
    }

    #[test]
    fn ndjson_is_one_record_a_line_with_errors_in_band() {
        assert_eq!(
            written(&mut Ndjson, &records()),
            "{\"path\":\"a.jpg\",\"labels\":[{\"label\":\"a \\\"cat\\\", lying\",\"probability\":0.75,\"logit\":20.5,\"cosine\":0.25}]}\n\
             {\"path\":\"b.jpg\",\"error\":\"no such file\"}\n"
        );
    }

    #[test]
    fn json_is_one_array_also_when_empty() {
        let parsed: serde_json::Value = serde_json::from_str(&written(&mut Json::default(), &records())).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 2);
        assert_eq!(written(&mut Json::default(), &[]), "[\n]\n");
    }
}
