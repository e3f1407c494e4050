//! The tokenizer in Python: turns texts into padded rows of ids, and counts all tokens of each text.

use longclip::Error;
use longclip::text::{ContextLength, Tokenizer};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::errors::unlocked;

/// Token ids `(n, context_length)` as i32, padded with zeros and cut to this length; and each text's count before
/// the cut.
#[pyfunction]
pub(crate) fn tokenize<'py>(
    py: Python<'py>,
    texts: Vec<String>,
    context_length: usize,
) -> PyResult<(Bound<'py, PyByteArray>, Vec<usize>)> {
    let (bytes, counts) = unlocked(py, || padded(&texts, context_length))?;
    Ok((PyByteArray::new(py, &bytes), counts))
}

fn padded(texts: &[String], context_length: usize) -> longclip::Result<(Vec<u8>, Vec<usize>)> {
    let context = ContextLength::new(context_length)?;
    let mut bytes = Vec::new();
    let n_bytes = texts
        .len()
        .saturating_mul(context_length)
        .saturating_mul(size_of::<i32>());
    bytes.try_reserve_exact(n_bytes).map_err(|_| {
        Error::usage(
            format!("no memory for {} rows of {context_length} tokens", texts.len()),
            "a model's own `context_length` is 248, or 77",
        )
    })?;
    let mut counts = Vec::with_capacity(texts.len());
    for text in texts {
        let tokens = Tokenizer::clip().encode(text, context);
        // Ids are below 49,408, so that signed and unsigned ones are the same bytes.
        let ids = tokens.ids().iter().copied().chain(std::iter::repeat(0));
        bytes.extend(ids.take(context_length).flat_map(u32::to_ne_bytes));
        counts.push(tokens.count());
    }
    Ok((bytes, counts))
}
