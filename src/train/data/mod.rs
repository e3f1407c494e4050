//! Pictures with captions, read one at a time in any order: a file a kind of data.
//!
//! Called by `loader.rs` on its threads, and by the command line for what a person names. A source is looked through
//! once and then holds where each sample lies, never what it says, so that a million of captions take some megabytes.
//! What turns out to be unusable is an error of that sample, and the others go on. A new kind is a file here, and an arm in `kind.rs` and
//! [`Dataset::open`].

mod classes;
mod kind;
mod records;
mod sets;
mod shards;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use self::kind::{EXPECTED, Kind, kind};
use crate::error::{Error, Result};
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

impl Unusable {
    /// What stands there has this problem.
    fn new(sample: impl Into<String>, problem: impl Into<String>) -> Self {
        let sample = sample.into();
        let error = unusable(&sample, problem);
        Unusable { sample, error }
    }
}

/// One thing that a person named as data.
trait Source: Send + Sync {
    /// How many samples it has.
    fn len(&self) -> usize;
    /// What messages call a sample.
    fn name(&self, i: usize) -> String;
    /// What it is and how much, for people: `64 pictures of 8 classes`.
    fn about(&self) -> String;
    /// The classes' names, where all that its captions say is a class.
    fn classes(&self) -> Option<&[String]> {
        None
    }
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
    /// [`Error::Usage`] for what is none of these or could be several, is without any sample, or has a class alone;
    /// [`Error::Read`] if it can't be read.
    pub fn open(paths: &[PathBuf], options: &DataOptions) -> Result<Self> {
        let mut dataset = Dataset {
            sources: Vec::new(),
            unusable: Vec::new(),
        };
        let (mut archives, mut with_archives) = (Vec::new(), Vec::new());
        for path in paths {
            let n_before = dataset.unusable.len();
            match kind(path, &mut dataset.unusable)? {
                Kind::Archives(found) => {
                    archives.extend(found);
                    with_archives.push(path.as_path());
                }
                Kind::Records => {
                    let records = records::open(path, options, &mut dataset.unusable)?;
                    dataset.add(records, &[path], n_before)?;
                }
                Kind::Classes => {
                    let classes = classes::open(path, options, &mut dataset.unusable)?;
                    dataset.add(classes, &[path], n_before)?;
                }
            }
        }
        if !archives.is_empty() {
            let n_before = dataset.unusable.len();
            let shards = shards::open(&archives, options, &mut dataset.unusable)?;
            dataset.add(shards, &with_archives, n_before)?;
        }
        match dataset.class_alone() {
            Some(class) => Err(Error::usage(
                format!(
                    "{} has pictures of one class alone, `{class}`: there is nothing to tell it from",
                    quoted(paths)
                ),
                "give each other class a folder beside it, and name the folder above them",
            )),
            None => Ok(dataset),
        }
    }

    /// Adds what was found in `named`; what of it is unusable stands behind the first `n_before`.
    fn add(&mut self, source: impl Source + 'static, named: &[impl AsRef<Path>], n_before: usize) -> Result<()> {
        if source.len() == 0 {
            let why = match self.unusable.get(n_before) {
                Some(Unusable { error, .. }) => format!("; the first problem is: {error}"),
                None => String::new(),
            };
            let problem = format!("there is no sample in {}{why}", quoted(named));
            return Err(Error::usage(problem, EXPECTED));
        }
        self.sources.push(Box::new(source));
        Ok(())
    }

    /// The class of all samples, if all captions say nothing but one class.
    fn class_alone(&self) -> Option<&str> {
        let mut all = BTreeSet::new();
        for source in &self.sources {
            all.extend(source.classes()?);
        }
        match all.len() {
            1 => all.first().map(|class| class.as_str()),
            _ => None,
        }
    }

    /// What it is and how much, for people: `64 pictures of 8 classes and 1000 records`.
    pub fn about(&self) -> String {
        let parts: Vec<String> = self.sources.iter().map(|source| source.about()).collect();
        parts.join(" and ")
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

/// Paths as a message names them.
fn quoted(paths: &[impl AsRef<Path>]) -> String {
    let names: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", path.as_ref().display()))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
