//! What each kind of data set declares about itself, and what a caller asks for.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::sample::{Class, Source};
use super::unusable::Unusable;
use crate::error::{Error, Result};
use crate::labels::Template;
use crate::named::named;
use crate::plain_text::utf8_start;
use crate::text::first_sentence;

/// First bytes of a file by which its kind is recognised: some records.
const HEAD_BYTES: u64 = 1 << 16;

/// A kind of data set: a `KIND` in its own file, listed in `KINDS`.
pub struct Kind {
    /// What results call it. Results are compared by it, so it stays.
    pub name: &'static str,
    /// What it is, for a person who named something else.
    pub(super) what: &'static str,
    /// What says that a path is of this kind, such as the name of a file in a folder; `None` if it is not.
    pub(super) looks_like: fn(&Candidate<'_>) -> Option<String>,
    /// Looks a data set through.
    pub(super) open: fn(&[PathBuf], &DataOptions) -> Result<Opened>,
    /// Whether all paths of this kind are one data set, after all others.
    pub(super) is_joined: bool,
    /// Whether samples have fields, of which one may be named for captions.
    pub(super) has_fields: bool,
    /// Which captions the published evaluations use.
    pub protocol: CaptionProtocol,
}

/// Which captions of an image an evaluation uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptionProtocol {
    /// The part of each caption.
    pub part: CaptionPart,
    /// The number of captions per image.
    pub per_image: PerImage,
}

impl CaptionProtocol {
    /// All captions, whole.
    pub(super) const WHOLE: CaptionProtocol = CaptionProtocol {
        part: CaptionPart::Whole,
        per_image: PerImage::All,
    };
}

/// The part of a caption that is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaptionPart {
    /// All of it.
    Whole,
    /// All up to the first line end.
    FirstLine,
    /// All up to the first full stop with a space, as Long-CLIP's training takes it.
    FirstSentence,
}

named!(CaptionPart, "part of a caption":
    Whole = "whole",
    FirstLine = "first-line",
    FirstSentence = "first-sentence",
);

impl CaptionPart {
    /// What a protocol calls it.
    pub fn in_words(self) -> &'static str {
        match self {
            CaptionPart::Whole => "whole captions",
            CaptionPart::FirstLine => "the first line of each caption",
            CaptionPart::FirstSentence => "the first sentence of each caption",
        }
    }

    /// This part of a caption, without white space around it.
    pub(crate) fn of(self, caption: &str) -> &str {
        match self {
            CaptionPart::Whole => caption.trim(),
            CaptionPart::FirstLine => caption.lines().next().unwrap_or_default().trim(),
            CaptionPart::FirstSentence => first_sentence(caption).trim(),
        }
    }
}

/// How many captions of an image are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerImage {
    /// All.
    All,
    /// The first ones.
    AtMost(usize),
}

/// What a data set is opened for. It decides which fields of a sample are read, and which files count as unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Training needs captions, or else classes, and reports each file that it does not use.
    Training,
    /// Zero-shot classification needs classes.
    ZeroShot,
    /// Retrieval needs captions.
    Retrieval,
}

/// Which images to use, if a data set stores them separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Split {
    /// Those that models are measured on.
    #[default]
    Test,
    /// Those that models are trained on.
    Train,
}

named!(Split, "split": Test = "test", Train = "train");

/// How a data set is opened.
#[derive(Debug, Clone)]
pub struct DataOptions {
    /// What for.
    pub purpose: Purpose,
    /// The folder that relative paths of images start from; the usual folders of the kind of data if `None`.
    pub images: Option<PathBuf>,
    /// The field of records that holds captions; the first known one if `None`.
    pub caption_field: Option<String>,
    /// Which images, if a data set keeps them apart.
    pub split: Split,
    /// A folder for what has to be unpacked.
    pub scratch: PathBuf,
}

impl DataOptions {
    /// Where relative paths in `file` start from: the folder given, or the file's own.
    pub(super) fn images_of(&self, file: &Path) -> PathBuf {
        let own = file.parent().unwrap_or(Path::new(""));
        self.images.clone().unwrap_or(own.to_owned())
    }
}

/// A path whose kind is to be recognised.
pub(super) struct Candidate<'a> {
    pub(super) path: &'a Path,
    pub(super) options: &'a DataOptions,
    pub(super) is_folder: bool,
    /// First bytes of a file.
    pub(super) head: Vec<u8>,
    /// The same as UTF-8, without a byte order mark, if they are text.
    text: Vec<u8>,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(path: &'a Path, options: &'a DataOptions) -> Result<Self> {
        let is_folder = path.is_dir();
        let mut head = Vec::new();
        if !is_folder {
            let file = File::open(path).map_err(Error::read(path))?;
            file.take(HEAD_BYTES)
                .read_to_end(&mut head)
                .map_err(Error::read(path))?;
        }
        Ok(Candidate {
            path,
            options,
            is_folder,
            text: utf8_start(&head).into_owned(),
            head,
        })
    }

    /// The first bytes without blanks.
    pub(super) fn text(&self) -> &[u8] {
        self.text.trim_ascii_start()
    }

    /// Whether a file says nothing.
    pub(super) fn is_blank(&self) -> bool {
        !self.is_folder && self.text().is_empty() && (self.head.len() as u64) < HEAD_BYTES
    }

    /// Whether the first bytes have this key of JSON.
    pub(super) fn has_key(&self, key: &str) -> bool {
        let key = format!("\"{key}\"");
        memmem::find(&self.text, key.as_bytes()).is_some()
    }

    /// Whether a file's name has one of these endings, in small or capital letters.
    pub(super) fn has_ending(&self, endings: &[&str]) -> bool {
        !self.is_folder && has_ending(self.path, endings)
    }
}

/// A data set that was looked through.
pub(crate) struct Opened {
    pub(crate) kind: &'static Kind,
    /// Its kind in more detail: `CIFAR-10, binary`.
    pub(crate) title: String,
    pub(crate) source: Box<dyn Source>,
    /// The classes that the data lists, in its order; empty if it has no list.
    pub(crate) classes: Vec<Class>,
    /// The templates that are usually used for the classes of this data set.
    pub(crate) templates: Vec<Template>,
    /// What was found unusable so far.
    pub(crate) unusable: Vec<Unusable>,
    /// Files that were read: those of a folder, and files next to the data, such as a list of its classes.
    pub(crate) files: Vec<PathBuf>,
}

impl Opened {
    pub(super) fn new(kind: &'static Kind, source: impl Source + 'static, unusable: Vec<Unusable>) -> Self {
        Opened {
            kind,
            title: kind.name.to_owned(),
            source: Box::new(source),
            classes: Vec::new(),
            templates: Vec::new(),
            unusable,
            files: Vec::new(),
        }
    }
}

/// Whether a path has one of these endings, in small or capital letters.
pub(super) fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| endings.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

/// What a folder holds, without hidden names, in byte order.
pub(super) fn entries_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The last part of a path, for messages.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().display().to_string()
}
