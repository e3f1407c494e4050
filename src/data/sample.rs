//! One sample of any data set, and the trait through which each kind of data set provides its samples.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::image::Image;
use crate::error::{Result, counted};

/// An image with what a data set says about it. Captions may be blank: whether that matters is for the caller to say.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The image.
    pub image: Image,
    /// Its captions, in the order of the data.
    pub captions: Vec<String>,
    /// A short caption besides, if the data has one.
    pub short: Option<String>,
    /// What the image shows, if the data says so in a word or a number.
    pub class: Option<ClassOf>,
    /// The part of the data set that it belongs to: `train`, `val`.
    pub split: Option<String>,
    /// Where the data says all this: a file and a line, a member of an archive.
    pub place: String,
}

impl Sample {
    /// An image of which nothing is known.
    pub(super) fn new(image: Image, place: impl Into<String>) -> Self {
        Sample {
            image,
            captions: Vec::new(),
            short: None,
            class: None,
            split: None,
            place: place.into(),
        }
    }
}

/// The class of a sample, as the data says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClassOf {
    /// By the class's key or name.
    Name(String),
    /// By its index in the data's list of classes, from 0.
    Index(usize),
}

/// A class that data lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// What the data calls it: a folder's name, a synset.
    pub key: String,
    /// What a person and a model call it.
    pub name: String,
}

impl Class {
    /// A class that the data calls `key`.
    pub(super) fn new(key: String) -> Self {
        let name = spaced(&key);
        Class { key, name }
    }
}

/// A class's name with spaces for underscores, which folders have in their place. Underscores alone stay a name.
pub(crate) fn spaced(key: &str) -> String {
    match key.replace('_', " ").trim() {
        "" => key.to_owned(),
        name => name.to_owned(),
    }
}

/// The samples of one data set, each read when it is asked for.
pub(crate) trait Source: Send + Sync {
    /// How many samples there are, usable or not.
    fn len(&self) -> usize;

    /// What messages call a sample.
    fn place(&self, i: usize) -> String;

    /// Reads all of a sample but its image.
    fn read(&self, i: usize) -> Result<Sample>;

    /// The file that holds a sample's image, if it holds several.
    fn file(&self, _i: usize) -> Option<&Path> {
        None
    }

    /// Adds what distinguishes these samples from others, wherever they are stored. A training that is resumed compares it: what is
    /// added for a kind must never change.
    fn outline(&self, hash: &mut Sha256);

    /// How much there is, for people: `64 images of 8 classes`.
    fn about(&self) -> String;

    /// Whether samples have no captions of their own and only a class.
    fn has_only_classes(&self) -> bool {
        false
    }
}

/// Samples that name the same image are one sample with all of their captions.
pub(crate) fn merged(samples: Vec<Sample>) -> Vec<Sample> {
    let mut by_image: HashMap<String, usize> = HashMap::new();
    let mut merged: Vec<Sample> = Vec::new();
    for sample in samples {
        match by_image.entry(sample.image.name().to_owned()) {
            Entry::Occupied(first) => merged[*first.get()].captions.extend(sample.captions),
            Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(sample);
            }
        }
    }
    merged
}

/// Samples that are held in memory: what one file says about all of its images.
pub(super) struct Listed(pub(super) Vec<Sample>);

impl Listed {
    /// Samples whose images have relative paths. These start from `named`, or else from the first of the `usual` folders that holds an
    /// image: the first one of each split is looked for.
    pub(super) fn below(samples: Vec<Sample>, named: Option<&Path>, usual: &[PathBuf]) -> Self {
        let mut splits = HashSet::new();
        let firsts = samples.iter().filter(|sample| splits.insert(&sample.split));
        let firsts: Vec<&Image> = firsts.map(|sample| &sample.image).collect();
        let holds_one = |folder: &&PathBuf| firsts.iter().any(|image| image.below(folder).is_there());
        let found = usual.iter().find(holds_one).or(usual.first()).map(PathBuf::as_path);
        let folder = named.or(found).unwrap_or(Path::new("")).to_owned();
        let located = samples.into_iter().map(|sample| Sample {
            image: sample.image.below(&folder),
            ..sample
        });
        Listed(located.collect())
    }
}

impl Source for Listed {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, i: usize) -> String {
        self.0[i].place.clone()
    }

    fn read(&self, i: usize) -> Result<Sample> {
        Ok(self.0[i].clone())
    }

    fn outline(&self, hash: &mut Sha256) {
        for Sample {
            image, captions, class, ..
        } in &self.0
        {
            let name = Path::new(image.name()).file_name().unwrap_or_default();
            hash.update(format!("{name:?} {captions:?} {class:?}"));
        }
    }

    fn about(&self) -> String {
        counted(self.len(), "image")
    }

    fn has_only_classes(&self) -> bool {
        self.0.iter().all(|sample| sample.captions.is_empty())
    }
}
