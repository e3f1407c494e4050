//! Tells folders of classes from sets (`train/`, `val/`), of which each holds folders of classes.
//!
//! Taken for classes, sets would train a model to say which set a picture is of. Called by `classes.rs`, which shows each picture
//! that it meets.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::error::{Error, Result};

/// A folder in the root that holds pictures.
pub(super) struct Folder {
    pub(super) name: OsString,
    /// Pictures that lie right in it.
    n_own: usize,
    /// Its folders that hold pictures.
    below: Vec<OsString>,
}

impl Folder {
    /// Counts a picture; those of a folder come one behind the other.
    pub(super) fn take(folders: &mut Vec<Folder>, name: &OsStr, below: Option<&OsStr>) {
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

    /// Whether it is rather a set of classes than a class. One folder in it may be the way in which a set stores the pictures
    /// of each class (Tiny ImageNet's `n01443537/images/`).
    fn is_set(&self) -> bool {
        let is_called_so = self.is_called(&TRAINING) || self.is_called(&VALIDATION);
        self.n_own == 0 && (self.below.len() > 1 || is_called_so)
    }
}

/// What folders of sets are called.
const TRAINING: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 7] = ["val", "valid", "validation", "dev", "test", "testing", "eval"];

pub(super) fn refuse_sets(root: &Path, folders: &[Folder]) -> Result<()> {
    let Some(set) = folders.iter().find(|folder| folder.is_set()) else {
        return Ok(());
    };
    let place = |folder: &Folder| root.join(&folder.name).display().to_string();
    let called = |names: &[&str]| folders.iter().find(|folder| folder.is_set() && folder.is_called(names));
    let flags = match (called(&TRAINING), called(&VALIDATION)) {
        (Some(training), Some(validation)) => format!("--data {} --val-data {}", place(training), place(validation)),
        (Some(training), None) => format!("--data {}", place(training)),
        (None, _) => format!("--data {}", place(set)),
    };
    const NAMED_MAX: usize = 3;
    let inner: Vec<String> = set.below.iter().map(|name| format!("`{}`", name.display())).collect();
    let more = match inner.len() > NAMED_MAX {
        true => ", ...",
        false => "",
    };
    Err(Error::usage(
        format!(
            "`{}` has no picture of its own but folders of pictures ({}{more}): it looks like a set of classes, not like a class",
            place(set),
            inner[..inner.len().min(NAMED_MAX)].join(", ")
        ),
        format!(
            "name the folder whose folders are the classes: `{flags}`; a class has its pictures right in its folder"
        ),
    ))
}
