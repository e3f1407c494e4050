//! `longclip model list`: the models with names, and where they are.

use std::fs;
use std::path::Path;

use longclip::output::cells::columns;
use longclip::weights::hub::HubSettings;
use longclip::weights::names::{self, DEFAULT, Found, KNOWN, KnownModel, ModelSource, NANO, Places};
use serde::Serialize;

use crate::cli::Outcome;
use crate::cli::find_model::{Machine, size};
use crate::cli::print_format::PrintFormat;
use crate::cli::report::Exit;

const EXAMPLES: &str = "\
Examples:
  longclip model list
  longclip model list --format json
  longclip model list | grep cache";

const NOTES: &str = "\
A model can also be named by its path, or by its address on the Hugging Face hub:
OWNER/REPO[@REVISION][:FILE]. Name a file in ./checkpoints without its ending.";

/// Show the models that have names, and where they are
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES, after_long_help = NOTES
)]
pub(super) struct Args {
    /// table or json
    ///
    /// Example: `--format json`
    #[arg(short, long, default_value = "table")]
    format: PrintFormat,
}

/// One model of the list.
#[derive(Debug, PartialEq, Serialize)]
struct Entry {
    name: String,
    about: String,
    /// Whether commands use it if no model is named.
    default: bool,
    /// `built-in`, `checkpoints`, `cache`, or `not here`.
    place: &'static str,
    path: Option<String>,
    /// The size of the file; if it is not on this machine, the size by its shapes.
    size_bytes: u64,
    /// Its address on the hub.
    source: Option<String>,
    announced: Option<&'static str>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let machine = Machine::from_environment();
    let entries = entries(&machine.places, &machine.hub);
    args.format.print(|| table(&entries), || &entries)?;
    Ok(Exit::Done)
}

fn entries(places: &Places, hub: &HubSettings) -> Vec<Entry> {
    let mut entries = vec![Entry {
        name: NANO.into(),
        about: "small CLIP trained for this program".into(),
        default: false,
        place: "built-in",
        path: None,
        size_bytes: longclip::nano::safetensors().len() as u64,
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
    let here = names::locate(known.name, places, hub);
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
            let Some(name) = names::name_in_checkpoints(&path) else {
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

fn table(entries: &[Entry]) -> String {
    let mut rows = vec![["NAME", "SIZE", "WHAT", "WHERE"].map(str::to_owned).to_vec()];
    for entry in entries {
        let where_ = match (&entry.path, &entry.source) {
            (Some(path), _) => path.clone(),
            (None, Some(source)) => format!(
                "not here; {source} on the hub ({})",
                entry.announced.unwrap_or_default()
            ),
            (None, None) => "built in".into(),
        };
        rows.push(vec![
            format!("{}{}", entry.name, if entry.default { " *" } else { "" }),
            size(entry.size_bytes),
            entry.about.clone(),
            where_,
        ]);
    }
    format!("{}\n* used if a command names no model\n", columns(&rows))
}
