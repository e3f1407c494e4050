//! Numbers as bytes in the machine's order, as arrays of Python hold them.

use longclip::{Error, Result};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

/// f32 values as bytes that the caller may write to.
pub(crate) fn floats<'py>(py: Python<'py>, values: &[f32]) -> PyResult<Bound<'py, PyByteArray>> {
    PyByteArray::new_with(py, size_of_val(values), |bytes| {
        for (bytes, value) in bytes.chunks_exact_mut(size_of::<f32>()).zip(values) {
            bytes.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(())
    })
}

/// The f32 values of bytes.
pub(crate) fn to_floats(bytes: &[u8]) -> Result<Vec<f32>> {
    words(bytes, f32::from_ne_bytes)
}

/// The u32 values of bytes.
pub(crate) fn to_ids(bytes: &[u8]) -> Result<Vec<u32>> {
    words(bytes, u32::from_ne_bytes)
}

fn words<T>(bytes: &[u8], read: impl Fn([u8; 4]) -> T) -> Result<Vec<T>> {
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Error::usage(
            format!("{} bytes are not numbers of 4 bytes each", bytes.len()),
            "give f32 or 32-bit integers",
        ));
    }
    Ok(words.iter().map(|word| read(*word)).collect())
}
