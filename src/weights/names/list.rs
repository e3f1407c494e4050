//! The models that have names: the built-in one, the released ones, and the user's own in `checkpoints`.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::{DEFAULT, Found, KNOWN, KnownModel, ModelSource, NANO, Places, locate, name_in_checkpoints};
use crate::weights::hub::HubSettings;

/// A model that has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Whether commands use it if no model is named.
    pub default: bool,
    /// `built-in`, `checkpoints`, `cache`, or `not here`.
    pub place: &'static str,
    /// The file or folder, if it is on this machine.
    pub path: Option<String>,
    /// The size of the file; if it is not on this machine, the size by its shapes.
    pub size_bytes: u64,
    /// Its address on the hub.
    pub source: Option<String>,
    /// Where its authors announced it.
    pub announced: Option<&'static str>,
}

/// All models that have names, and where they are.
pub fn entries(places: &Places, hub: &HubSettings) -> Vec<Entry> {
    let mut entries = vec![Entry {
        name: NANO.into(),
        about: "small CLIP trained for this program".into(),
        default: false,
        place: "built-in",
        path: None,
        size_bytes: crate::nano::safetensors().len() as u64,
        source: None,
        announced: None,
    }];
    entries.extend(KNOWN.iter().map(|known| known_entry(*known, places, hub)));
    entries.extend(own_entries(places));
    // As `resolve` without a name: the user's preference, else longclip-b if it is on this machine, else nano.
    let default_here = entries
        .iter()
        .any(|entry| entry.name == DEFAULT && entry.path.is_some());
    let default = places
        .preferred
        .clone()
        .unwrap_or(if default_here { DEFAULT } else { NANO }.to_owned());
    for entry in &mut entries {
        entry.default = entry.name == default;
    }
    entries
}

fn known_entry(known: KnownModel, places: &Places, hub: &HubSettings) -> Entry {
    let here = locate(known.name, places, hub);
    let (place, path) = match here.map(|found| (found.found, found.source)) {
        Some((Found::InCheckpoints | Found::AtPath, ModelSource::Path(path))) => ("checkpoints", Some(path)),
        Some((_, ModelSource::Path(path))) => ("cache", Some(path)),
        _ => ("not here", None),
    };
    Entry {
        name: known.name.into(),
        about: known.about.into(),
        default: false,
        place,
        size_bytes: path
            .as_deref()
            .and_then(file_size)
            .unwrap_or(u64::from(known.size_mb) * 1_000_000),
        path: path.map(|path| path.display().to_string()),
        source: Some(known.address().to_string()),
        announced: Some(known.announced),
    }
}

/// The user's own models in `checkpoints`.
fn own_entries(places: &Places) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for folder in &places.checkpoints {
        let mut paths: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        for path in paths {
            let Some(name) = name_in_checkpoints(&path) else {
                continue;
            };
            if entries.iter().any(|entry| entry.name == name) {
                continue;
            }
            entries.push(Entry {
                name: name.to_owned(),
                about: "a model of your own".into(),
                default: false,
                place: "checkpoints",
                size_bytes: file_size(&path).unwrap_or(0),
                path: Some(path.display().to_string()),
                source: None,
                announced: None,
            });
        }
    }
    entries
}

fn file_size(path: &Path) -> Option<u64> {
    fs::metadata(path)
        .ok()
        .filter(fs::Metadata::is_file)
        .map(|meta| meta.len())
}
