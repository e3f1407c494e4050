//! Reads PyTorch's `.pt`: archives of `torch.save` (1.6 and later) and TorchScript archives, as OpenAI distributes CLIP.
//!
//! Such a file is a zip archive that holds a pickle, `data.pkl`, and each tensor's numbers as an uncompressed record,
//! `data/N`. `zip` finds the records, `pickle` reads the object that the pickle describes, `state_dict` picks the
//! tensors out of it and checks that each lies inside its record. The file stays mapped; nothing from it is ever run,
//! and memory stays in proportion to the pickle, whatever its length fields say.
//! Follows `torch/serialization.py`, `torch/csrc/jit/serialization` and Python's `pickletools.py`.

mod globals;
pub(crate) mod numpy;
mod opcode;
mod pickle;
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
use self::zip::Archive;
use super::map::map;
use super::recognise;
use super::stored::{Blob, FileFormat, StoredTensor, TensorFile};
use crate::error::{Error, Result};

/// Opens one file.
///
/// # Errors
/// [`Error::Read`] if it can't be mapped, [`Error::NotWeights`] if it isn't such an archive or is damaged,
/// [`Error::ForeignPickle`] if its pickle asks for a function or class that a state dict does not need.
pub(super) fn open(path: &Path) -> Result<TensorFile> {
    read(path, Blob::Mapped(map(path)?))
}

fn read(path: &Path, blob: Blob) -> Result<TensorFile> {
    let (format, tensors) = locate(blob.bytes()).map_err(|refusal| refusal.of_file(path))?;
    let file = TensorFile {
        path: path.to_owned(),
        format,
        blobs: vec![blob],
        tensors,
    };
    Ok(file.without_wrappers())
}

/// The tensors of an archive by name; each one's bytes lie inside `bytes`.
fn locate(bytes: &[u8]) -> Outcome<(FileFormat, BTreeMap<String, StoredTensor>)> {
    if !bytes.starts_with(zip::LOCAL_HEADER) {
        return damaged(what_else(bytes));
    }
    let archive = Archive::read(bytes)?;
    if archive.has("byteorder") && archive.record("byteorder")?.bytes == b"big" {
        return damaged("numbers of a big-endian machine; load and save it with torch on a little-endian one");
    }
    let (format, dialect) = if archive.is_torch_script() {
        (FileFormat::TorchScript, Dialect::TorchScript)
    } else {
        (FileFormat::TorchPickle, Dialect::TorchSave)
    };
    let object = pickle::read(archive.record("data.pkl")?.bytes, dialect)?;
    Ok((format, state_dict::tensors(&object, &archive)?))
}

/// What a file is that isn't a zip archive.
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
    recognise::what_it_is(bytes, &format!("{} bytes that are no zip archive", bytes.len()))
}

/// Why a file can't be used, before it has a name.
#[derive(Debug)]
enum Refusal {
    /// It isn't what it should be; what it is instead.
    Damaged(String),
    /// Its pickle asks for this function or class.
    Foreign(String),
}

type Outcome<T> = Result<T, Refusal>;

fn damaged<T>(found: impl Into<String>) -> Outcome<T> {
    Err(Refusal::Damaged(found.into()))
}

impl Refusal {
    fn of_file(self, path: &Path) -> Error {
        match self {
            Refusal::Damaged(found) => Error::NotWeights {
                path: path.to_owned(),
                expected: "a PyTorch weights file (a state dict saved by `torch.save`, or TorchScript)".into(),
                found,
            },
            Refusal::Foreign(global) => Error::ForeignPickle {
                path: path.to_owned(),
                global,
            },
        }
    }
}

/// Text from the file as a message may show it: short, on one line, without control characters.
fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let escaped: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        escaped + "…"
    } else {
        escaped
    }
}
