//! Reads `.safetensors`: one mapped file, shards named by an index, or bytes in memory (the built-in model).
//!
//! The `safetensors` crate checks the header (size limit, no holes, no overlaps). The error for any other file says what
//! the file looks like, because it is nearly always a failed download.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors};

use super::map::map;
use super::not_weights;
use super::shard_index::{ShardIndex, malformed};
use super::stored::{Blob, FileFormat, StoredTensor, StoredType, TensorFile};
use crate::error::{Error, Result};

/// Opens one file.
pub(super) fn open(path: &Path) -> Result<TensorFile> {
    let file = collect(path, vec![(path.to_owned(), Blob::Mapped(map(path)?))])?;
    Ok(file.without_wrappers())
}

/// Opens bytes that are in memory already; `name` is for messages.
pub(super) fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<TensorFile> {
    let file = collect(Path::new(name), vec![(name.into(), Blob::InMemory(bytes))])?;
    Ok(file.without_wrappers())
}

/// Opens the shards that an index names, which are in the same folder.
///
/// # Errors
/// As [`ShardIndex::read`]; [`Error::Read`] for a missing shard, [`Error::NotWeights`] for a missing tensor.
pub(super) fn open_index(index_path: &Path) -> Result<TensorFile> {
    let index = ShardIndex::read(index_path)?;
    let folder = index_path.parent().unwrap_or(Path::new(""));
    let open_shard = |name: &str| {
        let path = folder.join(name);
        map(&path).map(|map| (path, Blob::Mapped(map)))
    };
    let shards = index.shards().into_iter().map(open_shard).collect::<Result<_>>()?;
    let file = collect(index_path, shards)?;
    match index.weight_map.keys().find(|name| !file.tensors.contains_key(*name)) {
        Some(absent) => Err(malformed(
            index_path,
            format!("a tensor `{absent}` that no shard holds"),
        )),
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
            found: not_weights::what_it_is(bytes, &describe(&e, bytes.len())),
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
    Ok(TensorFile {
        path: path.to_owned(),
        format: FileFormat::Safetensors,
        blobs,
        tensors,
    })
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

/// The crate's error in a user's words.
fn describe(error: &safetensors::SafeTensorError, len_bytes: usize) -> String {
    use safetensors::SafeTensorError as E;
    match error {
        E::HeaderTooSmall | E::HeaderTooLarge | E::InvalidHeaderLength | E::InvalidHeaderStart => {
            format!("{len_bytes} bytes without a valid header")
        }
        E::MetadataIncompleteBuffer => {
            format!("{len_bytes} bytes, which is not what its header says: cut short or damaged")
        }
        other => format!("a damaged header ({other})"),
    }
}
