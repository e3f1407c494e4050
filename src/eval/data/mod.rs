//! Data of a zero-shot evaluation: pictures, and what each one shows; a file a kind of data.
//!
//! [`DataSet::open`] tells by content what a path is and looks through it once. What is wrong with a sample is found
//! there or when it is resolved against the classes ([`DataSet::resolve`]), said with file and place, and costs that
//! sample alone: the others go on. A new kind is a file here and an arm in [`DataSet::open`].

mod candidates;
mod cifar;
mod folders;
mod imagenet;
mod records;
mod tars;

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use self::candidates::Candidates;
pub use self::cifar::Split;
use super::{Picture, Unusable};
use crate::error::{Error, Result};
use crate::input::archive;
use crate::labels::{Label, LabelList, Template};

/// A data set, looked through.
#[derive(Debug)]
pub struct DataSet {
    /// What kind it is, for people: `a folder a class`.
    pub about: String,
    /// The pictures that could be told from what there is.
    pub samples: Vec<Sample>,
    /// The classes that the data itself names, in its order; empty where it has no list.
    pub classes: Vec<Class>,
    /// What the data set asks its classes by, where it says or is known for.
    pub templates: Vec<Template>,
    /// What could not be used, each with its place.
    pub unusable: Vec<Unusable>,
}

/// A picture and what it shows.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The picture.
    pub picture: Picture,
    /// What it shows, as the data says it.
    pub truth: Truth,
    /// Where the data says so: a file and a line, a folder.
    pub place: String,
}

/// What a picture shows, as the data says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// A class by its key or its name.
    Name(String),
    /// A class by its place in the list, from 0.
    Index(usize),
}

/// A class that data names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// What the data calls it: a folder's name, a synset.
    pub key: String,
    /// What a person and a model call it.
    pub name: String,
}

/// A data set whose pictures have their classes.
#[derive(Debug)]
pub struct Resolved {
    /// The candidates, in order.
    pub labels: LabelList,
    /// The pictures, in the data's order.
    pub pictures: Vec<Picture>,
    /// The class of each, by its place among the labels.
    pub truths: Vec<usize>,
    /// What could not be used.
    pub unusable: Vec<Unusable>,
}

/// What a data set needs besides its name.
#[derive(Debug, Clone)]
pub struct DataOptions {
    /// Which pictures, where the data has some for tests and some for training.
    pub split: Split,
    /// A folder for what has to be unpacked.
    pub scratch: PathBuf,
}

const EXPECTED: &str = "data is a folder with a folder of pictures for each class, ndjson, json or csv of `path` and `label`, tars of `jpg` and \
                        `cls` members, or CIFAR-10 or CIFAR-100 as they are distributed";

impl DataSet {
    fn new(about: &str) -> Self {
        DataSet {
            about: about.to_owned(),
            samples: Vec::new(),
            classes: Vec::new(),
            templates: Vec::new(),
            unusable: Vec::new(),
        }
    }

    /// Looks through data.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no data, or holds none; [`Error::Read`] if it can't be read.
    pub fn open(path: &Path, options: &DataOptions) -> Result<Self> {
        let unreadable = Error::read(path);
        let data = match std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            true => open_folder(path, options)?,
            false => open_file(path, options)?,
        };
        match data.unusable.first() {
            _ if !data.samples.is_empty() => Ok(data),
            Some(first) => Err(Error::usage(
                format!(
                    "there is no picture with a class in `{}`: {}",
                    path.display(),
                    first.error
                ),
                "mend that; `longclip eval zeroshot --help` says what data is",
            )),
            None => Err(Error::usage(
                format!("there is no picture with a class in `{}`", path.display()),
                EXPECTED,
            )),
        }
    }

    /// Gives each picture its class: among `given`, where the person named labels, else among the data's own, which are
    /// asked by `templates`.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no class, or no picture of one.
    pub fn resolve(self, given: LabelList, templates: &[Template]) -> Result<Resolved> {
        let (labels, places) = match given.is_empty() {
            true => self.own_labels(templates)?,
            false => (given, None),
        };
        let candidates = Candidates::new(&labels, &self.classes, places);
        let mut resolved = Resolved {
            pictures: Vec::new(),
            truths: Vec::new(),
            unusable: self.unusable,
            labels: labels.clone(),
        };
        for Sample { picture, truth, place } in self.samples {
            match candidates.find(&truth) {
                Ok(class) => {
                    resolved.pictures.push(picture);
                    resolved.truths.push(class);
                }
                Err(problem) => resolved.unusable.push(Unusable::new(place, problem)),
            }
        }
        match resolved.unusable.first() {
            Some(first) if resolved.pictures.is_empty() => Err(Error::usage(
                format!("no picture has a class; the first problem is: {}", first.error),
                "labels are matched by name with the data's classes; a label file may give each class prompts of its own",
            )),
            _ => Ok(resolved),
        }
    }

    /// The classes as labels, with the place of each of the data's classes: the data's list, or the names that its pictures
    /// have, in byte order.
    fn own_labels(&self, templates: &[Template]) -> Result<(LabelList, Option<Vec<usize>>)> {
        let mut labels = LabelList::default();
        if !self.classes.is_empty() {
            let own = class_labels(&self.classes, templates);
            let names: Vec<String> = own.iter().map(|label| label.name.trim().to_owned()).collect();
            labels.extend(own)?;
            let list = labels.labels().iter().enumerate();
            let place_of: HashMap<&str, usize> = list.map(|(place, label)| (label.name.as_str(), place)).collect();
            // Each was added under its name, or joined the one that has it.
            let places = names.iter().map(|name| place_of[name.as_str()]).collect();
            return Ok((labels, Some(places)));
        }
        let names: BTreeSet<&str> = self
            .samples
            .iter()
            .filter_map(|sample| match &sample.truth {
                Truth::Name(name) => Some(name.as_str()),
                Truth::Index(_) => None,
            })
            .collect();
        // Also -1, by which some data says that it doesn't know.
        if names.iter().all(|name| name.parse::<f64>().is_ok()) {
            return Err(Error::usage(
                "the data numbers its classes and doesn't name them",
                "name them in that order, from number 0 on: `--labels-file FILE`, one a line",
            ));
        }
        labels.extend(names.into_iter().map(Label::plain))?;
        Ok((labels, None))
    }
}

