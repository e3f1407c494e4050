//! Hashes of files: those that the hub states and those that a file has.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// A hash that a file can be held to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// Of the bytes; 64 hexadecimal digits.
    Sha256(String),
    /// As git names a blob: sha1 of `blob SIZE\0` and the bytes; 40 hexadecimal digits.
    GitBlob(String),
}

impl Checksum {
    /// The hash that an etag states, if it is one.
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

    /// What kind of hash it is.
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

/// Shows all of a file to `each`, a piece at a time, with the number of bytes shown so far.
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

/// What the cache says a file's bytes must be: its blob is named so. `None` for a file that lies elsewhere.
pub fn recorded_checksum(path: &Path) -> Option<Checksum> {
    Checksum::from_etag(blob_of(path)?.file_name()?.to_str()?)
}

/// The blob behind a file of a snapshot.
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
