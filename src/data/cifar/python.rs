//! Python's form: one pickle per batch, a dictionary of `data`, an array of `(n, 3072)` bytes, and `labels` or `fine_labels`.
//!
//! Nothing in a pickle is run (`weights/torch/numpy.rs`).

use std::path::{Path, PathBuf};

use super::batch::{BatchContent, CifarSet, PIXELS};
use crate::weights::{Pickled, numpy};

pub(super) fn read(bytes: &[u8], set: CifarSet) -> Result<BatchContent, String> {
    let batch = numpy::read_dictionary(bytes)?;
    let labels_key = match set {
        CifarSet::Ten => "labels",
        CifarSet::Hundred => "fine_labels",
    };
    let array = match batch.get("data") {
        Some(Pickled::Array(array)) => array,
        Some(_) => return Err("its `data` is not an array of bytes".into()),
        None => return Err("it has no `data`, which should be an array of bytes".into()),
    };
    let labels = match batch.get(labels_key) {
        Some(Pickled::Numbers(labels)) => labels,
        Some(_) => return Err(format!("its `{labels_key}` is not a list of numbers")),
        None => return Err(format!("it has no `{labels_key}`, which should be a list of numbers")),
    };
    let n = array.shape.first().copied().unwrap_or(0);
    if array.bytes.len() != n * PIXELS {
        return Err(format!(
            "its `data` has the shape {:?}; (n, {PIXELS}) is expected",
            array.shape
        ));
    }
    if labels.len() != n {
        return Err(format!(
            "its `data` has {n} images, its `{labels_key}` {} classes",
            labels.len()
        ));
    }
    let place = |i: usize| format!("image {i}, `{labels_key}[{i}]`");
    Ok(BatchContent {
        pixels: array.bytes.to_vec(),
        labels: labels.iter().enumerate().map(|(i, label)| (*label, place(i))).collect(),
        damage: None,
    })
}

/// The data's list of names: its file, and what it says; `None` if there is no such file.
pub(super) fn names(set: CifarSet, folder: &Path) -> (PathBuf, Result<Option<Vec<String>>, String>) {
    let (file, key) = match set {
        CifarSet::Ten => ("batches.meta", "label_names"),
        CifarSet::Hundred => ("meta", "fine_label_names"),
    };
    let path = folder.join(file);
    if !path.is_file() {
        return (path, Ok(None));
    }
    let bytes = std::fs::read(&path).map_err(|error| format!("it can't be read: {error}"));
    let names = bytes.and_then(|bytes| match numpy::read_dictionary(&bytes)?.remove(key) {
        Some(Pickled::Texts(names)) => Ok(Some(names)),
        _ => Err(format!("it has no `{key}`, which should be a list of texts")),
    });
    (path, names)
}
