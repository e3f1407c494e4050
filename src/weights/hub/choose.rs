//! Which file of a repository holds the model, if the address names none.

use std::path::Path;

use super::HubAddress;
use crate::error::{Error, Result};
use crate::weights::files::{self, USUAL_NAMES};
use crate::weights::names::KnownModel;
use crate::weights::shard_index::ShardIndex;

/// The weights file among a repository's files: the first usual name, or the only file with an ending of weights.
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
    for ending in files::endings() {
        if let [only] = with_ending(ending).as_slice() {
            return Ok(only.clone());
        }
    }
    let all: Vec<String> = files::endings().flat_map(with_ending).collect();
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

/// Whether a config may belong to a weights file: all have one, except upstream's releases.
pub(super) fn may_have_config(file: &str) -> bool {
    let is_upstreams = KnownModel::by_file(file).is_some();
    (files::is_weights(file) || files::is_index(file)) && !is_upstreams
}

/// A file in the same folder of the repository.
pub(super) fn in_same_folder(file: &str, neighbour: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{neighbour}"),
        None => neighbour.to_owned(),
    }
}

/// The shards that an index on disk names, as the repository names them.
pub(super) fn shards(index_path: &Path, index_file: &str) -> Result<Vec<String>> {
    let index = ShardIndex::read(index_path)?;
    let shards = index.shards().into_iter();
    Ok(shards.map(|name| in_same_folder(index_file, name)).collect())
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
        std::fs::write(
            &path,
            r#"{"weight_map":{"a":"2.safetensors","b":"1.safetensors","c":"2.safetensors"}}"#,
        )
        .unwrap();
        assert_eq!(
            shards(&path, "sub/model.safetensors.index.json").unwrap(),
            ["sub/1.safetensors", "sub/2.safetensors"]
        );
        std::fs::write(&path, r#"{"weight_map":{"a":"../x"}}"#).unwrap();
        assert!(shards(&path, "i").is_err());
    }
}
