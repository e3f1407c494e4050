//! A file of records: one JSON object per line, or an array of them.
//!
//! The file is scanned once to find where records begin and end. Each is parsed when it is needed, so a million captions take
//! some megabytes.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::unusable::unusable;
use crate::error::{Error, Result};
use crate::plain_text::{is_utf16, utf8};

/// The most bytes of a record. A caption has some thousands.
const LONGEST_BYTES: u64 = 16 << 20;

/// A parsed record.
pub(super) type Record = Map<String, Value>;

/// A file of records, and where each is in it.
pub(super) struct RecordFile {
    path: PathBuf,
    /// The whole file as UTF-8, if it is UTF-16.
    recoded: Option<Vec<u8>>,
    layout: RecordLayout,
    spans: Vec<RecordSpan>,
}

/// Where a record is in its file.
struct RecordSpan {
    offset: u64,
    length: u64,
    /// Its line, or its index in the array, from 1.
    number: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RecordLayout {
    Lines,
    Array,
}

impl RecordFile {
    /// Adds where each record begins, and how long it is.
    pub(super) fn outline(&self, hash: &mut Sha256) {
        for RecordSpan { offset, length, .. } in &self.spans {
            hash.update(offset.to_le_bytes());
            hash.update(length.to_le_bytes());
        }
    }

    /// Looks a file through. If the file is damaged as a whole, gives the records before the damage, and an [`Error::Sample`] that
    /// says where it begins.
    pub(super) fn open(path: &Path) -> Result<(Self, Option<Error>)> {
        let failed = Error::read(path);
        let mut records = RecordFile {
            path: path.to_owned(),
            recoded: None,
            layout: RecordLayout::Lines,
            spans: Vec::new(),
        };
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(&failed)?);
        let problem = if is_utf16(reader.fill_buf().map_err(&failed)?) {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map_err(&failed)?;
            let text = utf8(&bytes).into_owned();
            let problem = records.look_through(&mut text.as_slice());
            records.recoded = Some(text);
            problem
        } else {
            records.look_through(&mut reader)
        };
        let damage = problem.map_err(&failed)?.map(|problem| {
            let number = records.spans.last().map_or(1, |last| last.number + 1);
            unusable(records.name_of(number), problem)
        });
        Ok((records, damage))
    }

    fn look_through(&mut self, reader: &mut impl BufRead) -> std::io::Result<Option<&'static str>> {
        match first_byte(reader)? {
            (offset, Some(b'[')) => {
                self.layout = RecordLayout::Array;
                self.find_elements(reader, offset)
            }
            (offset, _) => self.find_lines(reader, offset),
        }
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// What messages call a record.
    pub(super) fn name(&self, i: usize) -> String {
        self.name_of(self.spans[i].number)
    }

    fn name_of(&self, number: u32) -> String {
        let what = match self.layout {
            RecordLayout::Lines => "line",
            RecordLayout::Array => "record",
        };
        format!("{} {what} {number}", self.path.display())
    }

    /// Reads and parses a record.
    ///
    /// # Errors
    /// [`Error::Sample`] if it is not a JSON object; [`Error::Read`].
    pub(super) fn read(&self, i: usize) -> Result<Record> {
        let RecordSpan { offset, length, .. } = self.spans[i];
        let name = self.name(i);
        if length > LONGEST_BYTES {
            return Err(unusable(name, "it has more than 16 MiB"));
        }
        let bytes = match &self.recoded {
            Some(text) => Cow::Borrowed(&text[offset as usize..(offset + length) as usize]),
            None => Cow::Owned(read_range(&self.path, offset, length)?),
        };
        serde_json::from_slice(bytes.trim_ascii())
            .map_err(|error| unusable(name, format!("it is not a JSON object: {}", self.in_words(&error))))
    }

    /// An error of one record. If a record is one line, the line number that the parser counts means nothing.
    fn in_words(&self, error: &serde_json::Error) -> String {
        let words = error.to_string();
        match self.layout {
            RecordLayout::Lines => words.replace(" at line 1 column ", " at column "),
            RecordLayout::Array => words,
        }
    }

    /// Finds lines that are not empty. Says what is wrong if records are not lines: if the first one continues on the next.
    fn find_lines(&mut self, reader: &mut impl BufRead, mut offset: u64) -> std::io::Result<Option<&'static str>> {
        let mut line = Vec::new();
        let mut is_first_open = false;
        for number in 1.. {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                break;
            }
            let text = line.trim_ascii();
            if self.spans.len() == 1 && is_first_open && !text.is_empty() && !text.starts_with(b"{") {
                self.spans.clear();
                return Ok(Some(
                    "it spans several lines; write one record per line, or all of them as a JSON array",
                ));
            }
            if !text.is_empty() {
                is_first_open |= self.spans.is_empty() && is_left_open(text);
                self.spans.push(RecordSpan { offset, length, number });
            }
            offset += length;
        }
        Ok(None)
    }

    /// Finds the elements of an array without parsing them, by brackets and commas outside of strings. Says what is wrong if the
    /// array doesn't end.
    fn find_elements(&mut self, reader: &mut impl BufRead, mut offset: u64) -> std::io::Result<Option<&'static str>> {
        let mut scan = ArrayScan::default();
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
                    self.spans.push(RecordSpan {
                        offset: begin,
                        length: end - begin,
                        number: self.spans.len() as u32 + 1,
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

/// Some bytes of a file. It is opened each time: a data set may be more files than a process may keep open.
fn read_range(path: &Path, offset: u64, length: u64) -> Result<Vec<u8>> {
    let read = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "it has become shorter since it was looked through",
            )),
        }
    };
    read().map_err(Error::read(path))
}

/// Skips blanks and a byte order mark; gives the offset of the first other byte, and the byte, which is not taken.
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

/// The state of a scan of an array.
#[derive(Default)]
struct ArrayScan {
    /// How many brackets are open, the array's own included.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Where the open element begins, if there is one.
    begin: Option<u64>,
}

impl ArrayScan {
    /// Takes a byte. If an element ends with it, gives where that begins and ends.
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
