//! Hashes of files: the ones that the hub states, and the ones of files on disk.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// A hash that a file must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// Of the bytes; 64 hexadecimal digits.
    Sha256(String),
    /// As git names a blob: sha1 of `blob SIZE\0` and the bytes; 40 hexadecimal digits.
    GitBlob(String),
}

impl Checksum {
    /// The hash in an etag, if it holds one.
    pub fn from_etag(etag: &str) -> Option<Self> {
        if !etag.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        match etag.len() {
            64 => Some(Checksum::Sha256(etag.to_lowercase())),
            40 => Some(Checksum::GitBlob(etag.to_lowercase())),
            _ => None,
        }
    }

    /// Its hexadecimal digits.
    pub fn hex(&self) -> &str {
        match self {
            Checksum::Sha256(hex) | Checksum::GitBlob(hex) => hex,
        }
    }

    /// The kind of hash, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Checksum::Sha256(_) => "sha256",
            Checksum::GitBlob(_) => "git sha1",
        }
    }
}

/// The sha256 of a file; `seen` gets the number of bytes read so far.
///
/// # Errors
/// [`Error::Read`] if the file can't be read.
pub fn file_sha256(path: &Path, mut seen: impl FnMut(u64)) -> Result<Checksum> {
    let mut hash = Sha256::new();
    read_all(path, |bytes, bytes_done| {
        hash.update(bytes);
        seen(bytes_done);
    })?;
    Ok(Checksum::Sha256(format!("{:x}", hash.finalize())))
}

/// Calls `each` with all bytes of a file, piece by piece, and the number of bytes so far.
pub(super) fn read_all(path: &Path, mut each: impl FnMut(&[u8], u64)) -> Result<()> {
    let read_error = Error::read(path);
    let mut file = File::open(path).map_err(read_error)?;
    let mut buffer = vec![0; 1 << 20];
    let mut bytes_done = 0;
    loop {
        let n = file.read(&mut buffer).map_err(read_error)?;
        if n == 0 {
            return Ok(());
        }
        bytes_done += n as u64;
        each(&buffer[..n], bytes_done);
    }
}

/// The hash that a file of the cache must have: its blob's name. `None` for a file outside the cache.
pub fn recorded_checksum(path: &Path) -> Option<Checksum> {
    Checksum::from_etag(blob_of(path)?.file_name()?.to_str()?)
}

/// The blob that a file of a snapshot links to.
pub(super) fn blob_of(path: &Path) -> Option<PathBuf> {
    let blob = fs::canonicalize(path).ok()?;
    (blob.parent()?.file_name()? == "blobs").then_some(blob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_an_etag_tells_its_kind() {
        assert_eq!(
            Checksum::from_etag(&"A".repeat(64)),
            Some(Checksum::Sha256("a".repeat(64)))
        );
        assert_eq!(
            Checksum::from_etag(&"a".repeat(40)),
            Some(Checksum::GitBlob("a".repeat(40)))
        );
        assert_eq!(Checksum::from_etag("a-1"), None);
    }
}
