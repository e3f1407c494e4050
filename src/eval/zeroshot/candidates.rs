//! Finds the label of what an image shows: by name, by the data's own word for the class, by number.
//!
//! Names are compared as written and, failing that, with spaces for underscores. A number that is not a name is an index of the data's
//! list of classes or, if it has none, of the labels as given: of the lines of a label file, also those that repeat a label, are blank
//! or are comments. In a table, a further prompt of a label is not a label.

use std::collections::HashMap;

use crate::data::{Class, ClassOf, spaced};
use crate::labels::LabelList;

/// Finds the class of an image.
pub(super) struct Candidates<'a> {
    n_labels: usize,
    /// The label of each number.
    numbered: &'a [Option<usize>],
    /// Labels by their names, as written and as compared.
    by_name: HashMap<String, usize>,
    /// The data's classes by their keys.
    by_key: HashMap<&'a str, usize>,
    classes: &'a [Class],
    /// The label of each of the data's classes, if the labels are made of them.
    of_classes: Option<Vec<usize>>,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(labels: &'a LabelList, classes: &'a [Class], of_classes: Option<Vec<usize>>) -> Self {
        let mut by_name = HashMap::new();
        for (i, label) in labels.labels().iter().enumerate() {
            by_name.entry(spaced(&label.name)).or_insert(i);
        }
        for (i, label) in labels.labels().iter().enumerate() {
            by_name.insert(label.name.clone(), i);
        }
        Candidates {
            n_labels: labels.labels().len(),
            numbered: labels.numbered(),
            by_name,
            by_key: classes
                .iter()
                .enumerate()
                .map(|(i, class)| (class.key.as_str(), i))
                .collect(),
            classes,
            of_classes,
        }
    }

    /// The label of what an image shows, or why there is none.
    pub(super) fn find(&self, class: &ClassOf) -> std::result::Result<usize, String> {
        match class {
            ClassOf::Index(i) => self.of_number(*i),
            ClassOf::Name(name) => match (self.of_name(name), name.parse()) {
                (Some(label), _) => Ok(label),
                (None, Ok(number)) => self.of_number(number),
                (None, Err(_)) => Err(self.none_of_these(name)),
            },
        }
    }

    /// A number is an index of the data's list of classes or, if it has none, of the labels.
    fn of_number(&self, i: usize) -> std::result::Result<usize, String> {
        if self.classes.is_empty() {
            return match self.numbered.get(i) {
                Some(Some(label)) => Ok(*label),
                Some(None) => Err(format!(
                    "its class is number {i}, counted from 0; that line of the labels is blank or a comment"
                )),
                None => Err(format!(
                    "its class is number {i}; there are {} labels, counted from 0",
                    self.numbered.len()
                )),
            };
        }
        let Some(class) = self.classes.get(i) else {
            return Err(format!(
                "its class is number {i}; the data names {} classes, counted from 0",
                self.classes.len()
            ));
        };
        self.of_class(i).ok_or_else(|| self.none_of_these(&class.key))
    }

    fn none_of_these(&self, name: &str) -> String {
        match self.n_labels {
            1 => format!("its class `{name}` is not the one label"),
            n => format!("its class `{name}` is none of the {n} labels"),
        }
    }

    fn of_name(&self, name: &str) -> Option<usize> {
        match self.by_key.get(name) {
            Some(class) => self.of_class(*class),
            None => self.named(name),
        }
    }

    fn of_class(&self, i: usize) -> Option<usize> {
        match &self.of_classes {
            Some(labels) => labels.get(i).copied(),
            None => self
                .named(&self.classes[i].name)
                .or_else(|| self.named(&self.classes[i].key)),
        }
    }

    fn named(&self, name: &str) -> Option<usize> {
        let exact = self.by_name.get(name);
        exact.or_else(|| self.by_name.get(&spaced(name))).copied()
    }
}
