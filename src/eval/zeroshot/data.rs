//! The part of a data set that a zero-shot evaluation uses: images, and the class of each.
//!
//! Called by `longclip eval zeroshot`. A sample without a class, or with a class that is not among the labels, is reported with
//! its place, and the others are measured.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::candidates::Candidates;
use crate::data::{Class, ClassOf, DataOptions, Image, Purpose, Sample, Split, Unusable, open};
use crate::error::{Error, Result};
use crate::eval::Embeddings;
use crate::labels::{Label, LabelList, Template};

/// Images with classes.
#[derive(Debug)]
pub struct ClassifiedImages {
    /// What kind of data it is, for people: `class folders`.
    pub about: String,
    /// What the data set asks its classes by, if it says so or is known for it.
    pub templates: Vec<Template>,
    /// What could not be used.
    pub unusable: Vec<Unusable>,
    /// Each image, what it shows, and its place in the data.
    samples: Vec<(Image, ClassOf, String)>,
    /// The classes that the data lists, in its order; empty if it has no list.
    classes: Vec<Class>,
    /// Files next to the data that were read too.
    files: Vec<PathBuf>,
}

/// Images whose classes are among the labels.
#[derive(Debug)]
pub struct Resolved {
    /// The candidates, in order.
    pub labels: LabelList,
    /// The images, in the data's order.
    pub images: Vec<Image>,
    /// The class of each, as an index of the labels.
    pub truths: Vec<usize>,
    /// What could not be used.
    pub unusable: Vec<Unusable>,
}

/// The images that each of some models could read, at least one, in the data's order.
#[derive(Debug)]
pub struct ReadByAll<'a> {
    /// The images.
    pub images: Vec<&'a Image>,
    /// For each model, each image's true class and its embedding, `(embed_dim,)`.
    pub rows: Vec<Vec<(usize, &'a [f32])>>,
}

impl Resolved {
    /// The images that all models could read, whose embeddings of them these are.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none.
    pub fn read_by<'a>(&'a self, models: &[&'a Embeddings]) -> Result<ReadByAll<'a>> {
        let mut read = ReadByAll {
            images: Vec::new(),
            rows: vec![Vec::new(); models.len()],
        };
        for (image, truth) in self.images.iter().zip(&self.truths) {
            let of_models = models.iter().map(|embeddings| embeddings.get(image.name()));
            let Some(of_models) = of_models.collect::<Option<Vec<&[f32]>>>() else {
                continue;
            };
            read.images.push(image);
            for (rows, row) in read.rows.iter_mut().zip(of_models) {
                rows.push((*truth, row));
            }
        }
        match read.images.is_empty() {
            false => Ok(read),
            true => Err(Error::usage(
                "no image could be read, so there is nothing to measure",
                "look at the errors above",
            )),
        }
    }
}

impl ClassifiedImages {
    /// Looks through the data set at a path; archives are unpacked below `scratch`.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is not a data set or has no image with a class; [`Error::Read`] if it can't be read.
    pub fn open(path: &Path, split: Split, scratch: PathBuf) -> Result<Self> {
        let options = DataOptions {
            purpose: Purpose::ZeroShot,
            images: None,
            caption_field: None,
            split,
            scratch,
        };
        let opened = open(path, &options)?;
        let (mut samples, mut unusable) = (Vec::new(), opened.unusable);
        for i in 0..opened.source.len() {
            match opened.source.read(i) {
                Ok(Sample { image, place, .. }) if !image.is_there() => {
                    unusable.push(Unusable::new(
                        place,
                        format!("cannot find the image `{}`", image.name()),
                    ));
                }
                Ok(Sample {
                    image,
                    class: Some(class),
                    place,
                    ..
                }) => samples.push((image, class, place)),
                Ok(Sample { place, .. }) => unusable.push(Unusable::new(place, "it has no class")),
                Err(error) => unusable.push(Unusable::of(error, opened.source.place(i))),
            }
        }
        if let (true, Some(first)) = (samples.is_empty(), unusable.first()) {
            let problem = format!("found no image with a class in `{}`: {}", path.display(), first.error);
            return Err(Error::usage(problem, "fix that, or name other data"));
        }
        Ok(ClassifiedImages {
            about: opened.title,
            templates: opened.templates,
            unusable,
            samples,
            classes: opened.classes,
            files: opened.files,
        })
    }

