//! From a path to the tensors stored there: a file by its content, the shards of an index, or the weights of a folder.

use std::borrow::Cow;
use std::path::Path;

use super::files::{self, USUAL_NAMES};
use super::map::map;
use super::shard_index::{ShardIndex, malformed};
use super::stored::{Blob, TensorFile};
use super::{not_weights, problems, safetensors, torch};
use crate::error::{Error, Result};

/// Opens a file, an index or a folder.
///
/// # Errors
/// As [`safetensors::read`], [`torch::read`] and [`ShardIndex::read`]; [`Error::NotWeights`] if a folder has no weights or
/// several.
pub(super) fn tensors(path: &Path) -> Result<TensorFile> {
    if path.is_dir() {
        return open_folder(path);
    }
    match files::is_index(&path.to_string_lossy()) {
        true => open_index(path),
        false => open_file(path),
    }
}

fn open_file(path: &Path) -> Result<TensorFile> {
    read(path, Blob::Mapped(map(path)?))
}

/// Opens bytes that are in memory already; `name` is for messages.
pub(super) fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<TensorFile> {
    read(Path::new(name), Blob::InMemory(bytes))
}

fn read(path: &Path, blob: Blob) -> Result<TensorFile> {
    // By content, since files are renamed. The name of a PyTorch file matters only for the message about a broken one.
    if blob.bytes().starts_with(b"PK\x03\x04") || files::is_torch(&path.to_string_lossy()) {
        torch::read(path, blob)
    } else {
        safetensors::read(path, blob)
    }
}

/// Opens the shards that an index names, which are in the same folder.
///
/// # Errors
/// As [`ShardIndex::read`] and [`open_file`]; [`Error::NotWeights`] for a missing tensor.
fn open_index(index_path: &Path) -> Result<TensorFile> {
    let index = ShardIndex::read(index_path)?;
    let folder = index_path.parent().unwrap_or(Path::new(""));
    let shards = index.shards().into_iter().map(|name| open_file(&folder.join(name)));
    let Some(file) = TensorFile::joined(index_path, shards.collect::<Result<_>>()?) else {
        return Err(malformed(index_path, "no shards".into()));
    };
    match index.weight_map.keys().find(|name| !file.tensors.contains_key(*name)) {
        Some(absent) => Err(malformed(
            index_path,
            format!("a tensor `{absent}` that no shard holds"),
        )),
        None => Ok(file),
    }
}

/// Opens the weights of a folder: those with a usual name, or the only ones.
fn open_folder(folder: &Path) -> Result<TensorFile> {
    let usual = USUAL_NAMES.iter().map(|name| folder.join(name));
    if let Some(path) = usual.into_iter().find(|path| path.exists()) {
        return tensors(&path);
    }
    let weights = files::weights_files(folder)?;
    let found = match weights.as_slice() {
        [only] => return open_file(only),
        [] => match not_weights::in_folder(folder) {
            Some(foreign) => return Err(foreign),
            None => "no weights file".into(),
        },
        several => {
            let names = several.iter().filter_map(|path| path.file_name());
            let names = names.map(|name| format!("`{}`", name.display())).collect();
            format!("{}; name one of them", problems::listed(names).join(", "))
        }
    };
    Err(Error::NotWeights {
        path: folder.to_owned(),
        expected: "a folder with `model.safetensors`, its index, or one weights file".into(),
        found,
    })
}
