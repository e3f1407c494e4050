//! A folder with a folder of pictures for each class: the class is the folder's name, an underscore read as a space.
//!
//! Pictures are found as `classify --follow` finds them, at any depth: in byte order, hidden ones passed over. A folder without a
//! picture is a class too, which pictures may be taken for.

use std::path::Path;

use super::{Class, DataSet, Sample, Truth, compared};
use crate::error::{Error, Result};
use crate::eval::{Picture, Unusable, in_words};
use crate::input::class_folders::{folders_of, pictures_below};
use crate::input::{Content, Skipped};

pub(super) fn open(path: &Path) -> Result<DataSet> {
    let mut data = DataSet {
        classes: classes(path)?,
        ..DataSet::new("a folder a class")
    };
    for item in pictures_below(path, &Skipped::default()) {
        let name = item.name.to_string();
        match item.content {
            Content::File(picture) => match folders_of(path, &picture) {
                Some((class, _)) => data.samples.push(Sample {
                    place: name,
                    truth: Truth::Name(in_words(class)),
                    picture: Picture::file(picture),
                }),
                None => data.leave_out(name, "it lies beside the folders of the classes, and so has no class"),
            },
            Content::Nothing(Some(error)) => data.unusable.push(Unusable { place: name, error }),
            _ => {}
        }
    }
    Ok(data)
}

impl DataSet {
    /// Something of the data that can't be used.
    pub(super) fn leave_out(&mut self, place: String, problem: impl Into<String>) {
        self.unusable.push(Unusable::new(place, problem));
    }
}

/// The folders, in byte order of their names.
fn classes(path: &Path) -> Result<Vec<Class>> {
    let unreadable = Error::read(path);
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let key = in_words(&entry.file_name());
        if entry.path().is_dir() && !key.starts_with('.') {
            keys.push(key);
        }
    }
    keys.sort_unstable();
    let class = |key: String| Class {
        name: compared(&key),
        key,
    };
    Ok(keys.into_iter().map(class).collect())
}
