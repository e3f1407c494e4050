//! CIFAR-10 and CIFAR-100 (A. Krizhevsky, *Learning multiple layers of features from tiny images*, 2009) as they are distributed:
//! `binary.rs` for C, `python.rs` for Python. 32 × 32 pixels, the planes of red, green and blue in sequence.
//!
//! A folder is recognised by its files' names, or by those of a folder in it; a single file is a batch. Images are passed on
//! as PPM, which keeps their pixels unchanged.

mod batch;
mod binary;
mod python;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::BatchForm::{Binary, Python};
use self::batch::CifarSet::{self, Hundred, Ten};
use self::batch::{Batch, BatchContent};
use super::image::{Image, Shelf, file_stamp};
use super::kind::{CaptionProtocol, DataOptions, Kind, Opened, Split, file_name};
use super::sample::{Class, ClassOf, Listed, Sample};
use super::unusable::Unusable;
use crate::error::{Error, Result};

pub(super) const KIND: Kind = Kind {
    name: "CIFAR",
    what: "CIFAR-10 or CIFAR-100 as they are distributed",
    looks_like: |candidate| {
        let found = find(candidate.path, candidate.options.split)?;
        // Other files may have such names too, so a single batch of Python has to begin as a pickle.
        let is_it = candidate.is_folder || found.form == Binary || candidate.head.starts_with(b"\x80");
        is_it.then(|| file_name(&found.paths[0]))
    },
    open: |paths, options| open(&paths[0], options),
    is_joined: false,
    has_fields: false,
    protocol: CaptionProtocol::WHOLE,
};

/// How it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BatchForm {
    Binary,
    Python,
}

/// The batches of a split.
#[derive(Debug, Clone)]
struct Batches {
    set: CifarSet,
    form: BatchForm,
    folder: PathBuf,
    paths: Vec<PathBuf>,
}

/// The names of batches: of which set, in which form, of which split.
#[rustfmt::skip]
const NAMES: [(CifarSet, BatchForm, Split, &[&str]); 8] = [
    (Ten, Binary, Split::Test, &["test_batch.bin"]),
    (Ten, Binary, Split::Train,
     &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"]),
    (Ten, Python, Split::Test, &["test_batch"]),
    (Ten, Python, Split::Train, &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]),
    (Hundred, Binary, Split::Test, &["test.bin"]),
    (Hundred, Binary, Split::Train, &["train.bin"]),
    (Hundred, Python, Split::Test, &["test"]),
    (Hundred, Python, Split::Train, &["train"]),
];

/// The folders that the archives hold. Their parent may be named too.
const FOLDERS: [&str; 4] = [
    "cifar-10-batches-bin",
    "cifar-10-batches-py",
    "cifar-100-binary",
    "cifar-100-python",
];

/// The batches in a folder, if it is a CIFAR, or the one that a file is.
fn find(path: &Path, split: Split) -> Option<Batches> {
    if !path.is_dir() {
        return find_file(path);
    }
    let inner = FOLDERS.iter().map(|name| path.join(name));
    let mut folders = std::iter::once(path.to_owned()).chain(inner);
    folders.find_map(|folder| {
        let batches = |names: &[&str]| names.iter().map(|name| folder.join(name)).collect::<Vec<_>>();
        // If one of several batches is missing, that is reported when they are read.
        let is_it = |names: &[&str], of| of == split && batches(names).iter().any(|batch| batch.is_file());
        let (set, form, _, names) = NAMES.iter().find(|(_, _, of, names)| is_it(names, *of))?;
        Some(Batches {
            set: *set,
            form: *form,
            paths: batches(names),
            folder: folder.clone(),
        })
    })
}

/// A file is a batch by its name or its length.
fn find_file(path: &Path) -> Option<Batches> {
    let name = path.file_name()?.to_str()?;
    let named = NAMES.iter().find(|(.., names)| names.contains(&name));
    let (set, form) = match named {
        Some((set, form, ..)) => (*set, *form),
        None if name.ends_with(".bin") => (binary::set_by_length(path)?, Binary),
        None => return None,
    };
    Some(Batches {
        set,
        form,
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        paths: vec![path.to_owned()],
    })
}

fn open(path: &Path, options: &DataOptions) -> Result<Opened> {
    let batches = find(path, options.split).expect("opened because it looks like one");
    let (mut samples, mut unusable) = (Vec::new(), Vec::new());
    for path in &batches.paths {
        let name = path.display().to_string();
        let bytes = match std::fs::read(path).map_err(Error::read(path)) {
            Ok(bytes) => bytes,
            Err(error) => {
                unusable.push(Unusable::of(error, name));
                continue;
            }
        };
        let content = match batches.form {
            Binary => Ok(binary::read(&bytes, batches.set)),
            Python => python::read(&bytes, batches.set),
        };
        match content {
            Ok(content) => add_batch(path, content, batches.set, &mut samples, &mut unusable),
            Err(problem) => unusable.push(Unusable::new(name, problem)),
        }
    }
    let (list, names) = class_names(&batches, &mut unusable);
    let form = match batches.form {
        Binary => "binary",
        Python => "Python's",
    };
    Ok(Opened {
        title: format!("CIFAR-{}, {form}", batches.set.n_classes()),
        classes: names.into_iter().map(Class::new).collect(),
        files: vec![list],
        ..Opened::new(&KIND, Listed(samples), unusable)
    })
}

fn add_batch(
    path: &Path,
    content: BatchContent,
    set: CifarSet,
    samples: &mut Vec<Sample>,
    unusable: &mut Vec<Unusable>,
) {
    let name = path.display();
    let batch: Arc<dyn Shelf> = Arc::new(Batch {
        pixels: content.pixels,
        stamp: file_stamp(path),
    });
    for (i, (label, place)) in content.labels.into_iter().enumerate() {
        let place = format!("{name} {place}");
        match usize::try_from(label).ok().filter(|label| *label < set.n_classes()) {
            Some(label) => samples.push(Sample {
                class: Some(ClassOf::Index(label)),
                ..Sample::new(Image::on_shelf(format!("{name}/{i}"), Arc::clone(&batch), i), place)
            }),
            None => {
                let problem = format!("its class is {label}; there are {}, counted from 0", set.n_classes());
                unusable.push(Unusable::new(place, problem));
            }
        }
    }
    unusable.extend(content.damage.map(|damage| Unusable::new(name.to_string(), damage)));
}

/// The data's own list, and the names in it, or the published ones if it is missing or damaged.
fn class_names(batches: &Batches, unusable: &mut Vec<Unusable>) -> (PathBuf, Vec<String>) {
    let set = batches.set;
    let (path, read) = match batches.form {
        Binary => binary::names(set, &batches.folder),
        Python => python::names(set, &batches.folder),
    };
    let problem = match read {
        Ok(Some(names)) if names.len() == set.n_classes() => return (path, names),
        Ok(Some(names)) => Some(format!(
            "it names {} classes; there are {}, and their published names are used",
            names.len(),
            set.n_classes()
        )),
        Ok(None) => None,
        Err(problem) => Some(problem),
    };
    unusable.extend(problem.map(|problem| Unusable::new(path.display().to_string(), problem)));
    (path, set.names().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
