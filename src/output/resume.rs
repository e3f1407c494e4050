//! Resuming: which records an interrupted run's file holds whole, and where to go on behind them.
//!
//! A file that is continued is its own journal: nothing else has to survive a `kill -9`. Formats tell their records
//! ([`Format::held`](super::Format::held)); [`Progress`] holds them against the input, name by name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::path::Path;

use super::Format;
use crate::error::{Error, Result};

/// A record that a file holds whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What it is about; `None` where its format doesn't say.
    pub name: Option<String>,
    /// Where it begins, in bytes from the file's beginning.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Whether it is about a failure; false where its format doesn't say.
    pub failed: bool,
}

/// The records of a file, from the first on, read as they are asked for.
pub type HeldRecords = Box<dyn Iterator<Item = io::Result<Held>>>;

/// How far an interrupted run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records that are there.
    pub n_records: u64,
    /// Those among them that are failures.
    pub n_failed: u64,
    /// Where the last one ends.
    pub end: u64,
}

impl Progress {
    /// Holds a file's records against the input: `name_of` gives the name of the item that belongs to a record. It is
    /// asked once for each record, in order, and not beyond.
    ///
    /// # Errors
    /// [`Error::Usage`] where the file is no output of this run: another input, another format;
    /// [`Error::Read`] where it can't be read.
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
            let place = progress.n_records + 1;
            let held = record.map_err(|error| foreign(path, format!("record {place} can't be read: {error}")))?;
            let expected = name_of(&held);
            match (&held.name, &expected) {
                (_, None) => {
                    return Err(foreign(
                        path,
                        format!("it holds {place} records or more, the input fewer"),
                    ));
                }
                (Some(found), Some(expected)) if found != expected => {
                    let problem = format!("record {place} is about `{found}`, the input there is `{expected}`");
                    return Err(foreign(path, problem));
                }
                _ => {}
            }
            progress.n_records = place;
            progress.n_failed += u64::from(held.failed);
            progress.end = held.end;
        }
        Ok(progress)
    }
}

fn foreign(path: &Path, problem: String) -> Error {
    Error::usage(
        format!("`{}` can't be resumed: {problem}", path.display()),
        "resume with the inputs and the format of the interrupted run, or name another `--output`",
    )
}

/// The records of a format with a line each. What stands behind the last line's end is half a record and not held.
pub(super) fn lines(
    file: Box<dyn BufRead>,
    name: impl Fn(&[u8], &mut Held) -> io::Result<()> + 'static,
) -> HeldRecords {
    Box::new(whole_lines(file).map(move |line| {
        let (line, end) = line?;
        let mut held = Held {
            name: None,
            start: end - line.len() as u64,
            end,
            failed: false,
        };
        name(line.as_bytes(), &mut held)?;
        Ok(held)
    }))
}

/// A file's lines that have their end, each with the place behind it.
pub(super) fn whole_lines(mut file: Box<dyn BufRead>) -> Box<dyn Iterator<Item = io::Result<(String, u64)>>> {
    let mut end = 0;
    Box::new(std::iter::from_fn(move || {
        let mut line = Vec::new();
        match file.read_until(b'\n', &mut line) {
            Ok(_) if line.last() != Some(&b'\n') => None,
            Ok(n) => {
                end += n as u64;
                let text = String::from_utf8(line);
                Some(
                    text.map(|text| (text, end))
                        .map_err(|_| io::Error::other("it is no UTF-8")),
                )
            }
            Err(error) => Some(Err(error)),
        }
    }))
}
