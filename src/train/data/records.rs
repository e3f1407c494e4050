//! Records: a JSON object a line, or an array of them, each a picture's path and its captions.
//!
//! `path` or `image`, relative to the file or to the folder given; `long`, `text` or `caption`; perhaps `short` and
//! `class`. ShareGPT4V's own json has `image` and `conversations`, of which the first answer is the caption, its line
//! breaks made spaces (upstream `train/sharegpt4v.py`). The file is looked through once for where records begin and end;
//! each is parsed when it is drawn.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{DataOptions, Sample, Source, Unusable, read_range, unusable};
use crate::error::{Error, Result};
use crate::text::first_sentence;

/// The most bytes of a record: a caption has some thousands.
const LONGEST_BYTES: u64 = 16 << 20;
/// The most bytes of an encoded picture.
const LARGEST_PICTURE_BYTES: u64 = 1 << 30;

pub(super) struct Records {
    path: PathBuf,
    /// Where pictures' paths start from.
    images: PathBuf,
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

pub(super) fn open(path: &Path, options: &DataOptions, skipped: &mut Vec<Unusable>) -> Result<Records> {
    let beside = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut records = Records {
        path: path.to_owned(),
        images: options.images.clone().unwrap_or(beside),
        layout: Layout::Lines,
        places: Vec::new(),
    };
    let file = File::open(path).map_err(|source| records.unreadable(source))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let begun = first_byte(&mut reader).map_err(|source| records.unreadable(source))?;
    let problem = match begun {
        (offset, Some(b'[')) => {
            records.layout = Layout::Array;
            records.find_elements(&mut reader, offset)
        }
        (offset, _) => records.find_lines(&mut reader, offset),
    };
    if let Some(problem) = problem.map_err(|source| records.unreadable(source))? {
        let sample = records.place_name(records.places.last().map_or(1, |last| last.number + 1));
        let error = unusable(sample.clone(), problem);
        skipped.push(Unusable { sample, error });
    }
    Ok(records)
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

impl Records {
    fn unreadable(&self, source: std::io::Error) -> Error {
        let path = self.path.clone();
        Error::Read { path, source }
    }

    fn find_lines(&mut self, reader: &mut impl BufRead, mut offset: u64) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                break;
            }
            if !line.trim_ascii().is_empty() {
                self.places.push(Place { offset, length, number });
            }
            offset += length;
        }
        Ok(None)
    }

    /// Finds the objects of an array without parsing them: by their brackets, outside of strings.
    fn find_elements(&mut self, reader: &mut impl BufRead, mut offset: u64) -> std::io::Result<Option<String>> {
        let mut scan = Scan::default();
        loop {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(match scan.depth {
                    0 => None,
                    _ => Some("the file ends before its array does".to_owned()),
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

    fn place_name(&self, number: u32) -> String {
        let what = match self.layout {
            Layout::Lines => "line",
            Layout::Array => "record",
        };
        format!("{} {what} {number}", self.path.display())
    }

    fn sample(&self, name: &str, record: &Map<String, Value>) -> Result<Sample> {
        let text = |keys: &[&str]| -> Result<Option<String>> {
            match keys.iter().find_map(|key| Some((*key, record.get(*key)?))) {
                Some((_, Value::String(text))) if !text.trim().is_empty() => Ok(Some(text.clone())),
                Some((key, Value::String(_))) => Err(unusable(name, format!("its `{key}` is empty"))),
                Some((_, Value::Null)) | None => Ok(None),
                Some((key, _)) => Err(unusable(name, format!("its `{key}` is no text"))),
            }
        };
        let path =
            text(&["path", "image"])?.ok_or_else(|| unusable(name, "it names no picture as `path` or `image`"))?;
        let long = match record.get("conversations") {
            Some(conversations) => {
                answer(conversations).ok_or_else(|| unusable(name, "its `conversations` hold no answer"))?
            }
            None => text(&["long", "text", "caption"])?
                .ok_or_else(|| unusable(name, "it has no caption as `long`, `text` or `caption`"))?,
        };
        let short = text(&["short"])?.unwrap_or_else(|| first_sentence(&long).to_owned());
        let path = self.images.join(path);
        Ok(Sample {
            name: path.display().to_string(),
            picture: read_picture(&path)?,
            long,
            short,
            class: text(&["class"])?,
        })
    }
}

/// The caption of a conversation, as upstream takes it.
fn answer(conversations: &Value) -> Option<String> {
    let turns = conversations.as_array()?;
    let is_answer = |turn: &&Value| turn.get("from").and_then(Value::as_str) == Some("gpt");
    let turn = turns.iter().find(is_answer).or_else(|| turns.get(1))?;
    let text = turn.get("value")?.as_str()?.replace('\n', " ");
    (!text.trim().is_empty()).then_some(text)
}

fn read_picture(path: &Path) -> Result<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    if !length.is_file() {
        return Err(unusable(path.display().to_string(), "it is no file"));
    }
    if length.len() > LARGEST_PICTURE_BYTES {
        return Err(unusable(path.display().to_string(), "its file has more than 1 GiB"));
    }
    read_range(path, 0, length.len())
}

impl Source for Records {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn name(&self, i: usize) -> String {
        self.place_name(self.places[i].number)
    }

    fn read(&self, i: usize, _draw: u64) -> Result<Sample> {
        let Place { offset, length, .. } = self.places[i];
        let name = self.name(i);
        if length > LONGEST_BYTES {
            return Err(unusable(name, "it has more than 16 MiB"));
        }
        let bytes = read_range(&self.path, offset, length)?;
        let record: Map<String, Value> = serde_json::from_slice(bytes.trim_ascii())
            .map_err(|error| unusable(name.clone(), format!("it is no JSON object: {error}")))?;
        self.sample(&name, &record)
    }
}

/// Where in an array a scan is.
#[derive(Default)]
struct Scan {
    /// Brackets that are open, the array's own among them.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// Where the element begins that is open.
    begin: u64,
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
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                if self.depth == 1 {
                    self.begin = at;
                }
                self.depth += 1;
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return (self.depth == 1).then_some((self.begin, at + 1));
            }
            _ => {}
        }
        None
    }
}
