//! Looks through the prefixes that training scripts and wrappers put before a model's own names.
//!
//! `DistributedDataParallel` and `AveragedModel` write `module.`, `torch.compile` `_orig_mod.`, peft `base_model.model.`;
//! others keep the model in an attribute. Called on every file before its layout is recognised.

use std::collections::BTreeMap;

use super::layouts;
use super::stored::{StoredTensor, TensorFile};

/// Known prefixes. Of several in one file the first is taken, so trained weights come before averaged ones.
const WRAPPERS: [&str; 13] = [
    "module.",
    "_orig_mod.",
    "base_model.model.",
    "model.",
    "clip_model.",
    "clip.",
    "net.",
    "backbone.",
    "student.",
    "online.",
    "params.",
    "model_ema.",
    "ema.",
];

/// Removes known prefixes, so that layouts see a model's own names.
///
/// A prefix of all tensors is removed. If only some have one and the names without it are a CLIP's while the file's own are
/// not, these lose it and the others stay, to be refused as surplus by their names.
pub(super) fn look_through(mut file: TensorFile) -> TensorFile {
    while let Some(prefix) = common(&file) {
        strip(&mut file.tensors, prefix);
    }
    if layouts::recognise(file.tensors.keys().map(String::as_str)).is_none()
        && let Some(prefix) = WRAPPERS.into_iter().find(|prefix| holds_clip(&file, prefix))
    {
        strip(&mut file.tensors, prefix);
        return look_through(file);
    }
    file
}

/// The prefix of all tensors that are not counters.
fn common(file: &TensorFile) -> Option<&'static str> {
    let mut names = file.tensors.keys().filter(|name| !layouts::is_bookkeeping(name));
    let first = names.next()?;
    let prefix = WRAPPERS.into_iter().find(|prefix| first.starts_with(prefix))?;
    names.all(|name| name.starts_with(prefix)).then_some(prefix)
}

fn holds_clip(file: &TensorFile, prefix: &str) -> bool {
    let names = file.tensors.keys().filter_map(|name| name.strip_prefix(prefix));
    layouts::recognise(names).is_some()
}

fn strip(tensors: &mut BTreeMap<String, StoredTensor>, prefix: &str) {
    let named = std::mem::take(tensors).into_iter();
    *tensors = named
        .map(|(name, tensor)| match name.strip_prefix(prefix) {
            Some(own) => (own.to_owned(), tensor),
            None => (name, tensor),
        })
        .collect();
}
