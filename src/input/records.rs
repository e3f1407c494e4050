//! A file of records: a JSON object a line, or an array of them, each a picture with its captions.
//!
//! Read by training and by evaluations. The file is looked through once for where records begin and end, and each is
//! parsed when it is asked for, so that a million of captions take some megabytes. ShareGPT4V's own json has `image` and
//! `conversations`, of which the first answer is the caption, its line breaks made spaces (upstream `train/sharegpt4v.py`).

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The most bytes of a record: a caption has some thousands.
const LONGEST_BYTES: u64 = 16 << 20;

/// A record as it was parsed.
pub(crate) type Record = Map<String, Value>;

/// A file of records, and where each lies.
pub(crate) struct RecordFile {
    path: PathBuf,
    layout: Layout,
    places: Vec<Place>,
}

/// Where a record lies.
struct Place {
    offset: u64,
    length: u64,
    /// Its line, or its place in the array, counted from 1.
    number: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Lines,
    Array,
}

impl RecordFile {
    /// Adds where each record lies, and how long it is.
    pub(crate) fn outline(&self, hash: &mut Sha256) {
        for Place { offset, length, .. } in &self.places {
            hash.update(offset.to_le_bytes());
            hash.update(length.to_le_bytes());
        }
    }

    /// Looks a file through. Where it is damaged as a whole, the records before the damage are there, and an
    /// [`Error::Sample`] says where it begins.
    pub(crate) fn open(path: &Path) -> Result<(Self, Option<Error>)> {
        let unreadable = Error::read(path);
        let mut records = RecordFile {
            path: path.to_owned(),
            layout: Layout::Lines,
            places: Vec::new(),
        };
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(unreadable)?);
        let problem = match first_byte(&mut reader).map_err(unreadable)? {
            (offset, Some(b'[')) => {
                records.layout = Layout::Array;
                records.find_elements(&mut reader, offset)
            }
            (offset, _) => records.find_lines(&mut reader, offset),
        };
        let damage = problem.map_err(unreadable)?.map(|problem| {
            let number = records.places.last().map_or(1, |last| last.number + 1);
            unusable(records.name_of(number), problem)
        });
        Ok((records, damage))
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// What messages call a record.
    pub(crate) fn name(&self, i: usize) -> String {
        self.name_of(self.places[i].number)
    }

    fn name_of(&self, number: u32) -> String {
        let what = match self.layout {
            Layout::Lines => "line",
            Layout::Array => "record",
        };
        format!("{} {what} {number}", self.path.display())
    }

    /// Reads and parses a record.
    ///
    /// # Errors
    /// [`Error::Sample`] where it is no JSON object; [`Error::Read`].
    pub(crate) fn read(&self, i: usize) -> Result<Record> {
        let Place { offset, length, .. } = self.places[i];
        let name = self.name(i);
        if length > LONGEST_BYTES {
            return Err(unusable(name, "it has more than 16 MiB"));
        }
        let bytes = read_range(&self.path, offset, length)?;
        serde_json::from_slice(bytes.trim_ascii())
            .map_err(|error| unusable(name, format!("it is no JSON object: {}", self.in_words(&error))))
    }

    /// An error of one record. Of a record that is a line, its own line says nothing.
    fn in_words(&self, error: &serde_json::Error) -> String {
        let words = error.to_string();
        match self.layout {
            Layout::Lines => words.replace(" at line 1 column ", " at column "),
            Layout::Array => words,
        }
    }

    /// Finds lines that are not empty. Says what is wrong where records are no lines: where the first one goes on over the
    /// next.
    fn find_lines(&mut self, reader: &mut impl BufRead, mut offset: u64) -> std::io::Result<Option<&'static str>> {
        let mut line = Vec::new();
        let mut is_first_open = false;
        for number in 1.. {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                break;
            }
            let said = line.trim_ascii();
            if self.places.len() == 1 && is_first_open && !said.is_empty() && !said.starts_with(b"{") {
                self.places.clear();
                return Ok(Some(
                    "it goes on over several lines; write one record a line, or all of them as a JSON array",
                ));
            }
            if !said.is_empty() {
                is_first_open |= self.places.is_empty() && is_left_open(said);
                self.places.push(Place { offset, length, number });
            }
            offset += length;
        }
        Ok(None)
    }

    /// Finds the elements of an array without parsing them: by brackets and commas, outside of strings. Says what is wrong
    /// where the array doesn't end.
    fn find_elements(&mut self, reader: &mut impl BufRead, mut offset: u64) -> std::io::Result<Option<&'static str>> {
        let mut scan = Scan::default();
        loop {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(match scan.depth {
                    0 => None,
                    _ => Some("the file ends before its array does"),
                });
            }
            let length = buffer.len();
            for (i, byte) in buffer.iter().enumerate() {
                if let Some((begin, end)) = scan.step(*byte, offset + i as u64) {
                    self.places.push(Place {
                        offset: begin,
                        length: end - begin,
                        number: self.places.len() as u32 + 1,
                    });
                }
            }
            reader.consume(length);
            offset += length as u64;
        }
    }
}

