//! Reads `.safetensors`: one mapped file, shards named by an index, or bytes in memory (the built-in model).
//!
//! The header is checked by the `safetensors` crate (size limit, no holes, no overlaps); a file that isn't one is
//! described by what it looks like, because that is nearly always a failed download.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};
use serde::Deserialize;

use super::map::map;
use super::recognise;
use super::stored::{Blob, FileFormat, StoredTensor, StoredType, TensorFile};
use crate::error::{Error, Result};

/// Opens one file.
pub(super) fn open(path: &Path) -> Result<TensorFile> {
    collect(path, vec![(path.to_owned(), Blob::Mapped(map(path)?))])
}

/// Opens bytes that are in memory already; `name` is what messages call them.
pub(super) fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<TensorFile> {
    collect(Path::new(name), vec![(name.into(), Blob::InMemory(bytes))])
}

/// The part of `model.safetensors.index.json` that says which shard holds a tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Opens the shards that an index names; they lie beside it.
///
/// # Errors
/// [`Error::NotWeights`] if the index isn't one or names a file outside its folder, [`Error::Read`] for a missing shard.
pub(super) fn open_index(index_path: &Path) -> Result<TensorFile> {
    let bad_index = |found: String| Error::NotWeights {
        path: index_path.to_owned(),
        expected: "an index of safetensors shards (`weight_map`: tensor to file)".into(),
        found,
    };
    let text = std::fs::read(index_path).map_err(Error::read(index_path))?;
    let index: Index = serde_json::from_slice(&text).map_err(|e| bad_index(e.to_string()))?;
    let folder = index_path.parent().unwrap_or(Path::new(""));
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    let mut shards = Vec::new();
    for name in names {
        let inside = Path::new(name).components().all(|c| matches!(c, Component::Normal(_)));
        if !inside {
            return Err(bad_index(format!("a shard outside its folder, `{name}`")));
        }
        let path = folder.join(name);
        shards.push((path.clone(), Blob::Mapped(map(&path)?)));
    }
    let file = collect(index_path, shards)?;
    match index.weight_map.keys().find(|name| !file.tensors.contains_key(*name)) {
        Some(absent) => Err(bad_index(format!("a tensor `{absent}` that no shard holds"))),
        None => Ok(file.without_wrappers()),
    }
}

fn collect(path: &Path, shards: Vec<(PathBuf, Blob)>) -> Result<TensorFile> {
    let mut tensors = BTreeMap::new();
    let mut blobs = Vec::new();
    for (blob_idx, (shard, blob)) in shards.into_iter().enumerate() {
        let bytes = blob.bytes();
        let header = SafeTensors::deserialize(bytes).map_err(|e| Error::NotWeights {
            path: shard.clone(),
            expected: "a safetensors file".into(),
            found: recognise::what_it_is(bytes, &describe(&e, bytes.len())),
        })?;
        for (name, view) in header.tensors() {
            let stored_type = stored_type(view.dtype()).ok_or_else(|| Error::UnreadableTensor {
                path: shard.clone(),
                tensor: name.clone(),
                found: format!("{:?}", view.dtype()),
            })?;
            let start_byte = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
            let tensor = StoredTensor::row_major(stored_type, view.shape().to_vec(), blob_idx, start_byte);
            tensors.insert(name, tensor);
        }
        blobs.push(blob);
    }
    let file = TensorFile {
        path: path.to_owned(),
        format: FileFormat::Safetensors,
        blobs,
        tensors,
    };
    Ok(file.without_wrappers())
}

fn stored_type(dtype: Dtype) -> Option<StoredType> {
    Some(match dtype {
        Dtype::F64 => StoredType::F64,
        Dtype::F32 => StoredType::F32,
        Dtype::F16 => StoredType::F16,
        Dtype::BF16 => StoredType::BF16,
        Dtype::I64 => StoredType::I64,
        Dtype::I32 => StoredType::I32,
        Dtype::I16 => StoredType::I16,
        Dtype::I8 => StoredType::I8,
        Dtype::U8 => StoredType::U8,
        Dtype::BOOL => StoredType::Bool,
        _ => return None,
    })
}

/// The crate's refusal in a user's words.
fn describe(error: &safetensors::SafeTensorError, len_bytes: usize) -> String {
    use safetensors::SafeTensorError as E;
    match error {
        E::HeaderTooSmall | E::HeaderTooLarge | E::InvalidHeaderLength | E::InvalidHeaderStart => {
            format!("{len_bytes} bytes without a valid header")
        }
        E::MetadataIncompleteBuffer => {
            format!("{len_bytes} bytes, which is not what its header promises: cut short or damaged")
        }
        other => format!("a damaged header ({other})"),
    }
}
