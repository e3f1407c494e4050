//! CIFAR-10 and CIFAR-100 (A. Krizhevsky, *Learning multiple layers of features from tiny images*, 2009) as they are
//! distributed: `binary.rs` for C, `python.rs` for Python. 32 × 32 pixels, red, green and blue one plane behind the other.
//!
//! A folder is one of them by its files' names, or holds the folder that is; a single file is a batch. Pictures are handed on
//! as PPM, which holds their pixels as they are.

mod binary;
mod python;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Class, DataSet, Sample, Truth, compared};
use crate::error::{Error, Result};
use crate::eval::{Picture, Shelf, Unusable, pictures};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
/// Bytes of a picture.
const PIXELS: usize = 3 * PLANE;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ten,
    Hundred,
}

/// How it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Binary,
    Python,
}

/// What a folder was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    kind: Kind,
    form: Form,
    folder: PathBuf,
    batches: Vec<PathBuf>,
}

/// Which pictures of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Split {
    /// Those that models are measured by.
    #[default]
    Test,
    /// Those that models learn from.
    Train,
}

impl Kind {
    fn n_classes(self) -> usize {
        match self {
            Kind::Ten => 10,
            Kind::Hundred => 100,
        }
    }

    /// The names that the data set has; they stand in its own files too.
    fn names(self) -> impl Iterator<Item = &'static str> {
        match self {
            Kind::Ten => include_str!("../lists/cifar10.txt").lines(),
            Kind::Hundred => include_str!("../lists/cifar100.txt").lines(),
        }
    }
}

/// Names of batches: of which set, in which form, for what.
const BATCHES: [(Kind, Form, Split, &[&str]); 8] = [
    (Kind::Ten, Form::Binary, Split::Test, &["test_batch.bin"]),
    (
        Kind::Ten,
        Form::Binary,
        Split::Train,
        &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
    ),
    (Kind::Ten, Form::Python, Split::Test, &["test_batch"]),
    (
        Kind::Ten,
        Form::Python,
        Split::Train,
        &[
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
        ],
    ),
    (Kind::Hundred, Form::Binary, Split::Test, &["test.bin"]),
    (Kind::Hundred, Form::Binary, Split::Train, &["train.bin"]),
    (Kind::Hundred, Form::Python, Split::Test, &["test"]),
    (Kind::Hundred, Form::Python, Split::Train, &["train"]),
];

/// Folders of the archives, which a person may name the parent of.
const FOLDERS: [&str; 4] = [
    "cifar-10-batches-bin",
    "cifar-10-batches-py",
    "cifar-100-binary",
    "cifar-100-python",
];

/// Whether a folder is a CIFAR, and which.
pub(super) fn find(path: &Path, split: Split) -> Option<Found> {
    let inner = FOLDERS.iter().map(|name| path.join(name));
    let folders = std::iter::once(path.to_owned()).chain(inner);
    folders.filter(|folder| folder.is_dir()).find_map(|folder| {
        BATCHES.iter().find_map(|(kind, form, of, names)| {
            let batches: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
            // The training set is it as well where one of its batches is missing, which is said then.
            let is_it = *of == split && batches.iter().any(|batch| batch.is_file());
            is_it.then(|| Found {
                kind: *kind,
                form: *form,
                folder: folder.clone(),
                batches,
            })
        })
    })
}

/// Whether a file is a batch of a CIFAR: by its name, or as a pickle or by its length.
pub(super) fn find_file(path: &Path) -> Option<Found> {
    let name = path.file_name()?.to_str()?;
    let named = BATCHES.iter().find(|(.., names)| names.contains(&name));
    let (kind, form) = match named {
        Some((kind, form, ..)) => (*kind, *form),
        None if name.ends_with(".bin") => (binary::kind_by_length(path)?, Form::Binary),
        None => return None,
    };
    Some(Found {
        kind,
        form,
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        batches: vec![path.to_owned()],
    })
}

