//! Where an image's bytes come from. They are read when they are needed, on a thread of the pipeline.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::base64;
use super::limit::{Unread, read_at_most, read_sized};
use super::options::InputOptions;
use super::url::{Address, is_url};
use crate::error::{Error, Result, in_words};
use crate::memory::Holds;
use crate::preprocess::Picture;

/// An image's bytes, or how to get them.
#[derive(Debug)]
#[non_exhaustive]
pub enum Content {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url(Address),
    /// In memory.
    Bytes(Vec<u8>),
    /// In memory, from stdin or an archive, counted in the memory of the run.
    Held(Held),
    /// In memory as base64 in the standard alphabet, or as a `data:` URL.
    Base64(String),
    /// An image that is decoded already; it has no bytes.
    Decoded(Arc<Picture>),
    /// The result of a function, which is called on a thread of the pipeline: for a caller's own storage.
    Deferred(Deferred),
    /// There are none, for this reason; `None` after it was returned.
    Nothing(Option<Error>),
}

/// A caller's function that returns an image's bytes.
pub struct Deferred(Option<Box<dyn FnOnce() -> Result<Vec<u8>> + Send>>);

impl Deferred {
    /// Wraps a function, which is called once.
    pub fn new(read: impl FnOnce() -> Result<Vec<u8>> + Send + 'static) -> Self {
        Deferred(Some(Box::new(read)))
    }
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Deferred")
    }
}

/// Bytes with the memory that was taken for them.
#[derive(Debug)]
pub struct Held {
    pub(super) bytes: Vec<u8>,
    pub(super) holds: Holds,
}

impl Content {
    /// The bytes, if they are in memory as they are.
    pub fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Content::Bytes(bytes) | Content::Held(Held { bytes, .. }) => Some(bytes),
            Content::File(_)
            | Content::Url(_)
            | Content::Base64(_)
            | Content::Decoded(_)
            | Content::Deferred(_)
            | Content::Nothing(_) => None,
        }
    }

    /// The bytes. Call this once: bytes in memory are moved out.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Network`] or [`Error::Picture`], depending on the source. `name` is for the message.
    pub fn take(&mut self, name: &str) -> Result<Vec<u8>> {
        match self {
            Content::File(path) => read_file(path),
            Content::Url(address) => address.fetch(),
            Content::Bytes(bytes) => Ok(std::mem::take(bytes)),
            Content::Held(held) => {
                std::mem::take(&mut held.holds).pass_on();
                Ok(std::mem::take(&mut held.bytes))
            }
            Content::Decoded(_) => Ok(Vec::new()),
            Content::Base64(text) => of_base64(&std::mem::take(text), name),
            Content::Deferred(deferred) => deferred
                .0
                .take()
                .map_or_else(|| Err(taken_already(name)), |read| read()),
            Content::Nothing(error) => Err(error.take().unwrap_or_else(|| taken_already(name))),
        }
    }
}

/// The bytes that a text stands for.
pub(super) fn of_base64(text: &str, name: &str) -> Result<Vec<u8>> {
    base64::decoded(text).map_err(|problem| Error::Picture {
        name: name.to_owned(),
        problem: format!("`image_b64` is not base64: {problem}"),
        hint: Some("encode the bytes of the image's file, with the standard alphabet".into()),
    })
}

fn taken_already(name: &str) -> Error {
    Error::Picture {
        name: name.to_owned(),
        problem: "its bytes were taken already".into(),
        hint: None,
    }
}

/// The bytes of what a record's `path` names, a file or a URL.
pub(super) fn named(path: &str, options: &InputOptions) -> Content {
    match is_url(path) {
        true => Content::Url(Address::new(path, &options.web)),
        false => Content::File(path.into()),
    }
}

/// Refuses what is not a regular file: a FIFO may never end, and a device may never begin.
pub(super) fn refuse_special(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).map_err(Error::read(path))?;
    if metadata.is_dir() {
        return Err(problem(
            path,
            "it is a folder",
            format!("name the images in it: `{}/*`", path.display()),
        ));
    }
    if !metadata.is_file() {
        return Err(problem(
            path,
            "it is not a regular file but a device or a pipe",
            "name it directly, or copy it to a file".into(),
        ));
    }
    Ok(metadata.len())
}

fn problem(path: &Path, problem: &str, hint: String) -> Error {
    Error::Picture {
        name: in_words(path),
        problem: problem.to_owned(),
        hint: Some(hint.into()),
    }
}

/// A file's bytes.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let size = refuse_special(path)?;
    let file = File::open(path).map_err(Error::read(path))?;
    // Files of the system, as in `/proc`, have no size before they are read.
    let read = if size == 0 {
        read_at_most(file)
    } else {
        read_sized(file, size)
    };
    read.map_err(|unread| not_read(path, unread))
}

/// The bytes of a device or a pipe, which were named directly.
pub(super) fn read_special(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(Error::read(path))?;
    read_at_most(file).map_err(|unread| not_read(path, unread))
}

fn not_read(path: &Path, unread: Unread) -> Error {
    match unread {
        Unread::TooMany => problem(path, "its file has more than 1 GiB", "give a single image".into()),
        Unread::Failed(source) => Error::read(path)(source),
    }
}
