//! Checks the hashes of the cache's files: of each blob once, and again when it has changed.
//!
//! A blob's name is its hash, so this needs no network.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::checksum::{blob_of, read_all};
use super::disk::{make_parent, write_error};
use super::{Checksum, recorded_checksum};
use crate::error::{Error, Result};
use crate::files;

/// A hash being computed, of the kind that an etag states.
pub(super) enum Hasher {
    Sha256(Sha256),
    GitBlob(Sha1),
    /// The etag is not a hash; only the size can be checked.
    Nothing,
}

impl Hasher {
    pub(super) fn for_etag(etag: &str, size_bytes: u64) -> Self {
        match Checksum::from_etag(etag) {
            Some(Checksum::Sha256(_)) => Hasher::Sha256(Sha256::new()),
            Some(Checksum::GitBlob(_)) => Hasher::GitBlob(Sha1::new_with_prefix(format!("blob {size_bytes}\0"))),
            None => Hasher::Nothing,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hash) => hash.update(bytes),
            Hasher::GitBlob(hash) => hash.update(bytes),
            Hasher::Nothing => {}
        }
    }

    pub(super) fn finish(self) -> Option<Checksum> {
        match self {
            Hasher::Sha256(hash) => Some(Checksum::Sha256(format!("{:x}", hash.finalize()))),
            Hasher::GitBlob(hash) => Some(Checksum::GitBlob(format!("{:x}", hash.finalize()))),
            Hasher::Nothing => None,
        }
    }
}

/// Reads all of a file into a hash; `seen` gets the number of bytes read so far.
pub(super) fn hash_file(path: &Path, mut hasher: Hasher, mut seen: impl FnMut(u64)) -> Result<Hasher> {
    read_all(path, |bytes, bytes_done| {
        hasher.update(bytes);
        seen(bytes_done);
    })?;
    Ok(hasher)
}

/// The result of checking a file of the cache.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its hash is the hub's, now or when it was last read.
    Sound,
    /// It has another hash.
    Damaged { expected: Checksum, found: Checksum },
}

/// Compares a file of the cache with its blob's name, unless that was done before and the file is unchanged.
pub(super) fn check_cached(path: &Path, seen: impl FnMut(u64)) -> Result<Verdict> {
    let (Some(blob), Some(expected)) = (blob_of(path), recorded_checksum(path)) else {
        return Ok(Verdict::Sound);
    };
    let mark = Mark::of(&blob)?;
    if mark.is_remembered() {
        return Ok(Verdict::Sound);
    }
    let hasher = hash_file(&blob, Hasher::for_etag(expected.hex(), mark.size_bytes), seen)?;
    let found = hasher.finish().expect("a recorded checksum has a hasher");
    if found != expected {
        return Ok(Verdict::Damaged { expected, found });
    }
    mark.remember();
    Ok(Verdict::Sound)
}

/// Size and time of a blob when its hash was checked.
pub(super) struct Mark {
    path: PathBuf,
    size_bytes: u64,
    line: String,
}

impl Mark {
    pub(super) fn of(blob: &Path) -> Result<Self> {
        let meta = fs::metadata(blob).map_err(Error::read(blob))?;
        let modified_ns = meta
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let repo_dir = blob.parent().and_then(Path::parent).unwrap_or(blob);
        Ok(Mark {
            path: repo_dir.join(".verified").join(blob.file_name().unwrap_or_default()),
            size_bytes: meta.len(),
            line: format!("{} {}\n", meta.len(), modified_ns.map_or(0, |time| time.as_nanos())),
        })
    }

    fn is_remembered(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|line| line == self.line)
    }

    /// Not an error if the cache can't be written to: the file is then checked again next time.
    pub(super) fn remember(&self) {
        let write = |new: &Path| fs::write(new, &self.line).map_err(write_error(&self.path));
        let _ = make_parent(&self.path).and_then(|()| files::replace(&self.path, write));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sha256 of `abc`: FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn blob(dir: &Path, name: &str, bytes: &str) -> PathBuf {
        let path = dir.join("blobs").join(name);
        make_parent(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn a_blob_must_have_the_hash_that_it_is_named_by() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            check_cached(&blob(dir.path(), ABC, "abc"), |_| ()).unwrap(),
            Verdict::Sound
        );
        // `git hash-object` of a file with the five letters `hello`.
        let hello = blob(dir.path(), "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0", "hello");
        assert_eq!(check_cached(&hello, |_| ()).unwrap(), Verdict::Sound);
        let other = dir.path().join("other");
        let verdict = check_cached(&blob(&other, ABC, "abd"), |_| ()).unwrap();
        assert!(matches!(verdict, Verdict::Damaged { .. }), "{verdict:?}");
    }

    #[test]
    fn a_sound_blob_is_read_once_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = blob(dir.path(), ABC, "abc");
        let reads = |path: &Path| {
            let mut n = 0;
            let verdict = check_cached(path, |_| n += 1).unwrap();
            (n, verdict == Verdict::Sound)
        };
        assert_eq!(reads(&path), (1, true));
        assert_eq!(reads(&path), (0, true));
        fs::write(&path, "changed").unwrap();
        assert_eq!(reads(&path), (1, false));
    }
}