/// A batch in memory; 10,000 pictures are 31 MB.
struct Batch {
    /// `(n, 3, 32, 32)` bytes.
    pixels: Vec<u8>,
    stamp: String,
}

impl Shelf for Batch {
    fn read(&self, i: usize) -> Result<Vec<u8>> {
        let planes = &self.pixels[i * PIXELS..(i + 1) * PIXELS];
        let mut ppm = format!("P6\n{SIDE} {SIDE}\n255\n").into_bytes();
        for at in 0..PLANE {
            ppm.extend([planes[at], planes[PLANE + at], planes[2 * PLANE + at]]);
        }
        Ok(ppm)
    }

    fn stamp(&self) -> String {
        self.stamp.clone()
    }
}

/// What was read of a batch's file.
struct Read {
    /// `(n, 3, 32, 32)` bytes.
    pixels: Vec<u8>,
    /// Each picture's class and where that stands.
    labels: Vec<(i64, String)>,
    /// What could not be read.
    damage: Option<String>,
}

pub(super) fn open(found: &Found) -> Result<DataSet> {
    let Found {
        kind,
        form,
        folder,
        batches,
    } = found;
    let (set, form_name) = (
        kind.n_classes(),
        match form {
            Form::Binary => "binary",
            Form::Python => "Python's",
        },
    );
    let mut data = DataSet::new(&format!("CIFAR-{set}, {form_name}"));
    for path in batches {
        let name = path.display().to_string();
        let unreadable = Error::read(path);
        let bytes = match std::fs::read(path).map_err(unreadable) {
            Ok(bytes) => bytes,
            Err(error) => {
                data.unusable.push(Unusable { place: name, error });
                continue;
            }
        };
        let read = match form {
            Form::Binary => Ok(binary::read(&bytes, *kind)),
            Form::Python => python::read(&bytes, *kind),
        };
        match read {
            Ok(read) => data.add_batch(path, read, *kind),
            Err(problem) => data.leave_out(name, problem),
        }
    }
    data.classes = classes(*kind, *form, folder, &mut data);
    Ok(data)
}

impl DataSet {
    fn add_batch(&mut self, path: &Path, read: Read, kind: Kind) {
        let batch: Arc<dyn Shelf> = Arc::new(Batch {
            pixels: read.pixels,
            stamp: pictures::file_stamp(path),
        });
        for (i, (label, place)) in read.labels.into_iter().enumerate() {
            let name = format!("{}/{i}", path.display());
            let place = format!("{} {place}", path.display());
            match usize::try_from(label).ok().filter(|label| *label < kind.n_classes()) {
                Some(label) => self.samples.push(Sample {
                    picture: Picture::on_shelf(name, Arc::clone(&batch), i),
                    truth: Truth::Index(label),
                    place,
                }),
                None => self.leave_out(
                    place,
                    format!("its class is {label}; there are {}, counted from 0", kind.n_classes()),
                ),
            }
        }
        if let Some(damage) = read.damage {
            self.leave_out(path.display().to_string(), damage);
        }
    }
}

/// The classes by the data's own list, where it is there and whole; else by the names that are known.
fn classes(kind: Kind, form: Form, folder: &Path, data: &mut DataSet) -> Vec<Class> {
    let known = || kind.names().map(str::to_owned).collect::<Vec<String>>();
    let (path, read) = match form {
        Form::Binary => binary::names(kind, folder),
        Form::Python => python::names(kind, folder),
    };
    let names = match read {
        Ok(Some(names)) if names.len() == kind.n_classes() => names,
        Ok(None) => known(),
        Ok(Some(names)) => {
            let problem = format!(
                "it names {} classes; there are {}, whose known names are used",
                names.len(),
                kind.n_classes()
            );
            data.leave_out(path.display().to_string(), problem);
            known()
        }
        Err(problem) => {
            data.leave_out(path.display().to_string(), problem);
            known()
        }
    };
    let class = |key: String| Class {
        name: compared(&key),
        key,
    };
    names.into_iter().map(class).collect()
}

#[cfg(test)]
mod tests;
