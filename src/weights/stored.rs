//! Tensors as a file stores them: names, types, shapes and where their bytes are in the mapped file.
//!
//! The readers (`safetensors.rs`, `torch/`) make a [`TensorFile`]; `layouts` says which of its tensors is which, and
//! [`TensorFile::read`] returns one, row-major, as f32.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;

use super::map;
use crate::error::{Error, Result};

/// The number type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
#[non_exhaustive]
pub(super) enum StoredType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl StoredType {
    /// Bytes of one element.
    pub(super) fn size_bytes(self) -> usize {
        match self {
            StoredType::F64 | StoredType::I64 => 8,
            StoredType::F32 | StoredType::I32 => 4,
            StoredType::F16 | StoredType::BF16 | StoredType::I16 => 2,
            StoredType::I8 | StoredType::U8 | StoredType::Bool => 1,
        }
    }

    /// Whether weights can have this type without a scale.
    pub(super) fn is_float(self) -> bool {
        matches!(
            self,
            StoredType::F64 | StoredType::F32 | StoredType::F16 | StoredType::BF16
        )
    }
}

impl fmt::Display for StoredType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoredType::F64 => "f64",
            StoredType::F32 => "f32",
            StoredType::F16 => "f16",
            StoredType::BF16 => "bf16",
            StoredType::I64 => "i64",
            StoredType::I32 => "i32",
            StoredType::I16 => "i16",
            StoredType::I8 => "i8",
            StoredType::U8 => "u8",
            StoredType::Bool => "bool",
        })
    }
}

/// One tensor of a file. Its reader has checked that all elements are within the file.
#[derive(Debug, Clone)]
pub(super) struct StoredTensor {
    pub(super) stored_type: StoredType,
    pub(super) shape: Vec<usize>,
    /// The distance, in elements, from one index of each axis to the next; row-major unless a `.pt` says otherwise.
    pub(super) strides: Vec<usize>,
    /// The index of its blob in the file.
    pub(super) blob: usize,
    /// The first element's byte in that blob.
    pub(super) start_byte: usize,
}

impl StoredTensor {
    /// A dense tensor whose last axis is the fastest.
    pub(super) fn row_major(stored_type: StoredType, shape: Vec<usize>, blob: usize, start_byte: usize) -> Self {
        let strides = row_major_strides(&shape);
        StoredTensor {
            stored_type,
            shape,
            strides,
            blob,
            start_byte,
        }
    }

    /// Its number type.
    pub(super) fn stored_type(&self) -> StoredType {
        self.stored_type
    }

    /// Its shape, as stored.
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// One row of a tensor with two axes, `(1, width)`.
    fn row(&self, row: u32) -> Self {
        let row = row as usize;
        assert!(row < self.shape[0], "row {row} of {}", self.shape[0]);
        StoredTensor {
            shape: vec![1, self.shape[1]],
            start_byte: self.start_byte + row * self.strides[0] * self.stored_type.size_bytes(),
            ..self.clone()
        }
    }

    /// The number of elements.
    pub(super) fn n_elements(&self) -> usize {
        // The other axes of an empty tensor can be anything, and their product may overflow.
        if self.shape.contains(&0) {
            0
        } else {
            self.shape.iter().product()
        }
    }

    /// The range of bytes in the blob that contains its elements.
    pub(super) fn byte_range(&self) -> Range<usize> {
        if self.n_elements() == 0 {
            return self.start_byte..self.start_byte; // its strides may be anything
        }
        let span: usize = self
            .shape
            .iter()
            .zip(&self.strides)
            .map(|(n, stride)| (n - 1) * stride)
            .sum();
        self.start_byte..self.start_byte + (span + 1) * self.stored_type.size_bytes()
    }

    /// Whether it is dense with the last axis the fastest. The stride of an axis of one doesn't matter.
    fn is_row_major(&self) -> bool {
        let dense = row_major_strides(&self.shape);
        self.shape
            .iter()
            .zip(self.strides.iter().zip(dense))
            .all(|(n, (stride, dense))| *n == 1 || *stride == dense)
    }
}

/// Strides of a dense tensor whose last axis is the fastest, in elements.
pub(super) fn row_major_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        // Saturating because of empty tensors, whose other axes can be anything; they have no elements to find.
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis].max(1));
    }
    strides
}

/// Bytes that tensors point into.
pub(super) enum Blob {
    /// A file mapped into memory.
    Mapped(Mmap),
    /// Bytes of this process: the built-in model.
    InMemory(Cow<'static, [u8]>),
}

impl Blob {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Blob::Mapped(map) => map,
            Blob::InMemory(bytes) => bytes,
        }
    }

    /// Lets the system drop these bytes from memory; they are read from the file again when needed.
    pub(super) fn release(&self, range: Range<usize>) {
        match self {
            Blob::Mapped(map) => map::release(map, range),
            Blob::InMemory(_) => {}
        }
    }
}

/// The format of a weights file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// `.safetensors`, one file or shards with an index.
    Safetensors,
    /// A zip archive of `torch.save`.
    TorchPickle,
    /// A TorchScript archive, as OpenAI distributes CLIP.
    TorchScript,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileFormat::Safetensors => "safetensors",
            FileFormat::TorchPickle => "PyTorch state dict",
            FileFormat::TorchScript => "TorchScript archive",
        })
    }
}

