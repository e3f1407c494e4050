//! Describes, for messages, a file that isn't weights: a web page, a Git LFS pointer, an empty file, or a model in a format
//! that is not read. It is recognised by its first bytes or its name.

use std::path::Path;

use memchr::memmem;

use super::families::Encoding;
use crate::error::Error;

/// What the bytes look like; `otherwise` if they look like nothing known.
pub(super) fn what_it_is(bytes: &[u8], otherwise: &str) -> String {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(256)])
        .trim_start()
        .to_lowercase();
    let known = [
        (
            "version https://git-lfs",
            "a Git LFS pointer: the weights themselves were not fetched",
        ),
        ("<!doctype html", "a web page: the download failed"),
        ("<html", "a web page: the download failed"),
        ("<?xml", "an XML document: the download failed"),
    ];
    if bytes.is_empty() {
        return "an empty file".into();
    }
    if let Some((_, what)) = known.iter().find(|(prefix, _)| start.starts_with(prefix)) {
        return (*what).into();
    }
    otherwise.into()
}

/// A format of models that is not read.
struct Format {
    /// With its article.
    name: &'static str,
    /// Endings of file names, for files whose bytes don't show it.
    endings: &'static [&'static str],
    /// Whether a file with these bytes has this format.
    shows: fn(&[u8]) -> bool,
}

/// All formats that are known by name. Zip archives are known by names in their directory, which is at the end.
#[rustfmt::skip]
static FORMATS: [Format; 12] = [
    // A protobuf whose first field is the version, 1 to 31, and whose second is a text or the graph.
    Format { name: "an ONNX model", endings: &["onnx", "ort"],
        shows: |bytes| matches!(bytes, [0x08, 1..=31, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..]) },
    Format { name: "a TensorFlow Lite model", endings: &["tflite"], shows: |bytes| bytes.get(4..8) == Some(b"TFL3") },
    Format { name: "an HDF5 file, as Keras and TensorFlow write", endings: &["h5", "hdf5", "keras"],
        shows: |bytes| bytes.starts_with(b"\x89HDF\r\n\x1a\n") || is_zip_with(bytes, "model.weights.h5") },
    Format { name: "a NumPy file", endings: &["npy", "npz"],
        shows: |bytes| bytes.starts_with(b"\x93NUMPY") || (is_zip_with(bytes, ".npy") && !is_zip_with(bytes, "data.pkl")) },
    // A map of at most 15 entries or a longer one, whose first key is text.
    Format { name: "a msgpack file, as Flax writes", endings: &["msgpack"], shows: |bytes| {
        matches!(bytes, [0x81..=0x8f, 0xa0..=0xbf | 0xd9, ..] | [0xde, _, _, 0xa0..=0xbf | 0xd9, ..] | [0xdf, _, _, _, _, 0xa0..=0xbf | 0xd9, ..])
    } },
    Format { name: "a GGUF model, as llama.cpp reads", endings: &["gguf"], shows: |bytes| bytes.starts_with(b"GGUF") },
    Format { name: "a GGML model, as clip.cpp reads", endings: &["ggml"], shows: |bytes| {
        [b"lmgg", b"fmgg", b"tjgg"].iter().any(|magic| bytes.starts_with(*magic))
    } },
    Format { name: "an OpenVINO model", endings: &[], shows: |bytes| {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(512)]);
        head.trim_start().starts_with('<') && head.contains("<net ")
    } },
    Format { name: "a program of torch.export", endings: &["pt2"],
        shows: |bytes| is_zip_with(bytes, "/archive_format") || is_zip_with(bytes, "serialized_exported_program.json") },
    Format { name: "a Core ML model", endings: &["mlmodel", "mlpackage"], shows: |_| false },
    Format { name: "a TensorRT engine", endings: &["engine", "plan", "trt"], shows: |_| false },
    Format { name: "a TensorFlow graph", endings: &["pb"], shows: |_| false },
];

/// Whether these bytes are a zip archive in whose directory this text is found.
fn is_zip_with(bytes: &[u8], text: &str) -> bool {
    const DIRECTORY_BYTES_MAX: usize = 1 << 16;
    let directory = &bytes[bytes.len().saturating_sub(DIRECTORY_BYTES_MAX)..];
    bytes.starts_with(b"PK\x03\x04") && memmem::find(directory, text.as_bytes()).is_some()
}

/// An error that names the format of a file that could not be read as weights, if it is a known one.
pub(super) fn of_format(path: &Path, bytes: &[u8]) -> Option<Error> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let has_ending = |format: &&Format| ending.as_deref().is_some_and(|ending| format.endings.contains(&ending));
    // The two files of an OpenVINO model are next to each other; the one with the numbers has no sign of its own.
    let is_openvino = ending.as_deref() == Some("bin") && path.with_extension("xml").exists();
    let by_bytes = FORMATS.iter().find(|format| (format.shows)(bytes));
    let name = match by_bytes.or_else(|| FORMATS.iter().find(has_ending).filter(|_| !bytes.is_empty())) {
        Some(format) => format.name,
        None if is_openvino => "the second file of an OpenVINO model",
        None => return None,
    };
    Some(Error::Unsupported {
        path: path.to_owned(),
        problem: format!("it is {name}, which can't be read"),
        hint: Some("use the safetensors or PyTorch file that it was made from".into()),
    })
}

/// An error for a folder whose only models are in formats that are not read.
pub(super) fn in_folder(folder: &Path) -> Option<Error> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths.iter().find_map(|path| of_format(path, b"?"))
}

/// An error for a pickle that names a class of a quantisation.
pub(super) fn of_global(path: &Path, global: &str) -> Option<Error> {
    let encoding = Encoding::by_global(global)?;
    Some(encoding.refusal(path, global))
}
