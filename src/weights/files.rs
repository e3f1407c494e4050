//! The file names by which weights, their shards and their configs are found, in folders and in repositories of the hub.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The weights files of a model: the file itself, or the weights in a folder, sorted by name.
///
/// # Errors
/// [`Error::Read`] if the folder can't be read.
pub fn weights_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(Error::read(path))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut weights: Vec<PathBuf> = paths.filter(|path| is_weights(&path.to_string_lossy())).collect();
    weights.sort();
    Ok(weights)
}

/// Usual names of a model's weights: Hugging Face's, then open_clip's. The first one found is used.
pub(super) const USUAL_NAMES: [&str; 9] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "open_clip_model.safetensors.index.json",
    "open_clip_pytorch_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.bin.index.json",
];

/// transformers' config of a model.
pub(super) const TRANSFORMERS_CONFIG: &str = "config.json";
/// open_clip's config of a model and of its images.
pub(super) const OPENCLIP_CONFIG: &str = "open_clip_config.json";
/// transformers' config of images.
pub(super) const IMAGE_CONFIG: &str = "preprocessor_config.json";
/// transformers' config of all inputs.
pub(super) const PROCESSOR_CONFIG: &str = "processor_config.json";
/// transformers' config of a tokenizer.
pub(super) const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// A whole tokenizer, of transformers.
pub(super) const TOKENIZER: &str = "tokenizer.json";

/// Small files next to the weights that say what the tensors can't: the recipe of the model.
#[cfg_attr(
    not(feature = "hub"),
    allow(dead_code, reason = "only downloads go through all of them")
)]
pub(super) const CONFIG_NAMES: [&str; 5] = [
    TRANSFORMERS_CONFIG,
    OPENCLIP_CONFIG,
    IMAGE_CONFIG,
    PROCESSOR_CONFIG,
    TOKENIZER_CONFIG,
];

/// Ending of safetensors files.
pub(super) const SAFETENSORS: &str = ".safetensors";
/// Endings of the files that PyTorch saves.
const TORCH: [&str; 4] = [".pt", ".pth", ".bin", ".ckpt"];
/// Ending of a file, after that of the weights, that names the shards of a model in several files.
const INDEX: &str = ".index.json";

/// Endings of files with tensors, in the order in which they are preferred.
pub(super) fn endings() -> impl Iterator<Item = &'static str> {
    std::iter::once(SAFETENSORS).chain(TORCH)
}

/// Whether a file of this name holds tensors.
pub(super) fn is_weights(name: &str) -> bool {
    endings().any(|ending| name.ends_with(ending))
}

/// Whether a file of this name is one that PyTorch saves.
pub(super) fn is_torch(name: &str) -> bool {
    TORCH.iter().any(|ending| name.ends_with(ending))
}

/// Whether a file of this name only says which files hold the tensors.
pub(super) fn is_index(name: &str) -> bool {
    name.strip_suffix(INDEX).is_some_and(is_weights)
}