/// All tensors of one model, by the names that the file gives them.
pub(super) struct TensorFile {
    /// For messages.
    pub(super) path: PathBuf,
    pub(super) format: FileFormat,
    pub(super) blobs: Vec<Blob>,
    pub(super) tensors: BTreeMap<String, StoredTensor>,
}

impl TensorFile {
    /// All tensors of several files as one, under the name of their index; `None` if there are no files.
    pub(super) fn joined(path: &Path, files: Vec<TensorFile>) -> Option<Self> {
        let mut joined = TensorFile {
            path: path.to_owned(),
            format: files.first()?.format,
            blobs: Vec::new(),
            tensors: BTreeMap::new(),
        };
        for file in files {
            let n_blobs = joined.blobs.len();
            joined.tensors.extend(file.tensors.into_iter().map(|(name, tensor)| {
                let blob = tensor.blob + n_blobs;
                (name, StoredTensor { blob, ..tensor })
            }));
            joined.blobs.extend(file.blobs);
        }
        Some(joined)
    }

    /// A tensor's values, row-major, as f32; f16, bf16 and small integers are exact. Borrowed if they are stored this way.
    ///
    /// # Errors
    /// [`Error::UnreadableTensor`] if weights don't have this number type.
    pub(super) fn read<'a>(&'a self, name: &str, tensor: &StoredTensor) -> Result<Cow<'a, [f32]>> {
        let bytes = &self.blobs[tensor.blob].bytes()[tensor.byte_range()];
        if tensor.stored_type == StoredType::F32
            && tensor.is_row_major()
            && cfg!(target_endian = "little")
            && let Ok(values) = bytemuck::try_cast_slice(bytes)
        {
            return Ok(Cow::Borrowed(values));
        }
        Ok(match tensor.stored_type {
            StoredType::F32 => gather(bytes, tensor, f32::from_le_bytes),
            StoredType::F16 => gather(bytes, tensor, |b| f16::from_le_bytes(b).to_f32()),
            StoredType::BF16 => gather(bytes, tensor, |b| bf16::from_le_bytes(b).to_f32()),
            StoredType::F64 => gather(bytes, tensor, |b| f64::from_le_bytes(b) as f32),
            StoredType::I8 => gather(bytes, tensor, |b| f32::from(i8::from_le_bytes(b))),
            other => {
                return Err(Error::UnreadableTensor {
                    path: self.path.clone(),
                    tensor: name.to_owned(),
                    found: other.to_string(),
                });
            }
        }
        .into())
    }

    /// Some rows of a tensor with two axes, `(rows.len(), width)`.
    ///
    /// # Errors
    /// As [`TensorFile::read`].
    pub(super) fn read_rows(&self, name: &str, tensor: &StoredTensor, rows: &[u32]) -> Result<Vec<f32>> {
        let mut values = Vec::with_capacity(rows.len() * tensor.shape[1]);
        for row in rows {
            values.extend_from_slice(&self.read(name, &tensor.row(*row))?);
        }
        Ok(values)
    }

    /// Some rows of a tensor whose bytes are two integers of 4 bits each, `(rows.len(), 2 * width)`: the first in the
    /// lower half, from -8 to 7, stored as 0 to 15.
    pub(super) fn read_rows_of_halves(&self, tensor: &StoredTensor, rows: &[u32]) -> Vec<f32> {
        let halves = |[byte]: [u8; 1]| [byte & 15, byte >> 4].map(|half| f32::from(half) - 8.0);
        let row = |row: &u32| {
            let row = tensor.row(*row);
            gather(&self.blobs[row.blob].bytes()[row.byte_range()], &row, halves)
        };
        rows.iter().flat_map(row).flatten().collect()
    }
}

/// The elements of `tensor` in row-major order; `bytes` begin with its first element.
fn gather<const N: usize, T>(bytes: &[u8], tensor: &StoredTensor, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let n_elements = tensor.n_elements();
    let (elements, _) = bytes.as_chunks::<N>();
    if n_elements == 0 {
        return Vec::new();
    }
    if tensor.is_row_major() {
        return elements[..n_elements].iter().map(|b| read(*b)).collect();
    }
    let mut out = Vec::with_capacity(n_elements);
    let mut index = vec![0; tensor.shape.len()];
    for _ in 0..n_elements {
        let at: usize = index.iter().zip(&tensor.strides).map(|(i, s)| i * s).sum();
        out.push(read(elements[at]));
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < tensor.shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_view_is_read_in_its_own_order() {
        let stored: Vec<u8> = [1f32, 2.0, 3.0, 4.0, 5.0, 6.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let view = StoredTensor {
            stored_type: StoredType::F32,
            shape: vec![3, 2],
            strides: vec![1, 3],
            blob: 0,
            start_byte: 0,
        };
        assert_eq!(
            gather(&stored, &view, f32::from_le_bytes),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
    }

    #[test]
    fn a_scalar_is_one_element() {
        let tensor = StoredTensor::row_major(StoredType::F32, vec![], 0, 0);
        assert_eq!(gather(&4.6052f32.to_le_bytes(), &tensor, f32::from_le_bytes), [4.6052]);
    }
}