    /// The files that the data leads to, besides the one that is named: images, its own files, lists of classes and templates.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let images = self.samples.iter().filter_map(|(image, ..)| image.path());
        images.chain(self.files.iter().map(PathBuf::as_path))
    }

    /// The templates to make prompts of classes by, and how prompts are made, in words: `named` ones, else the data's own.
    /// Labels that all have prompts of their own need none.
    pub fn prompts(&self, list: &LabelList, named: Option<Vec<Template>>) -> (Vec<Template>, String) {
        let labels = list.labels();
        if !labels.is_empty() && labels.iter().all(|label| !label.prompts.is_empty()) {
            return (named.unwrap_or_default(), "the label file's prompts".to_owned());
        }
        let templates = named.unwrap_or_else(|| self.templates.clone());
        let words = match &templates[..] {
            [] => "the classes' names as they are".to_owned(),
            [one] => format!("`{}`", one.fill("{}")),
            several => format!("{} templates, averaged", several.len()),
        };
        (templates, words)
    }

    /// Gives each image its class: among `given` labels or, if there are none, among the data's own, which are asked by `templates`.
    ///
    /// # Errors
    /// [`Error::Usage`] if no class, or no image of one, is found.
    pub fn resolve(self, given: LabelList, templates: &[Template]) -> Result<Resolved> {
        let (labels, of_classes) = match given.is_empty() {
            true => self.own_labels(templates)?,
            false => (given, None),
        };
        let candidates = Candidates::new(&labels, &self.classes, of_classes);
        let mut resolved = Resolved {
            images: Vec::new(),
            truths: Vec::new(),
            unusable: self.unusable,
            labels: labels.clone(),
        };
        for (image, class, place) in self.samples {
            match candidates.find(&class) {
                Ok(class) => {
                    resolved.images.push(image);
                    resolved.truths.push(class);
                }
                Err(problem) => resolved.unusable.push(Unusable::new(place, problem)),
            }
        }
        match resolved.unusable.first() {
            Some(first) if resolved.images.is_empty() => Err(Error::usage(
                format!("no image has a class; the first problem is: {}", first.error),
                "labels are matched by name with the data's classes; a label file may give each class prompts of its own",
            )),
            _ => Ok(resolved),
        }
    }

    /// The classes as labels, with the label of each of the data's classes: the data's list, or the names that its images have, in
    /// byte order.
    fn own_labels(&self, templates: &[Template]) -> Result<(LabelList, Option<Vec<usize>>)> {
        let mut labels = LabelList::default();
        if !self.classes.is_empty() {
            let own = class_labels(&self.classes, templates);
            let names: Vec<String> = own.iter().map(|label| label.name.trim().to_owned()).collect();
            labels.extend(own)?;
            let list = labels.labels().iter().enumerate();
            let label_of: HashMap<&str, usize> = list.map(|(i, label)| (label.name.as_str(), i)).collect();
            // Each was added under its name, or joined the one that has it.
            let of_classes = names.iter().map(|name| label_of[name.as_str()]).collect();
            return Ok((labels, Some(of_classes)));
        }
        let names: BTreeSet<&str> = self
            .samples
            .iter()
            .filter_map(|(_, class, _)| match class {
                ClassOf::Name(name) => Some(name.as_str()),
                ClassOf::Index(_) => None,
            })
            .collect();
        // Also -1, by which some data says that it doesn't know a class.
        if names.iter().all(|name| name.parse::<f64>().is_ok()) {
            return Err(Error::usage(
                "the data numbers its classes and doesn't name them",
                "give a file of labels that names them in that order, one per line, from number 0",
            ));
        }
        labels.extend(names.into_iter().map(Label::plain))?;
        Ok((labels, None))
    }
}

/// The classes as labels. Some share their name, as two of ImageNet's do with two others. For people, such names get the key of the
/// class, or its number if the keys are equal too.
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
        let distinct = match of_key[&(name.as_str(), key.as_str())] {
            1 => format!("{name} ({key})"),
            _ => format!("{name} ({number})"),
        };
        Label {
            prompts: match templates {
                [] => vec![name.clone()],
                templates => templates.iter().map(|template| template.fill(name)).collect(),
            },
            ..Label::plain(distinct)
        }
    };
    classes.iter().enumerate().map(label).collect()
}

#[cfg(test)]
mod tests;
