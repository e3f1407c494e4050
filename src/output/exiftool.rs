//! JSON that `exiftool -json=FILE PHOTOS` reads: an object per image with its labels as keywords, for programs that read
//! them from the image itself. Images are never written by this program.
//!
//! The names are those of ExifTool's tags, with the group before the colon. Paths of hierarchical keywords have `|` between
//! their parts as Lightroom writes them, and `/` in digiKam's list. ExifTool skips `Error`.

use std::io::{self, Write};

use serde::Serialize;

use super::{Format, FormatInfo, Holds, Labelled, Record};
use crate::sidecar::{TagPath, keywords};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "exiftool",
    about: "JSON for `exiftool -json=FILE`, which writes labels into images as keywords",
    holds: &[Holds::Labels],
    make: |_| Ok(Box::new(ExifTool::default())),
    wrote: |file| {
        file.start.starts_with(START)
            && [&b"]\n"[..], b"{\"SourceFile\":"]
                .iter()
                .any(|next| file.start[START.len()..].starts_with(next))
    },
};

const START: &[u8] = b"[\n";

/// One array with one object per line.
#[derive(Debug, Default)]
struct ExifTool {
    n_written: usize,
}

#[derive(Serialize)]
struct Keywords<'a> {
    #[serde(rename = "SourceFile")]
    file: String,
    #[serde(rename = "XMP-dc:Subject", skip_serializing_if = "Vec::is_empty")]
    subject: Vec<String>,
    #[serde(rename = "XMP-lr:HierarchicalSubject", skip_serializing_if = "Vec::is_empty")]
    hierarchical: Vec<String>,
    #[serde(rename = "XMP-digiKam:TagsList", skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(rename = "Error", skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Format for ExifTool {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(START)
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let paths: Vec<TagPath> = record.outcome.labels().iter().map(Labelled::path).collect();
        let [subject, hierarchical, tags] = keywords(&paths);
        let keywords = Keywords {
            file: record.subject.to_string(),
            subject,
            hierarchical,
            tags,
            error: record.outcome.failure(),
        };
        if self.n_written > 0 {
            out.write_all(b",\n")?;
        }
        self.n_written += 1;
        out.write_all(&serde_json::to_vec(&keywords)?)
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(if self.n_written > 0 { b"\n]\n" } else { b"]\n" })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::super::specimen::{records, written};
    use super::*;

    #[test]
    fn labels_are_keywords_and_paths() {
        let mut records = records();
        let Outcome::Labels { labels, .. } = &mut records[0].outcome else {
            panic!("the first specimen has labels");
        };
        labels[0].parents = vec!["animal".into(), "a/b".into()];
        labels[1].label = "animal".into();
        assert_eq!(
            written(&mut ExifTool::default(), &records),
            "[\n{\"SourceFile\":\"a.jpg\",\"XMP-dc:Subject\":[\"a \\\"cat\\\", lying\",\"animal\"],\
             \"XMP-lr:HierarchicalSubject\":[\"animal|a/b|a \\\"cat\\\", lying\"],\
             \"XMP-digiKam:TagsList\":[\"animal/a-b/a \\\"cat\\\", lying\"]},\n\
             {\"SourceFile\":\"b.jpg\",\"Error\":\"no such file\"}\n]\n"
        );
        assert_eq!(written(&mut ExifTool::default(), &[]), "[\n]\n");
    }
}
