//! An image of a data set: its name, and the way to its bytes, which can be read any number of times.
//!
//! Names are unique within a data set and the same in each run, so that evaluations find their stored embeddings by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::unusable::unusable;
use crate::error::Result;
pub(crate) use crate::error::in_words;
use crate::input::{Content, Deferred, Item};
use crate::weights::identity;

/// A file that holds many images: an archive, a batch of CIFAR.
pub trait Shelf: Send + Sync {
    /// The encoded bytes of image `i`.
    ///
    /// # Errors
    /// If they can't be read.
    fn read(&self, i: usize) -> Result<Vec<u8>>;

    /// What distinguishes this shelf from an earlier state of it: its size and its time of change.
    fn stamp(&self) -> String;
}

/// One image.
#[derive(Clone)]
pub struct Image {
    name: String,
    origin: ImageOrigin,
}

#[derive(Clone)]
enum ImageOrigin {
    File(PathBuf),
    OnShelf(Arc<dyn Shelf>, usize),
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Image({})", self.name)
    }
}

impl Image {
    /// A file, named by its path.
    pub fn file(path: PathBuf) -> Self {
        Image {
            name: in_words(path.as_os_str()),
            origin: ImageOrigin::File(path),
        }
    }

    /// Image `i` of a shelf.
    pub(crate) fn on_shelf(name: String, shelf: Arc<dyn Shelf>, i: usize) -> Self {
        let origin = ImageOrigin::OnShelf(shelf, i);
        Image { name, origin }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file, if it has one of its own.
    pub fn path(&self) -> Option<&Path> {
        match &self.origin {
            ImageOrigin::File(path) => Some(path),
            ImageOrigin::OnShelf(..) => None,
        }
    }

    /// Whether there is a file; images on a shelf always are there.
    pub(crate) fn is_there(&self) -> bool {
        match &self.origin {
            ImageOrigin::File(path) => path.is_file(),
            ImageOrigin::OnShelf(..) => true,
        }
    }

    /// The same file, with a relative path taken from `folder`.
    pub(super) fn below(&self, folder: &Path) -> Self {
        match &self.origin {
            ImageOrigin::File(path) => Image::file(folder.join(path)),
            ImageOrigin::OnShelf(..) => self.clone(),
        }
    }

    /// The image as an input of the pipeline.
    pub fn item(&self) -> Item {
        let content = match &self.origin {
            ImageOrigin::File(path) => Content::File(path.clone()),
            ImageOrigin::OnShelf(shelf, i) => {
                let (shelf, i) = (Arc::clone(shelf), *i);
                Content::Deferred(Deferred::new(move || shelf.read(i)))
            }
        };
        Item::new(self.name.clone(), content)
    }

    /// Its encoded bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        match &self.origin {
            // A pipe would block, and a device may never end.
            ImageOrigin::File(path) if path.exists() && !path.is_file() => {
                Err(unusable(&self.name, "it is not a file"))
            }
            _ => self.item().content.take(&self.name),
        }
    }

    fn stamp(&self) -> String {
        match &self.origin {
            ImageOrigin::File(path) => file_stamp(path),
            ImageOrigin::OnShelf(shelf, _) => shelf.stamp(),
        }
    }
}

/// A file's length and time of change; nothing if there is no such file.
pub(super) fn file_stamp(path: &Path) -> String {
    let Ok(metadata) = fs::metadata(path) else {
        return String::new();
    };
    let changed = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    format!("{} {}", metadata.len(), changed.map_or(0, |since| since.as_nanos()))
}

/// What distinguishes a list of images from others, as 32 hexadecimal digits: their names in order, lengths and times of change.
pub fn fingerprint(images: &[Image]) -> String {
    let mut hash = Sha256::new();
    for image in images {
        for text in [image.name(), &image.stamp()] {
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
    fn a_fingerprint_depends_on_names_order_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.jpg"), dir.path().join("b.jpg"));
        fs::write(&a, "1").unwrap();
        fs::write(&b, "2").unwrap();
        let print = |paths: &[&PathBuf]| {
            let images: Vec<Image> = paths.iter().map(|path| Image::file((*path).clone())).collect();
            fingerprint(&images)
        };
        let before = print(&[&a, &b]);
        assert_eq!(before, print(&[&a, &b]));
        assert_ne!(before, print(&[&b, &a]));
        assert_ne!(before, print(&[&a]));
        fs::write(&b, "longer").unwrap();
        assert_ne!(before, print(&[&a, &b]));
    }
}
