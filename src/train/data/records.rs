//! Records as samples: `path` or `image`, relative to the file or to the folder given; `long`, `text` or `caption`;
//! perhaps `short` and `class`; or ShareGPT4V's own (`input/records.rs`).

use std::path::{Path, PathBuf};

use sha2::Sha256;

use super::{DataOptions, Sample, Source, Unusable, read_range, unusable};
use crate::error::{Error, Result, counted};
use crate::input::limit::LARGEST_BYTES;
use crate::input::records::{Record, RecordFile, answer, text};
use crate::text::first_sentence;

pub(super) struct Records {
    file: RecordFile,
    /// Where pictures' paths start from.
    images: PathBuf,
}

pub(super) fn open(path: &Path, options: &DataOptions, skipped: &mut Vec<Unusable>) -> Result<Records> {
    let (file, damage) = RecordFile::open(path)?;
    if let Some(error) = damage {
        let sample = match &error {
            Error::Sample { name, .. } => name.clone(),
            other => other.to_string(),
        };
        skipped.push(Unusable { sample, error });
    }
    let beside = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(Records {
        file,
        images: options.images.clone().unwrap_or(beside),
    })
}

impl Records {
    fn sample(&self, name: &str, record: &Record) -> Result<Sample> {
        let path = text(name, record, &["path", "image"])?
            .ok_or_else(|| unusable(name, "it names no picture as `path` or `image`"))?;
        let Captions { long, short, class } = Captions::of(name, record)?;
        let path = self.images.join(path);
        Ok(Sample {
            name: path.display().to_string(),
            picture: read_picture(&path)?,
            long,
            short,
            class,
        })
    }
}

/// What a record says of its picture.
pub(super) struct Captions {
    pub(super) long: String,
    pub(super) short: String,
    pub(super) class: Option<String>,
}

const LONG: [&str; 3] = ["long", "text", "caption"];

impl Captions {
    pub(super) fn of(name: &str, record: &Record) -> Result<Self> {
        let long = match answer(name, record)? {
            Some(answer) => answer,
            None => text(name, record, &LONG)?
                .ok_or_else(|| unusable(name, "it has no caption as `long`, `text` or `caption`"))?,
        };
        let short = match text(name, record, &["short"])? {
            Some(short) => short,
            None => short_of(name, &long)?,
        };
        let class = text(name, record, &["class"])?;
        Ok(Captions { long, short, class })
    }
}

/// The short caption of a sample that has none of its own: the long one's first sentence, as upstream takes it.
///
/// # Errors
/// [`Error::Sample`], with `name`, where nothing but marks stands before the first stop: upstream trains on an empty text then.
pub(super) fn short_of(name: &str, long: &str) -> Result<String> {
    let short = first_sentence(long);
    let is_mark = |c: char| c.is_whitespace() || c.is_ascii_punctuation();
    match short.chars().all(is_mark) {
        false => Ok(short.to_owned()),
        true => Err(unusable(
            name,
            "its caption begins with no word, and so its first sentence is no short caption; give it a `short` of its own",
        )),
    }
}

/// Whether a file is one of records with captions, by the first of them.
pub(super) fn holds_captions(path: &Path) -> bool {
    let first = RecordFile::open(path).and_then(|(file, _)| match file.len() {
        0 => Ok(Record::new()),
        _ => file.read(0),
    });
    let is_caption = |key: &&str| first.as_ref().is_ok_and(|record| record.contains_key(*key));
    LONG.iter().chain(&["conversations"]).any(is_caption)
}

fn read_picture(path: &Path) -> Result<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(Error::read(path))?;
    if !length.is_file() {
        return Err(unusable(path.display().to_string(), "it is no file"));
    }
    if length.len() > LARGEST_BYTES {
        return Err(unusable(path.display().to_string(), "its file has more than 1 GiB"));
    }
    read_range(path, 0, length.len())
}

impl Source for Records {
    fn len(&self) -> usize {
        self.file.len()
    }

    fn name(&self, i: usize) -> String {
        self.file.name(i)
    }

    fn about(&self) -> String {
        counted(self.len(), "record")
    }

    fn read(&self, i: usize, _draw: u64) -> Result<Sample> {
        let record = self.file.read(i)?;
        self.sample(&self.file.name(i), &record)
    }

    fn outline(&self, hash: &mut Sha256) {
        self.file.outline(hash);
    }
}
