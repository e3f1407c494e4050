//! Decides for each image whether it must be encoded or its embedding is known.
//!
//! The readers of the pipeline enter items as they draw them; the thread that computes embeddings takes them out in the
//! same order. Some hundred bytes per image, no embeddings.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::rows::{Picture, size_and_mtime};
use crate::error::in_words;
use crate::input::{Content, Item};
use crate::store;
use crate::weights::hex;

/// Where an embedding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EmbeddingSource {
    /// A row of the old index.
    Index(usize),
    /// A record of the journal.
    Journal(store::Place),
    /// Not encoded yet, or failed.
    Missing,
}

/// An image of the old or the new index.
pub(super) struct IndexEntry {
    pub(super) picture: Picture,
    pub(super) source: EmbeddingSource,
    /// Whether the old index had an image of this name, even if it has changed since.
    pub(super) was_indexed: bool,
}

#[derive(Default)]
pub(super) struct Plan {
    /// The folder that relative paths start from.
    folder: PathBuf,
    /// What the index and the journal have, by absolute path for files, else by name.
    known: HashMap<String, IndexEntry>,
    seen: HashSet<String>,
    /// The images of the new index, in order.
    pub(super) entries: Vec<IndexEntry>,
    /// Positions of the entries that are in the pipeline, in order.
    pending: VecDeque<usize>,
    /// Keys of the inputs that failed.
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

    /// Adds what is already known of an image, replacing earlier knowledge. Its path is relative to `folder`.
    pub(super) fn know(&mut self, folder: &Path, picture: Picture, source: EmbeddingSource) {
        let key = if picture.is_file() {
            key(folder, Path::new(&picture.path))
        } else {
            picture.path.clone()
        };
        let before = self.known.get(&key);
        let was_indexed =
            matches!(source, EmbeddingSource::Index(_)) || before.is_some_and(|before| before.was_indexed);
        let known = IndexEntry {
            picture,
            source,
            was_indexed,
        };
        self.known.insert(key, known);
    }

    /// Enters an item. Returns whether it must be encoded.
    pub(super) fn admit(&mut self, item: &Item) -> bool {
        let picture = picture_of(item);
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
        let was_indexed = known.as_ref().is_some_and(|known| known.was_indexed);
        let source = match known {
            Some(known) if is_unchanged(&known.picture, &picture) => known.source,
            _ => EmbeddingSource::Missing,
        };
        self.entries.push(IndexEntry {
            picture,
            source,
            was_indexed,
        });
        if source != EmbeddingSource::Missing {
            self.n_known += 1;
            return false;
        }
        self.pending.push_back(self.entries.len() - 1);
        true
    }

    /// The image that comes out of the pipeline next.
    pub(super) fn next_pending(&mut self) -> Option<&mut IndexEntry> {
        let entry = self.pending.pop_front()?;
        self.entries.get_mut(entry)
    }

    /// Notes that an input failed. If it is a folder, the images below it may still exist.
    pub(super) fn failed(&mut self, name: &str) {
        self.failed.insert(key(&self.folder, Path::new(name)));
    }

    /// Takes the known images that were not named but are below an input that failed.
    pub(super) fn take_out_of_reach(&mut self) -> Vec<IndexEntry> {
        let failed = &self.failed;
        let is_below_failed = |key: &str| {
            let mut above = Path::new(key).ancestors().skip(1);
            above.any(|path| path.to_str().is_some_and(|path| failed.contains(path)))
        };
        let known = std::mem::take(&mut self.known).into_iter();
        let kept = known.filter(|(key, _)| is_below_failed(key));
        let mut entries: Vec<IndexEntry> = kept.map(|(_, entry)| entry).collect();
        entries.sort_by_key(|entry| entry.source);
        entries
    }
}

/// Whether an image is the known one. Without a time or a hash, it counts as changed.
fn is_unchanged(known: &Picture, picture: &Picture) -> bool {
    let facts = |picture: &Picture| (picture.size, picture.mtime_us, picture.sha256.clone());
    let is_identified = picture.mtime_us.is_some() || picture.sha256.is_some();
    is_identified && facts(known) == facts(picture)
}

/// An absolute path without `.`, the same for all spellings and working directories; escaped as in the index if it is not
/// UTF-8.
fn key(folder: &Path, path: &Path) -> String {
    let absolute: PathBuf = folder.join(path).components().collect();
    in_words(absolute)
}

/// What is known of an image before it is decoded.
fn picture_of(item: &Item) -> Picture {
    let unknown = Picture {
        path: item.name.to_string(),
        size: None,
        mtime_us: None,
        sha256: None,
    };
    match &item.content {
        Content::File(path) => {
            let facts = size_and_mtime(path);
            Picture {
                // Not the id of a record, but what can be opened again.
                path: in_words(path),
                size: facts.map(|(size, _)| size),
                mtime_us: facts.map(|(_, mtime_us)| mtime_us),
                ..unknown
            }
        }
        content => match content.in_memory() {
            Some(bytes) => Picture {
                size: Some(bytes.len() as u64),
                sha256: Some(hex(&Sha256::digest(bytes))),
                ..unknown
            },
            None => unknown,
        },
    }
}
