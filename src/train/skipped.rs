//! `skipped.ndjson`: one line per sample that could not be used, with the reason.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::file;
use crate::error::{Error, Result};

/// The file of a run folder.
pub(super) const SKIPPED: &str = "skipped.ndjson";

/// The open file, and the samples that it lists.
pub(super) struct SkippedSamples {
    path: PathBuf,
    file: File,
    listed: BTreeSet<String>,
}

impl SkippedSamples {
    /// Opens the file of a folder; a resumed training appends to it.
    pub(super) fn open(folder: &Path, begin: Begin) -> Result<Self> {
        let path = folder.join(SKIPPED);
        let before = match begin {
            Begin::Anew => String::new(),
            // Without a file, nothing was skipped.
            Begin::Resumed => std::fs::read_to_string(&path).unwrap_or_default(),
        };
        let mut whole = String::new();
        let mut listed = BTreeSet::new();
        for line in before.lines() {
            let Ok(record) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            if let Some(sample) = record.get("sample").and_then(Value::as_str) {
                listed.insert(sample.to_owned());
                whole.push_str(line);
                whole.push('\n');
            }
        }
        file::write_whole(&path, whole.as_bytes())?;
        match OpenOptions::new().append(true).open(&path) {
            Ok(file) => Ok(SkippedSamples { path, file, listed }),
            Err(source) => Err(Error::write(&path)(source)),
        }
    }

    /// Lists a sample unless it is listed already; returns whether it is new.
    pub(super) fn add(&mut self, sample: &str, error: &Error) -> Result<bool> {
        if !self.listed.insert(sample.to_owned()) {
            return Ok(false);
        }
        let line = format!("{}\n", json!({ "sample": sample, "error": error.to_string() }));
        let written = self.file.write_all(line.as_bytes());
        written.map_err(Error::write(&self.path))?;
        Ok(true)
    }

    /// How many samples are listed.
    pub(super) fn len(&self) -> u64 {
        self.listed.len() as u64
    }
}

/// Whether a training begins or is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Anew,
    Resumed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_is_listed_once_also_if_the_training_is_resumed() {
        let dir = tempfile::tempdir().unwrap();
        let error = |problem: &str| Error::usage(problem, "");
        let mut skipped = SkippedSamples::open(dir.path(), Begin::Anew).unwrap();
        assert!(skipped.add("a.ndjson line 3", &error("no picture")).unwrap());
        assert!(!skipped.add("a.ndjson line 3", &error("no picture")).unwrap());
        drop(skipped);
        let path = dir.path().join(SKIPPED);
        let mut cut = std::fs::read_to_string(&path).unwrap();
        cut.push_str("{\"sample\": \"half a li");
        std::fs::write(&path, cut).unwrap();
        let mut again = SkippedSamples::open(dir.path(), Begin::Resumed).unwrap();
        assert!(!again.add("a.ndjson line 3", &error("no picture")).unwrap());
        assert!(again.add("b", &error("no caption")).unwrap());
        assert_eq!(again.len(), 2);
        let lines = std::fs::read_to_string(&path).unwrap();
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(
            lines.ends_with("{\"error\":\"no caption\",\"sample\":\"b\"}\n"),
            "{lines}"
        );
    }
}
