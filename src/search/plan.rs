//! What is to be done with each picture that is named: nothing, where it is known as it is, or encoding.
//!
//! Filled by the pipeline's readers as they draw items, and worked off by the thread that computes. Holds names and
//! places, some hundred bytes a picture, never embeddings.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::rows::{Picture, size_and_mtime};
use crate::input::{Content, Item};
use crate::weights::hex;

/// Where an embedding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A row of the index as it was.
    Index(usize),
    /// An offset into the journal.
    Journal(u64),
    /// Not there yet, or never to be.
    Nowhere,
}

/// A picture of the index to be.
pub(super) struct Entry {
    pub(super) picture: Picture,
    pub(super) place: Place,
    /// Whether the index held a picture of this name, whatever became of it.
    pub(super) was_there: bool,
}

struct Known {
    picture: Picture,
    place: Place,
    was_there: bool,
}

#[derive(Default)]
pub(super) struct Plan {
    /// The folder from which relative paths lead to pictures.
    folder: PathBuf,
    /// By the absolute path, where it is a file, else by name.
    known: HashMap<String, Known>,
    seen: HashSet<String>,
    pub(super) entries: Vec<Entry>,
    /// Entries that are on their way through the pipeline, in order.
    pending: VecDeque<usize>,
    /// Names that gave nothing, as keys.
    failed: HashSet<String>,
    pub(super) n_known: u64,
    pub(super) n_twice: u64,
}

impl Plan {
    pub(super) fn new(folder: &Path) -> Self {
        Plan {
            folder: folder.to_owned(),
            ..Plan::default()
        }
    }

    /// What is known of a picture already; the later word counts. `folder` is where its path begins.
    pub(super) fn know(&mut self, folder: &Path, picture: Picture, place: Place) {
        let key = if picture.is_file() {
            key(folder, Path::new(&picture.path))
        } else {
            picture.path.clone()
        };
        let was_there = matches!(place, Place::Index(_)) || self.known.get(&key).is_some_and(|known| known.was_there);
        let known = Known {
            picture,
            place,
            was_there,
        };
        self.known.insert(key, known);
    }

    /// Enters an item; whether it must be encoded.
    pub(super) fn admit(&mut self, item: &Item) -> bool {
        let picture = about(item);
        let key = match &item.content {
            Content::File(path) => key(&self.folder, path),
            Content::Nothing(_) => key(&self.folder, Path::new(&picture.path)),
            _ => picture.path.clone(),
        };
        if self.seen.contains(&key) {
            self.n_twice += 1;
            return false;
        }
        let known = self.known.remove(&key);
        self.seen.insert(key);
        let was_there = known.as_ref().is_some_and(|known| known.was_there);
        let place = match known {
            Some(known) if is_unchanged(&known.picture, &picture) => known.place,
            _ => Place::Nowhere,
        };
        self.entries.push(Entry {
            picture,
            place,
            was_there,
        });
        if place != Place::Nowhere {
            self.n_known += 1;
            return false;
        }
        self.pending.push_back(self.entries.len() - 1);
        true
    }

    /// The picture that comes out of the pipeline next.
    pub(super) fn next_pending(&mut self) -> Option<&mut Entry> {
        let entry = self.pending.pop_front()?;
        self.entries.get_mut(entry)
    }

    /// A name gave nothing: what lies below it, if it is a folder, isn't known to be gone.
    pub(super) fn failed(&mut self, name: &str) {
        self.failed.insert(key(&self.folder, Path::new(name)));
    }

    /// Takes what is known, was not named, and lies below a name that gave nothing.
    pub(super) fn take_out_of_reach(&mut self) -> Vec<Entry> {
        let failed = &self.failed;
        let lies_below_failed = |key: &str| {
            let mut above = Path::new(key).ancestors().skip(1);
            above.any(|path| path.to_str().is_some_and(|path| failed.contains(path)))
        };
        let known = std::mem::take(&mut self.known).into_iter();
        let left = known.filter(|(key, _)| lies_below_failed(key));
        let mut entries: Vec<Entry> = left
            .map(|(_, known)| Entry {
                picture: known.picture,
                place: known.place,
                was_there: known.was_there,
            })
            .collect();
        entries.sort_by_key(|entry| entry.place);
        entries
    }
}

/// Whether a picture is the one that is known. One of which nothing can be told has always changed.
fn is_unchanged(known: &Picture, picture: &Picture) -> bool {
    let facts = |picture: &Picture| (picture.size, picture.mtime_us, picture.sha256.clone());
    let can_be_told = picture.mtime_us.is_some() || picture.sha256.is_some();
    can_be_told && facts(known) == facts(picture)
}

/// An absolute path without `.`, so that other spellings and other working folders name the same picture.
fn key(folder: &Path, path: &Path) -> String {
    let absolute: PathBuf = folder.join(path).components().collect();
    match absolute.to_str() {
        Some(text) => text.to_owned(),
        // Names that are no text, and would look alike if shown, stay apart; the index can't know such a file again.
        None => format!("{absolute:?}"),
    }
}

/// What can be told of a picture before it is read.
fn about(item: &Item) -> Picture {
    let nothing = Picture {
        path: item.name.to_string(),
        size: None,
        mtime_us: None,
        sha256: None,
    };
    match &item.content {
        Content::File(path) => {
            let facts = size_and_mtime(path);
            Picture {
                // Of a record with an id, what can be opened again.
                path: path.display().to_string(),
                size: facts.map(|(size, _)| size),
                mtime_us: facts.map(|(_, mtime_us)| mtime_us),
                ..nothing
            }
        }
        Content::Bytes(bytes) => Picture {
            size: Some(bytes.len() as u64),
            sha256: Some(hex(&Sha256::digest(bytes))),
            ..nothing
        },
        _ => nothing,
    }
}
