//! The binary form: a picture behind the other, each a byte of its class and 3,072 of pixels; in CIFAR-100, a byte of its
//! coarse class before that.

use std::path::{Path, PathBuf};

use super::{Kind, PIXELS, Read};

/// Bytes before a picture's pixels; the last is its class.
fn label_bytes(kind: Kind) -> usize {
    match kind {
        Kind::Ten => 1,
        Kind::Hundred => 2,
    }
}

/// Which set a file of this length is a batch of.
pub(super) fn kind_by_length(path: &Path) -> Option<Kind> {
    let length = std::fs::metadata(path).ok()?.len() as usize;
    let fits = |kind: &Kind| length > 0 && length.is_multiple_of(label_bytes(*kind) + PIXELS);
    [Kind::Ten, Kind::Hundred].into_iter().find(fits)
}

pub(super) fn read(bytes: &[u8], kind: Kind) -> Read {
    let n_label_bytes = label_bytes(kind);
    let record_bytes = n_label_bytes + PIXELS;
    let (records, rest) = (bytes.chunks_exact(record_bytes), bytes.len() % record_bytes);
    let mut read = Read {
        pixels: Vec::with_capacity(bytes.len()),
        labels: Vec::new(),
        damage: None,
    };
    for (i, record) in records.enumerate() {
        let (labels, pixels) = record.split_at(n_label_bytes);
        let at = i * record_bytes + n_label_bytes - 1;
        read.labels
            .push((i64::from(labels[n_label_bytes - 1]), format!("picture {i}, byte {at}")));
        read.pixels.extend_from_slice(pixels);
    }
    if rest != 0 {
        read.damage = Some(format!(
            "it ends at byte {} in the middle of picture {}, which should have {record_bytes} bytes and has {rest}",
            bytes.len(),
            read.labels.len()
        ));
    }
    read
}

/// The data's list of names: where it stands, and what it says; none where it isn't there.
pub(super) fn names(kind: Kind, folder: &Path) -> (PathBuf, Result<Option<Vec<String>>, String>) {
    let path = folder.join(match kind {
        Kind::Ten => "batches.meta.txt",
        Kind::Hundred => "fine_label_names.txt",
    });
    if !path.is_file() {
        return (path, Ok(None));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| format!("it can't be read: {error}"));
    let lines = |text: String| {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    (path, text.map(lines).map(Some))
}
