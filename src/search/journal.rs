//! What a build has encoded and not yet brought into its index: a file beside it, `INDEX.journal`, that grows while the
//! build runs and goes when the index has its name.
//!
//! ```text
//! magic, length, an origin as JSON, check      then for each picture:
//! length, { length, the picture as JSON, its embedding as stored }, check
//! ```
//!
//! A check is the beginning of the SHA-256 of what stands before it. A kill can leave half a record at the end: it is cut
//! off, and its picture is encoded again. Lengths are little-endian u32.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::origin::Origin;
use super::page::VALUE_BYTES;
use super::rows::Picture;
use crate::error::{Error, Result};
use crate::files::{Destination, Target};
use crate::weights::map;

const MAGIC: &[u8; 8] = b"LCINDEX1";
const CHECK_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;

/// An open journal, which no other run writes to meanwhile.
pub(super) struct Journal {
    path: PathBuf,
    out: Destination,
    end: u64,
    n_records: u64,
}

/// A picture that was encoded, and where its embedding stands in the journal.
pub(super) struct Encoded {
    pub(super) picture: Picture,
    pub(super) at: u64,
}

/// Where the journal of an index is.
pub(super) fn path_of(index: &Path) -> PathBuf {
    let mut path = OsString::from(index);
    path.push(".journal");
    path.into()
}

impl Journal {
    /// Opens the journal of an index, and gives what an interrupted build left in it.
    ///
    /// # Errors
    /// [`Error::Usage`] where another run writes to it, where it is of another origin or is no journal;
    /// [`Error::Read`], [`Error::Write`].
    pub(super) fn open(index: &Path, origin: &Origin) -> Result<(Self, Vec<Encoded>)> {
        let path = path_of(index);
        if path.exists() {
            // Before it is locked, so that nothing is touched that isn't ours.
            refuse_other(&path, &map(&path)?, origin)?;
        }
        let out = Destination::growing(&Target::at(&path)?)?;
        let held = held(&map(&path)?, origin.embed_dim);
        let mut journal = Journal {
            path,
            out,
            end: held.end as u64,
            n_records: held.encoded.len() as u64,
        };
        journal.out.keep(journal.end)?;
        if journal.end == 0 {
            let origin = serde_json::to_vec(origin).map_err(|error| journal.out.error(error.into()))?;
            journal.append(&[MAGIC, &record(&origin)[..]].concat())?;
        }
        Ok((journal, held.encoded))
    }

    /// Adds a picture; gives the place of its embedding.
    pub(super) fn add(&mut self, picture: &Picture, embedding: &[u8]) -> Result<u64> {
        let picture = serde_json::to_vec(picture).map_err(|error| self.out.error(error.into()))?;
        let body = [&length(&picture), &picture[..], embedding].concat();
        let at = self.end + (2 * LENGTH_BYTES + picture.len()) as u64;
        self.append(&record(&body))?;
        self.n_records += 1;
        Ok(at)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.out.write_all(bytes);
        written.map_err(|source| self.out.error(source))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// What was added is in the file: a kill doesn't lose it any more.
    pub(super) fn flush(&mut self) -> Result<()> {
        let flushed = self.out.flush();
        flushed.map_err(|source| self.out.error(source))
    }

    /// The file as it is, for reading embeddings by their places.
    pub(super) fn mapped(&mut self) -> Result<Mmap> {
        self.flush()?;
        map(&self.path)
    }

    /// All is in the index, or there is nothing to keep.
    pub(super) fn remove(self) -> Result<()> {
        // While it is locked, so that another build's isn't removed; some systems want it closed first.
        let removed = fs::remove_file(&self.path).or_else(|_| {
            drop(self.out);
            fs::remove_file(&self.path)
        });
        removed.map_err(Error::write(&self.path))
    }

    /// Leaves what there is to the next build; gives the file's name, if there is something.
    pub(super) fn leave(mut self) -> Result<Option<PathBuf>> {
        self.flush()?;
        if self.n_records == 0 {
            self.remove()?;
            return Ok(None);
        }
        Ok(Some(self.path))
    }
}

/// What a journal's bytes hold.
struct Held {
    encoded: Vec<Encoded>,
    /// Bytes of whole records from the beginning.
    end: usize,
}

/// Refuses a file that is not a journal, or one of another origin. One whose beginning is cut short is an empty one.
fn refuse_other(path: &Path, bytes: &[u8], origin: &Origin) -> Result<()> {
    let n = bytes.len().min(MAGIC.len());
    if bytes[..n] != MAGIC[..n] {
        return Err(Error::usage(
            format!("`{}` is in the way: it is not the journal of a build", path.display()),
            "move it away, or name another index",
        ));
    }
    let Some((body, _)) = bytes.get(MAGIC.len()..).and_then(whole_record) else {
        return Ok(());
    };
    let Ok(other) = serde_json::from_slice::<Origin>(body) else {
        return Ok(());
    };
    other.refuse_other(path, origin).map_err(|error| {
        let hint = format!(
            "it is left of a build that didn't come to its end: finish that one, or remove `{}`",
            path.display()
        );
        Error::usage(error.to_string(), hint)
    })
}

fn held(bytes: &[u8], embed_dim: usize) -> Held {
    let mut held = Held {
        encoded: Vec::new(),
        end: 0,
    };
    let Some((_, n)) = bytes.get(MAGIC.len()..).and_then(whole_record) else {
        return held;
    };
    held.end = MAGIC.len() + n;
    let vector_bytes = embed_dim * VALUE_BYTES;
    while let Some((body, n)) = whole_record(&bytes[held.end..]) {
        let Some((picture, vector)) = split(body) else { break };
        let Ok(picture) = serde_json::from_slice(picture) else {
            break;
        };
        if vector.len() != vector_bytes {
            break;
        }
        held.encoded.push(Encoded {
            picture,
            at: (held.end + LENGTH_BYTES + body.len() - vector_bytes) as u64,
        });
        held.end += n;
    }
    held
}

fn length(bytes: &[u8]) -> [u8; LENGTH_BYTES] {
    // A path and an embedding are some kilobytes.
    (bytes.len() as u32).to_le_bytes()
}

fn record(body: &[u8]) -> Vec<u8> {
    [&length(body), body, &check(body)].concat()
}

fn check(body: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(body);
    std::array::from_fn(|i| digest[i])
}

/// The first length's bytes, and all behind them.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// The body of the record that stands here, if it is whole, and the record's length.
fn whole_record(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (body, rest) = split(bytes)?;
    let is_whole = rest.starts_with(&check(body));
    is_whole.then_some((body, LENGTH_BYTES + body.len() + CHECK_BYTES))
}