/// The classes as labels. Some share their name, as two of ImageNet's do with two others: their keys tell them apart, for
/// people, or their numbers, where the keys are equal too.
fn class_labels(classes: &[Class], templates: &[Template]) -> Vec<Label> {
    let (mut of_name, mut of_key) = (HashMap::new(), HashMap::new());
    for Class { name, key } in classes {
        *of_name.entry(name.as_str()).or_insert(0) += 1;
        *of_key.entry((name.as_str(), key.as_str())).or_insert(0) += 1;
    }
    let label = |(number, Class { name, key }): (usize, &Class)| {
        if of_name[name.as_str()] == 1 {
            return Label::plain(name);
        }
        let told_apart = match of_key[&(name.as_str(), key.as_str())] {
            1 => format!("{name} ({key})"),
            _ => format!("{name} ({number})"),
        };
        Label {
            prompts: match templates {
                [] => vec![name.clone()],
                templates => templates.iter().map(|template| template.fill(name)).collect(),
            },
            ..Label::plain(told_apart)
        }
    };
    classes.iter().enumerate().map(label).collect()
}

fn open_folder(path: &Path, options: &DataOptions) -> Result<DataSet> {
    if let Some(found) = cifar::find(path, options.split) {
        return cifar::open(&found);
    }
    let archives = archives_of(path)?;
    if !archives.is_empty() {
        return tars::open(&archives, &options.scratch);
    }
    let data = folders::open(path)?;
    Ok(match imagenet::is_it(&data) {
        true => imagenet::named(data),
        false => data,
    })
}

/// A folder's tars, in byte order of their names; of its split's folder, where it has one.
fn archives_of(path: &Path) -> Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for folder in [path.to_owned(), path.join("test")]
        .iter()
        .filter(|folder| folder.is_dir())
    {
        let unreadable = Error::read(folder);
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let inner = entry.map_err(unreadable)?.path();
            if archive::is_named_like_one(&inner) && inner.is_file() {
                archives.push(inner);
            }
        }
        if !archives.is_empty() {
            break;
        }
    }
    archives.sort();
    Ok(archives)
}

fn open_file(path: &Path, options: &DataOptions) -> Result<DataSet> {
    let unreadable = Error::read(path);
    if let Some(found) = cifar::find_file(path) {
        return cifar::open(&found);
    }
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    match ending.as_ref().and_then(|ending| ending.to_str()) {
        Some("csv") => return records::open_table(path, b','),
        Some("tsv") => return records::open_table(path, b'\t'),
        Some("ndjson" | "jsonl" | "json") => return records::open_json(path),
        _ => {}
    }
    let mut start = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(archive::TELLING_BYTES)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return records::open_json(path);
    }
    if archive::begins_like_one(&start) || archive::is_named_like_one(path) {
        return tars::open(&[path.to_owned()], &options.scratch);
    }
    Err(Error::usage(
        format!("`{}` is no data of classes", path.display()),
        EXPECTED,
    ))
}

/// A name as it is compared: folders have underscores for spaces.
fn compared(name: &str) -> String {
    let spaced = name.trim().replace('_', " ");
    match spaced.trim().is_empty() {
        // Underscores alone are a name of their own.
        true => name.to_owned(),
        false => spaced,
    }
}

#[cfg(test)]
mod tests;
