//! The samples of a training: images, each with a long and a short caption, read in any order.
//!
//! Called by `loader.rs` on its threads. An image without a caption gets one made from its class by a template, so the model learns
//! the texts that a zero-shot classifier uses. A sample that turns out to be unusable is an error of its own; the others are used.

use std::path::PathBuf;

use sha2::Sha256;

use crate::data::{ClassOf, DataOptions, Opened, Purpose, Split, Unusable, open_all, quoted, spaced, unusable};
use crate::error::{Error, Result};
use crate::labels::Template;
use crate::text::first_sentence;
use crate::weights::identity;

/// An image with its captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionPair {
    /// What messages call the image.
    pub name: String,
    /// Its encoded bytes.
    pub image: Vec<u8>,
    /// The long caption.
    pub long: String,
    /// The short caption: the first sentence of the long one if the data has none.
    pub short: String,
    /// What the image shows, if the data says it in a word.
    pub class: Option<String>,
}

/// How a training's data is opened.
#[derive(Debug, Clone)]
pub struct TrainingOptions {
    /// The folder that relative paths of images start from; the usual folders of the kind of data if `None`.
    pub images: Option<PathBuf>,
    /// Templates that make captions of classes' names, at least one.
    pub templates: Vec<Template>,
    /// A folder for what has to be unpacked.
    pub scratch: PathBuf,
}

/// The samples of one data set or more, in the order named, those of tars at the end.
pub struct TrainingSet {
    parts: Vec<Opened>,
    templates: Vec<Template>,
}

impl TrainingSet {
    /// Looks data sets through.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is not a data set or could be several, has no sample, or has a single class; [`Error::Read`] if it
    /// can't be read.
    pub fn open(paths: &[PathBuf], options: &TrainingOptions) -> Result<Self> {
        assert!(!options.templates.is_empty(), "captions are made by a template");
        let data_options = DataOptions {
            purpose: Purpose::Training,
            images: options.images.clone(),
            caption_field: None,
            split: Split::Train,
            scratch: options.scratch.clone(),
        };
        let set = TrainingSet {
            parts: open_all(paths, &data_options)?,
            templates: options.templates.clone(),
        };
        match set.single_class() {
            Some(class) => Err(Error::usage(
                format!(
                    "{} has images of one class only, `{class}`: there is nothing to distinguish it from",
                    quoted(paths)
                ),
                "give each other class a folder next to it, and name the folder above them",
            )),
            None => Ok(set),
        }
    }

    /// The class of all samples, if captions say nothing but one class.
    fn single_class(&self) -> Option<String> {
        let mut single = None;
        for part in &self.parts {
            if !part.source.has_only_classes() {
                return None;
            }
            for i in 0..part.source.len() {
                let class = class_name(part, part.source.read(i).ok()?.class?).ok()?;
                if single.get_or_insert(class.clone()) != &class {
                    return None;
                }
            }
        }
        single
    }

    /// What it is and how much, for people: `64 images of 8 classes and 1000 records`.
    pub fn about(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(|part| part.source.about()).collect();
        parts.join(" and ")
    }

    /// How many samples there are, usable or not.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.source.len()).sum()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was found unusable when the data was looked through.
    pub fn unusable(&self) -> impl Iterator<Item = &Unusable> {
        self.parts.iter().flat_map(|part| &part.unusable)
    }

    /// What messages call a sample.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn name(&self, i: usize) -> String {
        let (part, i) = self.part_of(i);
        part.source.place(i)
    }

    /// Reads a sample. If it has several captions, or templates make several, `draw` chooses one of them.
    ///
    /// # Errors
    /// [`Error::Sample`] or [`Error::Read`], if this sample can't be used.
    ///
    /// # Panics
    /// If there is no such sample.
    pub fn read(&self, i: usize, draw: u64) -> Result<CaptionPair> {
        let (part, i) = self.part_of(i);
        let sample = part.source.read(i)?;
        let drawn = |n: usize| (draw % n as u64) as usize;
        let class = sample.class.map(|class| class_name(part, class)).transpose();
        let class = class.map_err(|problem| unusable(&sample.place, problem))?;
        let long = match (sample.captions.len(), &class) {
            (0, None) => return Err(unusable(sample.place, "it has no caption")),
            (0, Some(class)) => self.templates[drawn(self.templates.len())].fill(class),
            (n, _) => sample.captions[drawn(n)].clone(),
        };
        if long.trim().is_empty() {
            return Err(unusable(sample.place, "its caption is empty"));
        }
        Ok(CaptionPair {
            name: sample.image.name().to_owned(),
            image: sample.image.read()?,
            short: match sample.short {
                Some(short) => short,
                None => short_of(&sample.place, &long)?,
            },
            long,
            class,
        })
    }

    /// What distinguishes this data from other data without reading it, wherever it is stored, as hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::default();
        self.parts.iter().for_each(|part| part.source.outline(&mut hash));
        identity(hash)
    }

    fn part_of(&self, mut i: usize) -> (&Opened, usize) {
        for part in &self.parts {
            if i < part.source.len() {
                return (part, i);
            }
            i -= part.source.len();
        }
        panic!("sample {i} after the last one");
    }
}

/// The name of a class, or why it has none.
fn class_name(part: &Opened, class: ClassOf) -> Result<String, String> {
    match class {
        ClassOf::Name(name) if !part.source.has_only_classes() => Ok(name),
        ClassOf::Name(name) => Ok(spaced(&name)),
        ClassOf::Index(i) => match part.classes.get(i) {
            Some(class) => Ok(class.name.clone()),
            None => Err(format!("its class is number {i}, which has no name")),
        },
    }
}

/// The short caption of a sample that has none: the first sentence of the long one, as upstream takes it.
///
/// # Errors
/// [`Error::Sample`] if there are only marks before the first full stop. Upstream trains on an empty text then.
fn short_of(place: &str, long: &str) -> Result<String> {
    let short = first_sentence(long);
    let is_mark = |c: char| c.is_whitespace() || c.is_ascii_punctuation();
    match short.chars().all(is_mark) {
        false => Ok(short.to_owned()),
        true => Err(unusable(
            place,
            "its caption begins with no word, so its first sentence can't be the short caption; give it a `short` of its own",
        )),
    }
}

#[cfg(test)]
mod tests;
