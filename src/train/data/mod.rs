//! Pictures with captions, read one at a time in any order: a file a kind of data.
//!
//! Called by `loader.rs` on its threads, and by the command line for what a person names. A source is looked through
//! once and then holds where each sample lies, never what it says, so that a million of captions take some megabytes.
//! What turns out to be unusable is an error of that sample, and the others go on. A new kind is a file here and an arm
//! in [`Dataset::open`].

mod classes;
mod records;
mod shards;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::input::archive;
use crate::input::records::{read_range, unusable};
use crate::labels::Template;
use crate::weights::identity;

/// A picture with its captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What messages call the picture.
    pub name: String,
    /// Its encoded bytes.
    pub picture: Vec<u8>,
    /// The long caption.
    pub long: String,
    /// The short caption: the long one's first sentence where the data has none of its own.
    pub short: String,
    /// What the picture shows, where the data says it in a word.
    pub class: Option<String>,
}

/// What data needs besides its name.
#[derive(Debug, Clone)]
pub struct DataOptions {
    /// The folder that records' paths start from; a record's own file's if `None`.
    pub images: Option<PathBuf>,
    /// What makes captions of the names of class folders, at least one.
    pub templates: Vec<Template>,
    /// A folder for what has to be unpacked.
    pub scratch: PathBuf,
}

/// A sample that can't be used.
#[derive(Debug)]
pub struct Unusable {
    /// Where it stands.
    pub sample: String,
    /// Why not.
    pub error: Error,
}

/// One thing that a person named as data.
trait Source: Send + Sync {
    /// How many samples it has.
    fn len(&self) -> usize;
    /// What messages call a sample.
    fn name(&self, i: usize) -> String;
    /// Reads a sample; where it has several captions, `draw` chooses among them.
    fn read(&self, i: usize, draw: u64) -> Result<Sample>;
    /// Adds what tells its samples from others without reading them: where each lies in its file and how long it is, or what it
    /// is called.
    fn outline(&self, hash: &mut Sha256);
}

/// Samples of one source or more, in the order named.
pub struct Dataset {
    sources: Vec<Box<dyn Source>>,
    unusable: Vec<Unusable>,
}

impl Dataset {
    /// Looks through data: files of records (NDJSON, or a JSON array as ShareGPT4V's), WebDataset tars, folders of such
    /// tars, folders of class folders.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is none of these, or without any sample; [`Error::Read`] if it can't be read.
    pub fn open(paths: &[PathBuf], options: &DataOptions) -> Result<Self> {
        let mut dataset = Dataset {
            sources: Vec::new(),
            unusable: Vec::new(),
        };
        let mut archives = Vec::new();
        for path in paths {
            match kind(path)? {
                Kind::Archives(found) => archives.extend(found),
                Kind::Records => {
                    let records = records::open(path, options, &mut dataset.unusable)?;
                    dataset.sources.push(Box::new(records));
                }
                Kind::Classes => dataset.sources.push(Box::new(classes::open(path, options)?)),
            }
        }
        if !archives.is_empty() {
            let shards = shards::open(&archives, options, &mut dataset.unusable)?;
            dataset.sources.push(Box::new(shards));
        }
        if dataset.is_empty() {
            let names: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
            let why = match dataset.unusable.first() {
                Some(Unusable { sample, error }) => format!("; the first problem is at {sample}: {error}"),
                None => String::new(),
            };
            let problem = format!("there is no sample in {}{why}", names.join(", "));
            return Err(Error::usage(problem, EXPECTED));
        }
        Ok(dataset)
    }

    /// How many samples there are, usable or not.
    pub fn len(&self) -> usize {
        self.sources.iter().map(|source| source.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was found unusable while looking through.
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    /// What messages call a sample.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn name(&self, i: usize) -> String {
        let (source, i) = self.place(i);
        source.name(i)
    }

    /// Reads a sample; where it has several captions, `draw` chooses among them.
    ///
    /// # Errors
    /// [`Error::Sample`] or [`Error::Read`], if this sample can't be used.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn read(&self, i: usize, draw: u64) -> Result<Sample> {
        let (source, i) = self.place(i);
        source.read(i, draw)
    }

    /// What tells this data from other data without reading it, wherever it lies, in hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        self.sources.iter().for_each(|source| source.outline(&mut hash));
        identity(hash)
    }

    fn place(&self, mut i: usize) -> (&dyn Source, usize) {
        for source in &self.sources {
            if i < source.len() {
                return (source.as_ref(), i);
            }
            i -= source.len();
        }
        panic!("sample {i} behind the last one");
    }
}

const EXPECTED: &str = "data is a file of records (`{\"path\": ..., \"long\": ...}` a line), ShareGPT4V's json, a tar with \
                        `jpg` and `txt` members, a folder of such tars, or a folder with a folder of pictures for each class";

enum Kind {
    Records,
    /// In byte order of their names.
    Archives(Vec<PathBuf>),
    Classes,
}

/// Tells by content what a path is; names decide only where the content can't.
fn kind(path: &Path) -> Result<Kind> {
    let unreadable = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        let mut archives = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let inner = entry.map_err(unreadable)?.path();
            if archive::is_named_like_one(&inner) && inner.is_file() {
                archives.push(inner);
            }
        }
        archives.sort();
        return Ok(match archives.is_empty() {
            true => Kind::Classes,
            false => Kind::Archives(archives),
        });
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(archive::TELLING_BYTES)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Ok(Kind::Records);
    }
    if archive::begins_like_one(&start) || archive::is_named_like_one(path) {
        return Ok(Kind::Archives(vec![path.to_owned()]));
    }
    Err(Error::usage(
        format!("`{}` is no data to train on", path.display()),
        EXPECTED,
    ))
}

#[cfg(test)]
mod tests;
