//! Distinguishes folders of classes from sets (`train/`, `val/`), each of which holds folders of classes.
//!
//! If sets were taken for classes, a model would be trained, or measured, on which set an image is from. Called by `class_folders.rs`.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::kind::Purpose;
use crate::error::{Error, Result};

/// The folder of an image's class, and the folder in that one which the image is in, if any; `None` for an image right in `root`.
pub(super) fn folders_of<'a>(root: &Path, image: &'a Path) -> Option<(&'a OsStr, Option<&'a OsStr>)> {
    let folders = image.strip_prefix(root).ok()?.parent()?;
    let mut folders = folders.components().map(|part| part.as_os_str());
    Some((folders.next()?, folders.next()))
}

/// A folder in the root that holds images.
pub(super) struct Folder {
    pub(super) name: OsString,
    /// Images right in it.
    n_own: usize,
    /// Its folders that hold images.
    below: Vec<OsString>,
}

impl Folder {
    /// Counts an image; those of one folder come in sequence.
    pub(super) fn count(folders: &mut Vec<Folder>, name: &OsStr, below: Option<&OsStr>) {
        if folders.last().is_none_or(|last| last.name != name) {
            folders.push(Folder {
                name: name.to_owned(),
                n_own: 0,
                below: Vec::new(),
            });
        }
        let Some(folder) = folders.last_mut() else { return };
        match below {
            None => folder.n_own += 1,
            Some(below) if folder.below.last().is_some_and(|last| last == below) => {}
            Some(below) => folder.below.push(below.to_owned()),
        }
    }

    fn is_called(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }

    /// Whether it is a set of classes rather than a class. One folder in it may be how a set stores the images of each class
    /// (Tiny ImageNet's `n01443537/images/`).
    fn is_set(&self) -> bool {
        let has_name = self.is_called(&TRAINING) || self.is_called(&VALIDATION);
        self.n_own == 0 && (self.below.len() > 1 || has_name)
    }
}

/// Names of folders of sets.
const TRAINING: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 7] = ["val", "valid", "validation", "dev", "test", "testing", "eval"];

/// Folders that a message names at most.
const NAMED_MAX: usize = 3;

/// An error if one of the folders looks like a set.
pub(super) fn refuse_sets(root: &Path, folders: &[Folder], purpose: Purpose) -> Result<()> {
    let Some(set) = folders.iter().find(|folder| folder.is_set()) else {
        return Ok(());
    };
    let place = |folder: &Folder| root.join(&folder.name).display().to_string();
    let called = |names: &[&str]| folders.iter().find(|folder| folder.is_set() && folder.is_called(names));
    let meant = match (called(&TRAINING), called(&VALIDATION)) {
        (_, Some(validation)) if purpose != Purpose::Training => format!("`{}`", place(validation)),
        (Some(training), Some(validation)) => {
            format!(
                "`{}` to train on and `{}` to validate on",
                place(training),
                place(validation)
            )
        }
        (training, _) => format!("`{}`", place(training.unwrap_or(set))),
    };
    let mut inner: Vec<String> = set.below.iter().map(|name| format!("`{}`", name.display())).collect();
    if inner.len() > NAMED_MAX {
        inner.truncate(NAMED_MAX);
        inner.push("...".to_owned());
    }
    Err(Error::usage(
        format!(
            "`{}` has no image of its own but folders of images ({}): it looks like a set of classes, not like a class",
            place(set),
            inner.join(", ")
        ),
        format!("name the folder whose folders are the classes: {meant}; a class has its images right in its folder"),
    ))
}
