//! Reads PyTorch's `.pt`: archives of `torch.save` (1.6 and later) and TorchScript archives, as OpenAI distributes CLIP.
//!
//! Such a file is a zip archive with a pickle, `data.pkl`, and each tensor's numbers as an uncompressed record, `data/N`.
//! `zip` finds the records, `pickle` reads the object that the pickle describes, `state_dict` takes the tensors from it
//! and checks that each is within its record. The file stays mapped. Nothing from it is ever run, and the memory needed
//! is proportional to the pickle, whatever its length fields say.
//! Follows `torch/serialization.py`, `torch/csrc/jit/serialization` and Python's `pickletools.py`.

mod globals;
pub(crate) mod numpy;
mod opcode;
mod pickle;
mod refusal;
#[cfg(test)]
mod specimen;
mod state_dict;
#[cfg(test)]
mod tests;
mod value;
mod zip;

use std::collections::BTreeMap;
use std::path::Path;

use self::globals::Dialect;
use self::refusal::{Outcome, Refusal, damaged};
use self::zip::Archive;
use super::not_weights;
use super::stored::{Blob, FileFormat, StoredTensor, TensorFile};
use crate::error::Result;

/// Reads one file.
///
/// # Errors
/// [`Error::NotWeights`](crate::Error::NotWeights) if it isn't such an archive or is damaged,
/// [`Error::ForeignPickle`](crate::Error::ForeignPickle) if its pickle asks for a function or class that a state dict does
/// not need.
pub(super) fn read(path: &Path, blob: Blob) -> Result<TensorFile> {
    let (format, tensors) = locate(blob.bytes()).map_err(|refusal| {
        let known = match &refusal {
            Refusal::Damaged(_) => not_weights::of_format(path, blob.bytes()),
            Refusal::Foreign(global) => not_weights::of_global(path, global),
        };
        known.unwrap_or_else(|| refusal.of_file(path))
    })?;
    Ok(TensorFile {
        path: path.to_owned(),
        format,
        blobs: vec![blob],
        tensors,
    })
}

/// The tensors of an archive by name; the bytes of each are within `bytes`.
fn locate(bytes: &[u8]) -> Outcome<(FileFormat, BTreeMap<String, StoredTensor>)> {
    if !bytes.starts_with(zip::LOCAL_HEADER) {
        return damaged(what_else(bytes));
    }
    let archive = Archive::read(bytes)?;
    if archive.has("byteorder") && archive.record("byteorder")?.bytes == b"big" {
        return damaged(
            "the numbers of a big-endian machine; load it and save it again with torch on a little-endian one",
        );
    }
    let (format, dialect) = if archive.is_torch_script() {
        (FileFormat::TorchScript, Dialect::TorchScript)
    } else {
        (FileFormat::TorchPickle, Dialect::TorchSave)
    };
    let object = pickle::read(archive.record("data.pkl")?.bytes, dialect)?;
    Ok((format, state_dict::tensors(&object, &archive)?))
}

/// What a file is, if it isn't a zip archive.
fn what_else(bytes: &[u8]) -> String {
    // PROTO 2, then LONG1 of torch's magic number 0x1950a86a20f9469cfc6c, ten bytes.
    const BEFORE_1_6: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    if bytes.starts_with(BEFORE_1_6) {
        return "the format of PyTorch before 1.6; convert it with a current one: `torch.save(torch.load(old), new)`"
            .into();
    }
    if bytes.first() == Some(&opcode::PROTO) {
        return "a bare pickle; weights come as the archive that `torch.save` of PyTorch 1.6 or later writes".into();
    }
    not_weights::what_it_is(bytes, &format!("{} bytes that are not a zip archive", bytes.len()))
}
