//! What tells one model's weights from another's, without reading them whole.
//!
//! Asked by whoever keeps results of a model on disk. It covers where the file lies, its length and time of change,
//! every tensor's name, type and shape, and a sample of every tensor's bytes: a file that was trained on, replaced or
//! changed in place has another one. A copy of a file has another one too, which costs its owner a second computation.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::Checkpoint;

/// Windows of each tensor that are read.
const WINDOWS: usize = 4;
/// Bytes of a window.
const WINDOW_BYTES: usize = 256;

impl Checkpoint {
    /// A hash of what tells these weights, and how they are read, from others.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.content_digest());
        for entry in files_of(&self.file().path) {
            add(&mut hash, entry.as_bytes());
        }
        hash.finalize().into()
    }

    /// As [`Checkpoint::fingerprint`], wherever the file lies and whenever it was written: a copy has the same one.
    pub fn content_digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let (file, options) = (self.file(), self.options());
        let read_as = format!("{:?} {:?} {options:?}", self.sizes(), self.activation());
        add(&mut hash, read_as.as_bytes());
        for (name, tensor) in &file.tensors {
            add(&mut hash, name.as_bytes());
            let form = format!("{} {:?} {:?}", tensor.stored_type(), tensor.shape(), tensor.strides);
            add(&mut hash, form.as_bytes());
            let bytes = &file.blobs[tensor.blob].bytes()[tensor.byte_range()];
            for window in 0..WINDOWS {
                let start = bytes.len().saturating_sub(WINDOW_BYTES) * window / (WINDOWS - 1);
                add(&mut hash, &bytes[start..bytes.len().min(start + WINDOW_BYTES)]);
            }
        }
        hash.finalize().into()
    }
}

/// The first half of a hash, as 32 hexadecimal digits: what people and file names tell things apart by.
pub fn identity(hash: Sha256) -> String {
    hex(&hash.finalize()[..16])
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn add(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// Path, length and time of change of a file, or of each file in a folder; nothing for weights in memory.
fn files_of(path: &Path) -> Vec<String> {
    let mut paths = vec![path.to_owned()];
    paths.extend(
        fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    paths.sort();
    let describe = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let path = fs::canonicalize(path).ok()?;
        Some(format!("{} {} {}", path.display(), metadata.len(), changed.as_nanos()))
    };
    paths.iter().filter_map(|path| describe(path)).collect()
}
