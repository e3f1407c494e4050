//! Which file of a repository holds the model, when the address doesn't say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::HubAddress;
use super::address::is_relative_path;
use crate::error::{Error, Result};

/// Names that say it, the most usual first: Hugging Face's, its shards, open_clip's.
const USUAL_NAMES: [&str; 6] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
];
/// Otherwise a repository's only file with one of these endings, tried in this order.
const ENDINGS: [&str; 4] = [".safetensors", ".pt", ".pth", ".bin"];
/// Small files that say what the tensors can't: the activation, the number of heads.
pub(super) const COMPANIONS: [&str; 2] = ["config.json", "open_clip_config.json"];
/// Names the shards of a model in several files.
const INDEX_ENDING: &str = ".safetensors.index.json";

/// The weights among a repository's files.
pub(super) fn choose(address: &HubAddress, names: &[String]) -> Result<String> {
    if let Some(usual) = USUAL_NAMES.iter().find(|usual| names.iter().any(|name| name == *usual)) {
        return Ok((*usual).to_owned());
    }
    let with_ending = |ending: &str| {
        names
            .iter()
            .filter(|n| n.ends_with(ending))
            .cloned()
            .collect::<Vec<_>>()
    };
    for ending in ENDINGS {
        if let [only] = with_ending(ending).as_slice() {
            return Ok(only.clone());
        }
    }
    let all: Vec<String> = ENDINGS.iter().flat_map(|ending| with_ending(ending)).collect();
    Err(match all.first() {
        None => Error::UnknownModel {
            name: address.to_string(),
            problem: format!("its {} files hold no weights (.safetensors, .pt, .bin)", names.len()),
            hint: None,
        },
        Some(first) => Error::UnknownModel {
            name: address.to_string(),
            problem: format!("it holds several weights files: {}", all.join(", ")),
            hint: Some(format!("name one, as in `{address}:{first}`").into()),
        },
    })
}

/// Whether this file only names the files that hold the tensors.
pub(super) fn is_index(file: &str) -> bool {
    file.ends_with(INDEX_ENDING)
}

/// Hugging Face's and open_clip's formats come with a config; a `.pt` of upstream's stands alone.
pub(super) fn may_have_companions(file: &str) -> bool {
    file.ends_with(".safetensors") || file.ends_with(".bin") || is_index(file)
}

/// A file's neighbour in the repository.
pub(super) fn beside(file: &str, neighbour: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{neighbour}"),
        None => neighbour.to_owned(),
    }
}

/// The shards that an index on disk names, as the repository names them.
pub(super) fn shards(index_path: &Path, index_file: &str) -> Result<Vec<String>> {
    let bytes = fs::read(index_path).map_err(Error::read(index_path))?;
    let malformed = |found: &str| Error::NotWeights {
        path: index_path.to_owned(),
        expected: "an index of safetensors shards with a `weight_map`".into(),
        found: found.into(),
    };
    let index: serde_json::Value = serde_json::from_slice(&bytes).map_err(|e| malformed(&e.to_string()))?;
    let map = index
        .get("weight_map")
        .and_then(|map| map.as_object())
        .ok_or_else(|| malformed("none"))?;
    let names: Option<BTreeSet<&str>> = map
        .values()
        .map(|name| name.as_str().filter(|n| is_relative_path(n)))
        .collect();
    let names = names.ok_or_else(|| malformed("a shard that is no file name"))?;
    Ok(names.into_iter().map(|name| beside(index_file, name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], expected: &str) {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let chosen = choose(&HubAddress::parse("o/r").unwrap(), &names);
        assert_eq!(chosen.unwrap_or_else(|e| e.to_string()), expected, "{names:?}");
    }

    #[test]
    fn the_usual_name_wins_then_the_only_candidate() {
        check(
            &["README.md", "x.safetensors", "model.safetensors"],
            "model.safetensors",
        );
        check(
            &[
                "config.json",
                "model.safetensors.index.json",
                "model-00001-of-00002.safetensors",
            ],
            "model.safetensors.index.json",
        );
        check(&["README.md", "longclip-B.pt"], "longclip-B.pt");
        check(&["a.safetensors", "b.pt", "c.pt"], "a.safetensors");
    }

    #[test]
    fn several_candidates_or_none_are_an_error_that_lists_them() {
        check(
            &["a.pt", "b.pt"],
            "no model `o/r`: it holds several weights files: a.pt, b.pt",
        );
        check(
            &["README.md"],
            "no model `o/r`: its 1 files hold no weights (.safetensors, .pt, .bin)",
        );
    }

    #[test]
    fn an_index_names_its_shards_in_the_same_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        fs::write(
            &path,
            r#"{"weight_map":{"a":"2.safetensors","b":"1.safetensors","c":"2.safetensors"}}"#,
        )
        .unwrap();
        assert_eq!(
            shards(&path, "sub/model.safetensors.index.json").unwrap(),
            ["sub/1.safetensors", "sub/2.safetensors"]
        );
        fs::write(&path, r#"{"weight_map":{"a":"../x"}}"#).unwrap();
        assert!(shards(&path, "i").is_err());
    }
}
