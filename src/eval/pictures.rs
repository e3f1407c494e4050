//! Pictures of a data set: what each is called, and the way to its bytes, which may be gone again and again.
//!
//! A list of them is what an evaluation encodes. Names are unique within a data set and the same in each run: by them
//! [`Embeddings`](super::Embeddings) are found again.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::input::{Content, Deferred, Item};
use crate::weights::identity;

/// Something that holds many pictures: an archive, a batch of CIFAR's.
pub trait Shelf: Send + Sync {
    /// The encoded bytes of picture `i`.
    ///
    /// # Errors
    /// Those of where it lies.
    fn read(&self, i: usize) -> Result<Vec<u8>>;

    /// What tells this shelf from another of the same name: its size, its time of change.
    fn stamp(&self) -> String;
}

/// One picture.
#[derive(Clone)]
pub struct Picture {
    name: String,
    place: Place,
}

#[derive(Clone)]
enum Place {
    File(PathBuf),
    OnShelf(Arc<dyn Shelf>, usize),
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({})", self.name)
    }
}

impl Picture {
    /// A file, called by its path.
    pub fn file(path: PathBuf) -> Self {
        Picture {
            name: in_words(path.as_os_str()),
            place: Place::File(path),
        }
    }

    /// Picture `i` of a shelf.
    pub fn on_shelf(name: String, shelf: Arc<dyn Shelf>, i: usize) -> Self {
        let place = Place::OnShelf(shelf, i);
        Picture { name, place }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The picture as an input of the pipeline.
    pub fn item(&self) -> Item {
        let content = match &self.place {
            Place::File(path) => Content::File(path.clone()),
            Place::OnShelf(shelf, i) => {
                let (shelf, i) = (Arc::clone(shelf), *i);
                Content::Deferred(Deferred::new(move || shelf.read(i)))
            }
        };
        Item::new(self.name.clone(), content)
    }

    fn stamp(&self) -> String {
        match &self.place {
            Place::File(path) => file_stamp(path),
            Place::OnShelf(shelf, _) => shelf.stamp(),
        }
    }
}

/// A name as text: bytes that are none as `\xff`, so that two names stay two.
pub fn in_words(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        chunk
            .invalid()
            .iter()
            .for_each(|byte| text += &format!("\\x{byte:02x}"));
    }
    text
}

/// A file's length and time of change; of one that isn't there, nothing.
pub(super) fn file_stamp(path: &std::path::Path) -> String {
    let Ok(metadata) = fs::metadata(path) else {
        return String::new();
    };
    let changed = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("{} {}", metadata.len(), changed.map_or(0, |since| since.as_nanos()))
}

/// What tells a list of pictures from others, as 32 hexadecimal digits: their names in order, lengths and times of change.
pub fn fingerprint(pictures: &[Picture]) -> String {
    let mut hash = Sha256::new();
    for picture in pictures {
        for text in [picture.name(), &picture.stamp()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    }
    identity(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_of_names_their_order_and_what_the_files_hold() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.jpg"), dir.path().join("b.jpg"));
        fs::write(&a, "1").unwrap();
        fs::write(&b, "2").unwrap();
        let print = |paths: &[&PathBuf]| {
            let pictures: Vec<Picture> = paths.iter().map(|path| Picture::file((*path).clone())).collect();
            fingerprint(&pictures)
        };
        let before = print(&[&a, &b]);
        assert_eq!(before, print(&[&a, &b]));
        assert_ne!(before, print(&[&b, &a]));
        assert_ne!(before, print(&[&a]));
        fs::write(&b, "longer").unwrap();
        assert_ne!(before, print(&[&a, &b]));
    }
}
