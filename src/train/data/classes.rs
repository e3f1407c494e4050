//! A folder with a folder of pictures for each class: the class is the folder's name, and templates make captions of it.
//!
//! What is learnt so is what a zero-shot classifier asks for. An underscore in a folder's name is read as a space.
//! Pictures are found as `classify` finds them: in byte order, hidden ones passed over.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{DataOptions, Sample, Source, unusable};
use crate::error::{Error, Result};
use crate::input::{Content, InputOptions, Inputs, Source as Named};
use crate::labels::Template;
use crate::text::first_sentence;

pub(super) struct Classes {
    names: Vec<String>,
    pictures: Vec<(PathBuf, u32)>,
    templates: Vec<Template>,
}

pub(super) fn open(path: &Path, options: &DataOptions) -> Result<Classes> {
    assert!(!options.templates.is_empty(), "captions are made of a template");
    let inputs = Inputs {
        sources: vec![Named::Named(path.to_owned())],
        options: InputOptions::default(),
    };
    let mut classes = Classes {
        names: Vec::new(),
        pictures: Vec::new(),
        templates: options.templates.clone(),
    };
    for item in inputs.items() {
        let Content::File(picture) = item.content else { continue };
        let Some(name) = class_name(path, &picture) else {
            continue;
        };
        if classes.names.last() != Some(&name) {
            classes.names.push(name);
        }
        classes.pictures.push((picture, classes.names.len() as u32 - 1));
    }
    Ok(classes)
}

/// The first folder between `root` and the picture; a picture in `root` itself has none.
fn class_name(root: &Path, picture: &Path) -> Option<String> {
    let mut parts = picture.strip_prefix(root).ok()?.components();
    let first = parts.next()?;
    parts.next()?;
    Some(first.as_os_str().to_string_lossy().replace('_', " ").trim().to_owned())
}

impl Source for Classes {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn name(&self, i: usize) -> String {
        self.pictures[i].0.display().to_string()
    }

    fn read(&self, i: usize, draw: u64) -> Result<Sample> {
        let (path, class_idx) = &self.pictures[i];
        let class = &self.names[*class_idx as usize];
        let caption = self.templates[(draw % self.templates.len() as u64) as usize].fill(class);
        let name = self.name(i);
        let picture = std::fs::read(path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        if class.is_empty() {
            return Err(unusable(name, "its folder's name says nothing"));
        }
        Ok(Sample {
            name,
            picture,
            short: first_sentence(&caption).to_owned(),
            long: caption,
            class: Some(class.clone()),
        })
    }

    fn outline(&self, hash: &mut Sha256) {
        for (path, class_idx) in &self.pictures {
            hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
            hash.update(class_idx.to_le_bytes());
        }
        self.names.iter().for_each(|name| hash.update(name.as_bytes()));
    }
}
