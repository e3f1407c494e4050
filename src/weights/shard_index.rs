//! `model.safetensors.index.json` and `pytorch_model.bin.index.json`: which shard holds which tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path};

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::plain_text::utf8;

/// An index whose shards are in its own folder or below it.
#[derive(Deserialize)]
pub(super) struct ShardIndex {
    /// From a tensor's name to its shard's.
    pub(super) weight_map: BTreeMap<String, String>,
}

impl ShardIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::NotWeights`] if it isn't an index, or names a file outside its folder.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(Error::read(path))?;
        let index: ShardIndex =
            serde_json::from_slice(&utf8(&text)).map_err(|error| malformed(path, error.to_string()))?;
        let is_inside = |name: &str| {
            let mut parts = Path::new(name).components();
            parts.all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(outside) = index.shards().into_iter().find(|name| !is_inside(name)) {
            return Err(malformed(path, format!("a shard outside its folder, `{outside}`")));
        }
        Ok(index)
    }

    /// The shards' names.
    pub(super) fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }
}

/// An error for a file that isn't the index of the shards next to it.
pub(super) fn malformed(path: &Path, found: String) -> Error {
    Error::NotWeights {
        path: path.to_owned(),
        expected: "an index of shards (`weight_map`: tensor to file)".into(),
        found,
    }
}
