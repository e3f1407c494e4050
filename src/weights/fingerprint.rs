//! Fingerprints that distinguish one model's weights from another's without reading all of them.
//!
//! Used to keep results of a model on disk. A fingerprint covers the file's path, length and time of change, every tensor's
//! name, type and shape, and a sample of its bytes, so a file that is trained further, replaced or changed in place gets
//! another one. So does a copy of a file, whose results are then computed again.

use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::{Checkpoint, TextPositions};
use crate::named::Named;
use crate::recipe::Recipe;

/// The number of samples from each tensor.
const WINDOWS: usize = 4;
/// The size of a sample.
const WINDOW_BYTES: usize = 256;

impl Checkpoint {
    /// A hash of these weights, their file and the options they are read with.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.content_digest());
        for entry in files_of(&self.file().path) {
            add(&mut hash, entry.as_bytes());
        }
        hash.finalize().into()
    }

    /// As [`Checkpoint::fingerprint`] without the file's path and time: a copy has the same digest.
    pub fn content_digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let (file, options) = (self.file(), self.options());
        // CLIP's own recipe is named by its activation only, as it was before models could have another one.
        let (recipe, activation) = (self.recipe(), self.recipe().text.activation);
        let read_as = format!("{:?} {activation:?} {}", self.sizes(), options.description());
        add(&mut hash, read_as.as_bytes());
        match self.positions() {
            TextPositions::Joined => {}
            other @ (TextPositions::First | TextPositions::Short) => add(&mut hash, other.name().as_bytes()),
        }
        if *recipe != Recipe::clip(activation) {
            add(&mut hash, format!("{recipe:?}").as_bytes());
        }
        if let Some(tokenizer) = self.tokenizer() {
            add(&mut hash, &fs::read(tokenizer).unwrap_or_default());
        }
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

/// The first half of a hash, as 32 hexadecimal digits, for people and file names.
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

/// Path, length and time of change of a file, or of each file in a folder; empty for weights in memory.
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
