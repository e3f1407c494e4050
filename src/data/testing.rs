//! What the tests of data sets share.

use std::fs;
use std::path::{Path, PathBuf};

use super::kind::{DataOptions, Opened, Purpose, Split};
use super::kinds::open;
use super::sample::Sample;
use super::unusable::Unusable;
use crate::error::Error;
use crate::input::testing::slashed;

pub(crate) fn options(purpose: Purpose) -> DataOptions {
    DataOptions {
        purpose,
        images: None,
        caption_field: None,
        split: match purpose {
            Purpose::Training => Split::Train,
            Purpose::ZeroShot | Purpose::Retrieval => Split::Test,
        },
        scratch: std::env::temp_dir(),
    }
}

/// A file of `tests/data`.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// A folder with files, each of which holds its own name.
pub(crate) fn folder(files: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    fs::create_dir(&root).unwrap();
    for file in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    (dir, root)
}

/// A folder with an image `a.jpg` and a file of data.
pub(crate) fn file(name: &str, bytes: impl AsRef<[u8]>) -> (tempfile::TempDir, PathBuf) {
    let (dir, root) = folder(&["a.jpg"]);
    fs::write(root.join(name), bytes).unwrap();
    (dir, root.join(name))
}

pub(crate) fn said(unusable: &[Unusable]) -> Vec<String> {
    unusable.iter().map(|unusable| unusable.error.to_string()).collect()
}

pub(crate) fn opened(path: &Path, purpose: Purpose) -> Opened {
    open(path, &options(purpose)).unwrap()
}

/// An error's hint, as the library words it.
pub(crate) fn hint_of(error: &Error) -> String {
    error.hint().map(|hint| hint.to_string()).unwrap_or_default()
}

/// The problem and the hint of data that is refused.
#[track_caller]
pub(crate) fn refused(path: &Path, purpose: Purpose) -> (String, String) {
    let error = open(path, &options(purpose)).err().expect("it is refused");
    (slashed(&error.to_string()), slashed(&hint_of(&error)))
}

/// All samples of a data set that can be read, and what is said about the others.
pub(crate) fn read(path: &Path, purpose: Purpose) -> (Vec<Sample>, Vec<String>) {
    let opened = opened(path, purpose);
    let (mut samples, mut problems) = (Vec::new(), said(&opened.unusable));
    for i in 0..opened.source.len() {
        match opened.source.read(i) {
            Ok(sample) => samples.push(sample),
            Err(error) => problems.push(error.to_string()),
        }
    }
    (samples, problems)
}

/// Checks that there are as many problems as expected, and that each holds what is expected.
#[track_caller]
pub(crate) fn check_said(problems: &[String], expected: &[&str]) {
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(slashed(problem).contains(expected), "`{expected}` is not in: {problem}");
    }
}

/// The last parts of the images' names, each with its captions.
pub(crate) fn captions(samples: &[Sample]) -> Vec<(String, Vec<String>)> {
    let captioned = |sample: &Sample| {
        let name = slashed(sample.image.name());
        let last = name.rsplit('/').next().unwrap_or_default();
        (last.to_owned(), sample.captions.clone())
    };
    samples.iter().map(captioned).collect()
}
