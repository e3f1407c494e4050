//! Reads `.safetensors`: a mapped file, or bytes in memory (the built-in model).
//!
//! The `safetensors` crate checks the header (size limit, no holes, no overlaps). The error for any other file says what
//! the file looks like, because it is nearly always a failed download.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors};

use super::not_weights;
use super::stored::{Blob, FileFormat, StoredTensor, StoredType, TensorFile};
use crate::error::{Error, Result};

/// Reads one file.
///
/// # Errors
/// [`Error::NotWeights`] if its header is damaged, [`Error::UnreadableTensor`] for a number type that weights don't have.
pub(super) fn read(path: &Path, blob: Blob) -> Result<TensorFile> {
    let bytes = blob.bytes();
    let header = SafeTensors::deserialize(bytes).map_err(|e| {
        not_weights::of_format(path, bytes).unwrap_or_else(|| Error::NotWeights {
            path: path.to_owned(),
            expected: "a safetensors file".into(),
            found: not_weights::what_it_is(bytes, &describe(&e, bytes.len())),
        })
    })?;
    let mut tensors = BTreeMap::new();
    for (name, view) in header.tensors() {
        let stored_type = stored_type(view.dtype()).ok_or_else(|| Error::UnreadableTensor {
            path: path.to_owned(),
            tensor: name.clone(),
            found: format!("{:?}", view.dtype()),
        })?;
        let start_byte = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
        let tensor = StoredTensor::row_major(stored_type, view.shape().to_vec(), 0, start_byte);
        tensors.insert(name, tensor);
    }
    Ok(TensorFile {
        path: path.to_owned(),
        format: FileFormat::Safetensors,
        blobs: vec![blob],
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