/// Whether a line begins an object and doesn't end it.
fn is_left_open(line: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(line);
    line.starts_with(b"{") && parsed.is_err_and(|error| error.is_eof())
}

/// The first of `keys` that a record has, with its text; what is null counts as not there.
///
/// # Errors
/// [`Error::Sample`], with `name`, where it is empty or no text.
pub(crate) fn text(name: &str, record: &Record, keys: &[&str]) -> Result<Option<String>> {
    let said = |key: &&str| record.get(*key).filter(|value| !value.is_null());
    match keys.iter().find_map(|key| Some((*key, said(key)?))) {
        Some((_, Value::String(text))) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some((key, Value::String(_))) => Err(unusable(name, format!("its `{key}` is empty"))),
        None => Ok(None),
        Some((key, _)) => Err(unusable(name, format!("its `{key}` is no text"))),
    }
}

/// The caption of a record's `conversations`, as upstream takes it; none where there are no conversations.
///
/// # Errors
/// [`Error::Sample`], with `name`, where they hold no answer.
pub(crate) fn answer(name: &str, record: &Record) -> Result<Option<String>> {
    let Some(conversations) = record.get("conversations") else {
        return Ok(None);
    };
    let is_answer = |turn: &&Value| turn.get("from").and_then(Value::as_str) == Some("gpt");
    let found = conversations.as_array().and_then(|turns| {
        let turn = turns.iter().find(is_answer).or_else(|| turns.get(1))?;
        Some(turn.get("value")?.as_str()?.replace('\n', " "))
    });
    match found.filter(|text| !text.trim().is_empty()) {
        Some(text) => Ok(Some(text)),
        None => Err(unusable(name, "its `conversations` hold no answer")),
    }
}

/// Says why a sample can't be used.
pub(crate) fn unusable(name: impl Into<String>, problem: impl Into<String>) -> Error {
    Error::Sample {
        name: name.into(),
        problem: problem.into(),
    }
}

/// Some bytes of a file, opened for this alone: data may be more files than a process may keep open.
pub(crate) fn read_range(path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
    let read = || {
        let mut file = File::open(path)?;
        read_range_of(&mut file, offset, length)
    };
    read().map_err(Error::read(path))
}

/// Some bytes of an open file.
pub(crate) fn read_range_of(file: &mut File, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            "it ends before that, or has become shorter since it was looked through",
        )),
    }
}

/// Passes over what stands before the first byte that says something; gives its offset and the byte, not taken.
fn first_byte(reader: &mut impl BufRead) -> std::io::Result<(u64, Option<u8>)> {
    let mut offset = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let empty = |byte: &u8| byte.is_ascii_whitespace() || b"\xef\xbb\xbf".contains(byte);
        let n_empty = buffer.iter().take_while(|byte| empty(byte)).count();
        let found = buffer.get(n_empty).copied();
        let at_end = buffer.is_empty();
        reader.consume(n_empty);
        offset += n_empty as u64;
        if found.is_some() || at_end {
            return Ok((offset, found));
        }
    }
}

/// Where in an array a scan is.
#[derive(Default)]
struct Scan {
    /// Brackets that are open, the array's own among them.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Where the element begins that is open, if one is.
    begin: Option<u64>,
}

impl Scan {
    /// Takes a byte; where an element ends with it, gives its place.
    fn step(&mut self, byte: u8, at: u64) -> Option<(u64, u64)> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return None;
        }
        let ends_unbracketed = self.depth == 1 && matches!(byte, b',' | b'}' | b']');
        let begins = self.depth == 1 && !ends_unbracketed && !byte.is_ascii_whitespace();
        if begins && self.begin.is_none() {
            self.begin = Some(at);
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        let ends_bracketed = self.depth == 1 && matches!(byte, b'}' | b']');
        match (ends_bracketed, ends_unbracketed) {
            (true, _) => self.begin.take().map(|begin| (begin, at + 1)),
            (_, true) => self.begin.take().map(|begin| (begin, at)),
            _ => None,
        }
    }
}
