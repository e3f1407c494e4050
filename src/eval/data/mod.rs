//! Data of a zero-shot evaluation: pictures, and what each one shows; a file a kind of data.
//!
//! [`DataSet::open`] tells by content what a path is and looks through it once. What is wrong with a sample is found
//! there or when it is resolved against the classes ([`DataSet::resolve`]), said with file and place, and costs that
//! sample alone: the others go on. A new kind is a file here and an arm in [`DataSet::open`].

mod folders;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::Picture;
use crate::error::{Error, Result};
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

/// A sample, or some of the data, that can't be used.
#[derive(Debug)]
pub struct Unusable {
    /// Where it stands.
    pub place: String,
    /// Why not.
    pub error: Error,
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

const EXPECTED: &str = "data is a folder with a folder of pictures for each class";

impl DataSet {
    /// Looks through data.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no data, or holds none; [`Error::Read`] if it can't be read.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            return Err(Error::usage(
                format!("`{}` is no data of classes", path.display()),
                EXPECTED,
            ));
        }
        let data = folders::open(path)?;
        if data.samples.is_empty() {
            let why = match data.unusable.first() {
                Some(Unusable { place, error }) => format!("; the first problem is at {place}: {error}"),
                None => String::new(),
            };
            return Err(Error::usage(
                format!("there is no picture in `{}`{why}", path.display()),
                EXPECTED,
            ));
        }
        Ok(data)
    }

    /// Gives each picture its class: among `given`, where the person named labels, else among the data's own.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is no class, or no picture of one.
    pub fn resolve(self, given: LabelList) -> Result<Resolved> {
        let labels = if given.is_empty() { self.own_labels()? } else { given };
        let candidates = Candidates::new(&labels, &self.classes);
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
                Err(problem) => {
                    let name = place.clone();
                    let error = Error::Sample { name, problem };
                    resolved.unusable.push(Unusable { place, error });
                }
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

    /// The classes as labels: the data's list, or the names that its pictures have, in byte order.
    fn own_labels(&self) -> Result<LabelList> {
        let mut labels = LabelList::default();
        if !self.classes.is_empty() {
            labels.extend(self.classes.iter().map(|class| Label::plain(&class.name)))?;
            return Ok(labels);
        }
        let names: BTreeSet<&str> = self
            .samples
            .iter()
            .filter_map(|sample| match &sample.truth {
                Truth::Name(name) => Some(name.as_str()),
                Truth::Index(_) => None,
            })
            .collect();
        if names.is_empty() {
            return Err(Error::usage(
                "the data numbers its classes and doesn't name them",
                "name them in that order: `--labels-file FILE`, one a line",
            ));
        }
        labels.extend(names.into_iter().map(Label::plain))?;
        Ok(labels)
    }
}

/// Finds a picture's class.
struct Candidates<'a> {
    n_labels: usize,
    /// Labels by their names, as written and as compared.
    by_name: HashMap<String, usize>,
    /// The data's classes by their keys.
    by_key: HashMap<&'a str, &'a Class>,
    classes: &'a [Class],
}

impl<'a> Candidates<'a> {
    fn new(labels: &LabelList, classes: &'a [Class]) -> Self {
        let mut by_name = HashMap::new();
        for (i, label) in labels.labels().iter().enumerate() {
            by_name.entry(compared(&label.name)).or_insert(i);
        }
        for (i, label) in labels.labels().iter().enumerate() {
            by_name.insert(label.name.clone(), i);
        }
        Candidates {
            n_labels: labels.labels().len(),
            by_name,
            by_key: classes.iter().map(|class| (class.key.as_str(), class)).collect(),
            classes,
        }
    }

    fn find(&self, truth: &Truth) -> std::result::Result<usize, String> {
        match truth {
            Truth::Name(name) => self.of_name(name),
            Truth::Index(i) if self.classes.is_empty() => match *i < self.n_labels {
                true => Ok(*i),
                false => Err(format!(
                    "its class is number {i}; there are {} labels, counted from 0",
                    self.n_labels
                )),
            },
            Truth::Index(i) => match self.classes.get(*i) {
                Some(class) => self.of_name(&class.key),
                None => Err(format!(
                    "its class is number {i}; the data names {} classes, counted from 0",
                    self.classes.len()
                )),
            },
        }
    }

    fn of_name(&self, key: &str) -> std::result::Result<usize, String> {
        let name = self.by_key.get(key).map_or(key, |class| class.name.as_str());
        let found = [name, key].into_iter().find_map(|name| {
            let exact = self.by_name.get(name);
            exact.or_else(|| self.by_name.get(&compared(name)))
        });
        found
            .copied()
            .ok_or_else(|| format!("its class `{key}` is none of the {} labels", self.n_labels))
    }
}

/// A name as it is compared: folders have underscores for spaces.
fn compared(name: &str) -> String {
    name.trim().replace('_', " ")
}

#[cfg(test)]
mod tests;
