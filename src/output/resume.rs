//! Resuming: the complete records in the file of an interrupted run, and the position after the last of them.
//!
//! The file is its own journal: nothing else has to survive a `kill -9`. A format lists the records of a file
//! ([`Format::held`](super::Format::held)); [`Progress`] compares their names with those of the inputs.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::Path;

use super::Format;
use crate::error::{Error, Result};

/// A complete record in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The path or id of its input; `None` if the format doesn't show it.
    pub name: Option<String>,
    /// Its first byte in the file.
    pub start: u64,
    /// The byte after its last.
    pub end: u64,
    /// Whether it is a failure; false if the format doesn't show it.
    pub failed: bool,
}

/// The complete records of a file, read lazily and in order.
pub type HeldRecords = Box<dyn Iterator<Item = io::Result<Held>>>;

/// How far an interrupted run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Complete records.
    pub n_records: u64,
    /// How many of them are failures.
    pub n_failed: u64,
    /// Where the last of them ends, in bytes.
    pub end: u64,
}

impl Progress {
    /// Compares a file's records with the inputs. `name_of` returns the name of the input that a record should be about,
    /// `None` after the last input; it is called once per record, in order.
    ///
    /// # Errors
    /// [`Error::Usage`] if the records are of other inputs or of another format; [`Error::Read`] if the file can't be
    /// read.
    pub fn of_file(
        path: &Path,
        format: &dyn Format,
        mut name_of: impl FnMut(&Held) -> Option<String>,
    ) -> Result<Progress> {
        let failed = Error::read(path);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Progress::default()),
            Err(error) => return Err(failed(error)),
        };
        let Some(records) = format.held(Box::new(BufReader::new(file))) else {
            return Ok(Progress::default());
        };
        let mut progress = Progress::default();
        for record in records {
            let n = progress.n_records + 1;
            let held = record.map_err(|error| foreign(path, format!("record {n} can't be read: {error}")))?;
            match (&held.name, name_of(&held)) {
                (_, None) => {
                    return Err(foreign(
                        path,
                        format!("it has at least {n} records, but there are fewer inputs"),
                    ));
                }
                (Some(found), Some(expected)) if *found != format.name_as_written(&expected) => {
                    let problem = format!("record {n} is about `{found}`, but input {n} is `{expected}`");
                    return Err(foreign(path, problem));
                }
                _ => {}
            }
            progress.n_records = n;
            progress.n_failed += u64::from(held.failed);
            progress.end = held.end;
        }
        Ok(progress)
    }
}

fn foreign(path: &Path, problem: String) -> Error {
    Error::usage(
        format!("`{}` can't be resumed: {problem}", path.display()),
        "resume with the inputs and the format of the interrupted run, or write to another file",
    )
}

/// The lines of a file that end with a line break, each with its end in bytes.
pub(super) fn complete_lines(mut file: Box<dyn BufRead>) -> impl Iterator<Item = io::Result<(String, u64)>> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match file.read_until(b'\n', &mut line) {
            Ok(n) if line.ends_with(b"\n") => {
                end += n as u64;
                let line = String::from_utf8(line).map_err(|_| io::Error::other("it is not UTF-8"));
                Some(line.map(|line| (line, end)))
            }
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    })
}

/// As [`complete_lines`], without the lines themselves, which need not be UTF-8.
pub(super) fn line_ends(mut file: Box<dyn BufRead>, line_end: u8) -> impl Iterator<Item = io::Result<u64>> {
    let mut end = 0;
    let mut line = Vec::new();
    std::iter::from_fn(move || {
        line.clear();
        match file.read_until(line_end, &mut line) {
            Ok(n) if line.last() == Some(&line_end) => {
                end += n as u64;
                Some(Ok(end))
            }
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    })
}
