//! The binary form: images in sequence, each one byte of its class and 3,072 of pixels; in CIFAR-100, after a byte of its
//! coarse class.

use std::path::{Path, PathBuf};

use super::batch::{BatchContent, CifarSet, PIXELS};
use crate::plain_text;

/// Bytes before an image's pixels; the last one is its class.
fn label_bytes(set: CifarSet) -> usize {
    match set {
        CifarSet::Ten => 1,
        CifarSet::Hundred => 2,
    }
}

/// The set that a file of this length is a batch of.
pub(super) fn set_by_length(path: &Path) -> Option<CifarSet> {
    let length = std::fs::metadata(path).ok()?.len() as usize;
    let fits = |set: &CifarSet| length > 0 && length.is_multiple_of(label_bytes(*set) + PIXELS);
    [CifarSet::Ten, CifarSet::Hundred].into_iter().find(fits)
}

pub(super) fn read(bytes: &[u8], set: CifarSet) -> BatchContent {
    let n_label_bytes = label_bytes(set);
    let record_bytes = n_label_bytes + PIXELS;
    let (records, rest) = (bytes.chunks_exact(record_bytes), bytes.len() % record_bytes);
    let mut read = BatchContent {
        pixels: Vec::with_capacity(bytes.len()),
        labels: Vec::new(),
        damage: None,
    };
    for (i, record) in records.enumerate() {
        let (labels, pixels) = record.split_at(n_label_bytes);
        let at = i * record_bytes + n_label_bytes - 1;
        read.labels
            .push((i64::from(labels[n_label_bytes - 1]), format!("image {i}, byte {at}")));
        read.pixels.extend_from_slice(pixels);
    }
    if rest != 0 {
        read.damage = Some(format!(
            "it ends at byte {} in the middle of image {}, which should have {record_bytes} bytes and has {rest}",
            bytes.len(),
            read.labels.len()
        ));
    }
    read
}

/// The data's list of names: its file, and what it says; `None` if there is no such file.
pub(super) fn names(set: CifarSet, folder: &Path) -> (PathBuf, Result<Option<Vec<String>>, String>) {
    let path = folder.join(match set {
        CifarSet::Ten => "batches.meta.txt",
        CifarSet::Hundred => "fine_label_names.txt",
    });
    if !path.is_file() {
        return (path, Ok(None));
    }
    let text = std::fs::read(&path).map_err(|error| format!("it can't be read: {error}"));
    let text = text.and_then(|bytes| plain_text::decoded("it", bytes).map_err(|error| error.to_string()));
    let lines = |text: String| {
        plain_text::lines(&text)
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    (path, text.map(lines).map(Some))
}
