//! Embeddings that a build has computed but not yet written to its index: a [store](crate::store) next to it,
//! `INDEX.journal`, that grows while the build runs and is removed once the index is complete. Keys are images as JSON;
//! values are embeddings in the form that the index has.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::origin::Origin;
use super::page::VALUE_BYTES;
use super::rows::Picture;
use crate::error::{Error, Result};
use crate::store::{Place, Store};

/// Where the journal of an index is.
pub(super) fn path_of(index: &Path) -> PathBuf {
    let mut path = OsString::from(index);
    path.push(".journal");
    path.into()
}

/// Opens the journal of an index.
///
/// # Errors
/// [`Error::Usage`] if another run writes to it, or it is of another origin or no journal; [`Error::Read`], [`Error::Write`].
pub(super) fn open(index: &Path, origin: &Origin) -> Result<Store> {
    let path = path_of(index);
    Store::open(&path, "what a build has encoded", origin, |other| {
        other.refuse_other(&path, origin).map_err(|error| {
            let hint = format!(
                "an interrupted build left it: finish that build, or remove `{}`",
                path.display()
            );
            Error::usage(error.to_string(), hint)
        })
    })
}

/// The images that an interrupted build left, each with the place of its embedding.
pub(super) fn pictures(journal: &Store, origin: &Origin) -> Result<Vec<(Picture, Place)>> {
    let mut pictures = Vec::new();
    journal.records(|place, key, embedding| {
        let is_whole = embedding.len() == origin.embed_dim * VALUE_BYTES;
        let picture = serde_json::from_slice(key).ok().filter(|_| is_whole);
        pictures.extend(picture.map(|picture| (picture, place)));
    })?;
    Ok(pictures)
}

/// Adds an image and its embedding.
pub(super) fn add(journal: &mut Store, picture: &Picture, embedding: &[u8]) -> Place {
    let key = serde_json::to_vec(picture).expect("texts and numbers are JSON");
    journal.add(&key, embedding)
}
