//! Files that come earlier in an archive, to which links lead.
//!
//! An archive in a file that isn't packed is read again at the place of the linked file. Otherwise the files that were
//! read last are kept, within a limit: programs write a link soon after its file, unless both are far apart in a folder.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::limit::{Unread, read_sized};
use super::super::tar::{Member, Place};
use super::START_BYTES;

/// The most bytes of files that are kept.
const KEPT_BYTES: usize = 64 << 20;

/// What came earlier in an archive, by name.
pub(crate) enum Earlier {
    /// Where each file is in the archive's file. A hash of the name takes less memory than the name.
    InFile(PathBuf, RandomState, HashMap<u64, Place>),
    /// The files that were read last.
    Kept {
        files: VecDeque<(Vec<u8>, Arc<[u8]>)>,
        n_bytes: usize,
    },
}

/// The content that a link leads to.
pub(crate) enum Found {
    InFile(PathBuf, Place),
    Bytes(Arc<[u8]>),
}

impl Earlier {
    /// `file` is the archive, if it can be read in any order.
    pub(crate) fn of(file: Option<PathBuf>) -> Self {
        match file {
            Some(file) => Earlier::InFile(file, RandomState::new(), HashMap::new()),
            None => Earlier::Kept {
                files: VecDeque::new(),
                n_bytes: 0,
            },
        }
    }

    /// Remembers the position of a file.
    pub(crate) fn note_place(&mut self, member: &Member) {
        if let Earlier::InFile(_, hash, places) = self {
            places.insert(hash.hash_one(normal(&member.name)), member.place.clone());
        }
    }

    /// Remembers what a file holds, unless it can be read again.
    pub(super) fn note_bytes(&mut self, name: &[u8], bytes: &[u8]) {
        if let Earlier::Kept { .. } = self
            && bytes.len() <= KEPT_BYTES
        {
            self.keep(normal(name), bytes.into());
        }
    }

    /// Remembers that `name` has the content that was found.
    pub(crate) fn note_link(&mut self, name: &[u8], found: &Found) {
        match (self, found) {
            (Earlier::InFile(_, hash, places), Found::InFile(_, place)) => {
                places.insert(hash.hash_one(normal(name)), place.clone());
            }
            (kept, Found::Bytes(bytes)) => kept.keep(normal(name), Arc::clone(bytes)),
            (Earlier::Kept { .. }, Found::InFile(..)) => {}
        }
    }

    fn keep(&mut self, name: Vec<u8>, bytes: Arc<[u8]>) {
        let Earlier::Kept { files, n_bytes } = self else { return };
        *n_bytes += name.len() + bytes.len();
        files.push_back((name, bytes));
        while *n_bytes > KEPT_BYTES {
            let Some((name, bytes)) = files.pop_front() else { break };
            *n_bytes -= name.len() + bytes.len();
        }
    }

    /// The content of the last file of this name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<Found> {
        let name = normal(name);
        match self {
            Earlier::InFile(file, hash, places) => {
                let place = places.get(&hash.hash_one(name))?;
                Some(Found::InFile(file.clone(), place.clone()))
            }
            Earlier::Kept { files, .. } => {
                let mut last = files.iter().rev();
                let (_, bytes) = last.find(|(known, _)| *known == name)?;
                Some(Found::Bytes(Arc::clone(bytes)))
            }
        }
    }
}

impl Found {
    /// Where it is, if it is in the archive's file.
    pub(crate) fn into_place(self) -> Option<Place> {
        match self {
            Found::InFile(_, place) => Some(place),
            Found::Bytes(_) => None,
        }
    }

    /// The first bytes, which show whether it is an image.
    pub(super) fn start(&self) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        match self {
            Found::Bytes(bytes) => (&**bytes).take(START_BYTES).read_to_end(&mut start)?,
            Found::InFile(file, place) => {
                let file = File::open(file)?;
                place.read_from(file)?.take(START_BYTES).read_to_end(&mut start)?
            }
        };
        Ok(start)
    }
}

/// The content at a place, from a reader of the archive's file.
pub(crate) fn read_at(file: impl Read + Seek, place: &Place) -> Result<Vec<u8>, Unread> {
    let bytes = read_sized(place.read_from(file)?, place.size)?;
    match bytes.len() as u64 == place.size {
        true => Ok(bytes),
        false => Err(Unread::Failed(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it has become shorter since it was looked through",
        ))),
    }
}

/// A name without what makes no difference: `./a//b` is `a/b`.
fn normal(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join(&b'/')
}

/// What a link by name leads to: its target is relative to its own folder.
pub(super) fn beside(link: &[u8], target: &[u8]) -> Vec<u8> {
    if target.starts_with(b"/") {
        return target.to_vec();
    }
    let folder = link.iter().rposition(|&byte| byte == b'/');
    let folder = folder.map_or(&link[..0], |slash| &link[..=slash]);
    normal(&[folder, target].concat())
}
