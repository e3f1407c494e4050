//! Where a picture's bytes come from; they are read when they are wanted, on a thread of the pipeline.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base64;
use super::url::Address;
use crate::error::{Error, Result};
use crate::preprocess::Picture;

/// The most bytes of one encoded picture. A photo of 200 megapixels has some 100 MB; more is a mistake or an attack.
pub(crate) const LARGEST_BYTES: u64 = 1 << 30;

/// A picture's bytes, or the way to them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Content {
    /// A file's.
    File(PathBuf),
    /// What a URL answers.
    Url(Address),
    /// Here already: from stdin or an archive.
    Bytes(Vec<u8>),
    /// Here in base64, standard alphabet, perhaps as a `data:` URL.
    Base64(String),
    /// An image that is decoded already; it has no bytes.
    Decoded(Arc<Picture>),
    /// Whatever this gives when it is called, on a thread of the pipeline: a caller's own storage.
    Deferred(Deferred),
    /// There are none, and this is why; `None` once that was told.
    Nothing(Option<Error>),
}

/// A way to a picture's bytes that only its maker knows.
pub struct Deferred(Option<Box<dyn FnOnce() -> Result<Vec<u8>> + Send>>);

impl Deferred {
    /// Wraps what is to be called, once.
    pub fn new(read: impl FnOnce() -> Result<Vec<u8>> + Send + 'static) -> Self {
        Deferred(Some(Box::new(read)))
    }
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deferred")
    }
}

impl Content {
    /// The bytes; what is held in memory is given away, so that this is called once.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Network`] or [`Error::Picture`], by where they come from. `name` is for the message.
    pub fn take(&mut self, name: &str) -> Result<Vec<u8>> {
        match self {
            Content::File(path) => read_file(path),
            Content::Url(address) => address.fetch(),
            Content::Bytes(bytes) => Ok(std::mem::take(bytes)),
            Content::Decoded(_) => Ok(Vec::new()),
            Content::Base64(text) => base64::decoded(&std::mem::take(text)).map_err(|problem| Error::Picture {
                name: name.to_owned(),
                problem: format!("`image_b64` is not base64: {problem}"),
                hint: Some("encode the picture's file as it is, with the standard alphabet".into()),
            }),
            Content::Deferred(deferred) => deferred
                .0
                .take()
                .map_or_else(|| Err(taken_already(name)), |read| read()),
            Content::Nothing(error) => Err(error.take().unwrap_or_else(|| taken_already(name))),
        }
    }
}

fn taken_already(name: &str) -> Error {
    Error::Picture {
        name: name.to_owned(),
        problem: "its bytes were taken already".into(),
        hint: None,
    }
}

/// A file's bytes.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    let failed = Error::read(path);
    let problem = |problem: &str, hint: String| Error::Picture {
        name: path.display().to_string(),
        problem: problem.to_owned(),
        hint: Some(hint.into()),
    };
    if path.is_dir() {
        return Err(problem(
            "it is a folder",
            format!("name the pictures in it: `{}/*`", path.display()),
        ));
    }
    let file = File::open(path).map_err(failed)?;
    read_at_most(file)
        .map_err(failed)?
        .ok_or_else(|| problem("its file has more than 1 GiB", "give a single picture".into()))
}

/// All bytes of a reader, or `None` where they are more than a picture has.
pub(super) fn read_at_most(reader: impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(LARGEST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= LARGEST_BYTES).then_some(bytes))
}
