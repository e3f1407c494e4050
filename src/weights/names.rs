//! From a model's name to the file to open.
//!
//! A name is tried in this order: a path; `checkpoints/NAME`, in the current folder or next to the program, where
//! upstream's instructions put files; the names of [`KNOWN`]; `owner/repo` in the Hugging Face cache, then on the hub.
//! Without a name it is longclip-b if that is on this machine, else the built-in nano, with a note that says so. A name
//! that is not found is an error; no other model is used instead.

mod list;
mod pull;

use std::fs;
use std::path::{Path, PathBuf};

pub use self::list::{Entry, entries};
pub use self::pull::{Pulled, pull};

use super::files;
use super::hub::{self, HubAddress, HubSettings, Origin, Progress};
use crate::error::{Control, Error, Hint, Result, hint};

/// The model that is compiled into the program.
pub const NANO: &str = "nano";

/// The model that is used if none is named and this one is on the machine.
pub const DEFAULT: &str = "longclip-b";

/// A released model that has a short name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownModel {
    /// Its short name.
    pub name: &'static str,
    /// Its repository on the hub, `owner/name`.
    pub repo: &'static str,
    /// Its file there. If no other model has a file of this name, it is also looked for in `checkpoints/`, where upstream's
    /// instructions put it.
    pub file: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Where its authors announced it.
    pub announced: &'static str,
    /// Its size, from the shapes of its f32 tensors, in millions of bytes.
    pub size_mb: u32,
}

/// The file of a model that transformers wrote. Many models have a file of this name.
const HUGGING_FACE_FILE: &str = "model.safetensors";

/// Upstream's releases, and later models with the same towers. The first two are from the README of
/// <https://github.com/beichenzbc/Long-CLIP>, B/32 is from its issue 23, 336 px from its issue 73. The file names of B/32,
/// 336 px and HiMo-CLIP are from users of these repositories; the others have their libraries' usual names.
pub const KNOWN: [KnownModel; 10] = [
    KnownModel {
        name: DEFAULT,
        repo: "BeichenZhang/LongCLIP-B",
        file: "longclip-B.pt",
        about: "Long-CLIP ViT-B/16, 224 px, 248 tokens",
        announced: "Long-CLIP's README",
        size_mb: 599,
    },
    KnownModel {
        name: "longclip-l",
        repo: "BeichenZhang/LongCLIP-L",
        file: "longclip-L.pt",
        about: "Long-CLIP ViT-L/14, 224 px, 248 tokens",
        announced: "Long-CLIP's README",
        size_mb: 1712,
    },
    KnownModel {
        name: "longclip-b-32",
        repo: "BeichenZhang/LongCLIP-B-32",
        file: "longclip-B-32.pt",
        about: "Long-CLIP ViT-B/32, 224 px, 248 tokens",
        announced: "Long-CLIP's issue 23",
        size_mb: 606,
    },
    KnownModel {
        name: "longclip-l-336",
        repo: "BeichenZhang/LongCLIP-L-336px",
        file: "longclip-L@336px.pt",
        about: "Long-CLIP ViT-L/14, 336 px, 248 tokens",
        announced: "Long-CLIP's issue 73",
        size_mb: 1713,
    },
    KnownModel {
        name: "himo-clip-l",
        repo: "5RJ/HiMo-CLIP",
        file: "himo-clip_L.pt",
        about: "HiMo-CLIP ViT-L/14, 224 px, 248 tokens",
        announced: "HiMo-CLIP's README",
        size_mb: 1712,
    },
    KnownModel {
        name: "fg-clip-base",
        repo: "qihoo360/fg-clip-base",
        file: HUGGING_FACE_FILE,
        about: "FG-CLIP ViT-B/16, 224 px, 248 tokens",
        announced: "FG-CLIP's README",
        size_mb: 601,
    },
    KnownModel {
        name: "fg-clip-large",
        repo: "qihoo360/fg-clip-large",
        file: HUGGING_FACE_FILE,
        about: "FG-CLIP ViT-L/14, 336 px, 248 tokens",
        announced: "FG-CLIP's README",
        size_mb: 1716,
    },
    KnownModel {
        name: "longclip-gmp-l",
        repo: "zer0int/LongCLIP-GmP-ViT-L-14",
        file: HUGGING_FACE_FILE,
        about: "Long-CLIP ViT-L/14 fine-tuned with GmP, 224 px, 248 tokens",
        announced: "its README",
        size_mb: 1711,
    },
    KnownModel {
        name: "longclip-sae-l",
        repo: "zer0int/LongCLIP-SAE-ViT-L-14",
        file: HUGGING_FACE_FILE,
        about: "Long-CLIP ViT-L/14 fine-tuned on adversarial images, 224 px, 248 tokens",
        announced: "its README",
        size_mb: 1711,
    },
    KnownModel {
        name: "mobileclip2-l",
        repo: "timm/MobileCLIP2-L-14-OpenCLIP",
        file: "open_clip_model.safetensors",
        about: "MobileCLIP2-L/14, 224 px, 77 tokens",
        announced: "open_clip's pretrained.py",
        size_mb: 1711,
    },
];

impl KnownModel {
    /// The known model of this name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        KNOWN.into_iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// The known model with this file name.
    pub fn by_file(file: &str) -> Option<Self> {
        KNOWN.into_iter().find(|known| known.own_file() == Some(file))
    }

    /// Its file's name, unless other models' files are called so too.
    fn own_file(&self) -> Option<&'static str> {
        (!files::USUAL_NAMES.contains(&self.file)).then_some(self.file)
    }

    /// Its address on the hub.
    pub fn address(&self) -> HubAddress {
        HubAddress::known(self.repo, self.file)
    }
}

/// Where to look on this machine, and which model the user prefers.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Folders for models that the user downloads by hand, in the order in which they are searched.
    pub checkpoints: Vec<PathBuf>,
    /// The model to use when a command names none: `$LONGCLIP_MODEL`.
    pub preferred: Option<String>,
}

impl Places {
    /// `./checkpoints`, then `checkpoints` next to the program; `LONGCLIP_MODEL` through `lookup`.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>, program: Option<&Path>) -> Self {
        let next_to_program = program.and_then(Path::parent).map(|dir| dir.join("checkpoints"));
        Places {
            checkpoints: std::iter::once(PathBuf::from("checkpoints"))
                .chain(next_to_program)
                .collect(),
            preferred: lookup("LONGCLIP_MODEL").filter(|name| !name.trim().is_empty()),
        }
    }
}

/// What to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The model that is compiled in.
    Nano,
    /// A file, or a folder of files.
    Path(PathBuf),
}

/// How a model was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is part of the program.
    BuiltIn,
    /// Its name is a path.
    AtPath,
    /// In a `checkpoints` folder.
    InCheckpoints,
    /// In the Hugging Face cache.
    InCache,
    /// Downloaded just now.
    Downloaded,
}

/// A model that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What to open.
    pub source: ModelSource,
    /// Its name: the one given, or that of the default.
    pub name: String,
    /// How it was found.
    pub found: Found,
    /// Its address on the hub, if it has one.
    pub address: Option<HubAddress>,
    /// A note for the user that this may not be the model they expect.
    pub notice: Option<Hint>,
}

/// Finds the model to open: `requested`, else the user's preference, else the default; downloads it if necessary.
///
/// # Errors
/// [`Error::UnknownModel`] if there is no such model; [`Error::Network`] if it can't be downloaded;
/// [`Error::NotWeights`] if the cached file is not the hub's.
pub fn resolve(
    requested: Option<&str>,
    places: &Places,
    hub: &HubSettings,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Resolved> {
    let Some(name) = requested.or(places.preferred.as_deref()) else {
        return unasked(places, hub, progress);
    };
    if let Some(here) = by_hand(name, places) {
        return Ok(here);
    }
    let address = hub_address(name, places)?;
    let model = hub::fetch(&address, hub, progress).map_err(|error| advise(error, name))?;
    let found = match model.origin {
        Origin::Cache => Found::InCache,
        Origin::Hub => Found::Downloaded,
    };
    Ok(on_hub(name, model.path, found, address))
}

/// Finds a model on this machine, without reading or downloading a file.
pub fn locate(name: &str, places: &Places, hub: &HubSettings) -> Option<Resolved> {
    by_hand(name, places).or_else(|| {
        let address = hub_address(name, places).ok()?;
        let model = hub::located(&address, hub)?;
        Some(on_hub(name, model.path, Found::InCache, address))
    })
}

/// The address on the hub that a name means.
///
/// # Errors
/// [`Error::UnknownModel`] if there is none.
pub fn hub_address(name: &str, places: &Places) -> Result<HubAddress> {
    match KnownModel::by_name(name) {
        Some(known) => Ok(known.address()),
        None if looks_like_a_path(name) => Err(no_such_file(name)),
        None => HubAddress::parse(name).ok_or_else(|| no_such_name(name, places)),
    }
}

/// Adds to the error of a failed download what else the user can do.
pub fn advise(error: Error, name: &str) -> Error {
    let advice = hint!(
        "{} fetches it if there is a network; {} works without one",
        Control::PullModel(name.to_owned()),
        Control::Nano
    );
    with_hint(error, name, advice)
}

/// The error of a failed download with a hint, if it has none.
fn with_hint(error: Error, name: &str, advice: Hint) -> Error {
    match error {
        Error::Network {
            url,
            problem,
            hint: None,
        } => Error::Network {
            url,
            problem,
            hint: Some(advice),
        },
        Error::UnknownModel {
            problem, hint: None, ..
        } => Error::UnknownModel {
            name: name.to_owned(),
            problem,
            hint: Some(advice),
        },
        other => other,
    }
}

/// The model if none is named: the default if it is on this machine, else nano and a note.
fn unasked(places: &Places, hub: &HubSettings, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Resolved> {
    if let Some(here) = in_checkpoints(DEFAULT, places) {
        return Ok(here);
    }
    let known = KNOWN[0];
    if let Some(model) = hub::cached(&known.address(), hub, progress)? {
        return Ok(on_hub(known.name, model.path, Found::InCache, known.address()));
    }
    Ok(Resolved {
        notice: Some(Hint::naming(
            format!(
                "using `{NANO}`, the small built-in model; {{}} gets the real one ({} MB)",
                known.size_mb
            ),
            vec![Control::PullModel(DEFAULT.to_owned())],
        )),
        ..nano()
    })
}

fn nano() -> Resolved {
    Resolved {
        source: ModelSource::Nano,
        name: NANO.to_owned(),
        found: Found::BuiltIn,
        address: None,
        notice: None,
    }
}

fn on_hub(name: &str, path: PathBuf, found: Found, address: HubAddress) -> Resolved {
    Resolved {
        source: ModelSource::Path(path),
        name: name.to_owned(),
        found,
        address: Some(address),
        notice: None,
    }
}

/// A model that needs no hub: a path, nano, or a file in `checkpoints`.
fn by_hand(name: &str, places: &Places) -> Option<Resolved> {
    let path = Path::new(name);
    if path.is_file() || (path.is_dir() && (!is_name(name) || holds_weights(path))) {
        return Some(Resolved {
            source: ModelSource::Path(path.to_owned()),
            found: Found::AtPath,
            name: name.to_owned(),
            ..nano()
        });
    }
    if name.eq_ignore_ascii_case(NANO) {
        return Some(nano());
    }
    in_checkpoints(name, places)
}

fn in_checkpoints(name: &str, places: &Places) -> Option<Resolved> {
    if looks_like_a_path(name) || name.contains('/') {
        return None;
    }
    let known = KnownModel::by_name(name);
    let mut candidates = vec![name.to_owned()];
    candidates.extend(CHECKPOINT_ENDINGS.map(|ending| format!("{name}.{ending}")));
    candidates.extend(known.and_then(|known| known.own_file()).map(str::to_owned));
    let paths = places
        .checkpoints
        .iter()
        .flat_map(|dir| candidates.iter().map(|file| dir.join(file)));
    let path = paths.into_iter().find(|path| path.is_file() || holds_weights(path))?;
    Some(Resolved {
        source: ModelSource::Path(path),
        name: name.to_owned(),
        found: Found::InCheckpoints,
        address: known.map(|known| known.address()),
        notice: None,
    })
}

/// Endings that a name leaves out for a file in `checkpoints`.
const CHECKPOINT_ENDINGS: [&str; 2] = ["safetensors", "pt"];

/// The name of a file in `checkpoints`; `None` if it isn't a weights file, or is a known model.
pub fn name_in_checkpoints(path: &Path) -> Option<&str> {
    let ending = path.extension()?.to_str()?;
    let name = path.file_stem()?.to_str()?;
    let file = path.file_name()?.to_str()?;
    let is_known = name == NANO || KnownModel::by_name(name).is_some() || KnownModel::by_file(file).is_some();
    (CHECKPOINT_ENDINGS.contains(&ending) && !is_known).then_some(name)
}

/// Whether this is a model's name, such as `nano`: a folder that has this name by chance must not hide the model.
fn is_name(name: &str) -> bool {
    name.eq_ignore_ascii_case(NANO) || KnownModel::by_name(name).is_some() || HubAddress::parse(name).is_some()
}

fn holds_weights(dir: &Path) -> bool {
    let mut entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        files::is_weights(&name) || files::is_index(&name)
    })
}

/// Whether only a path is written this way, so that the hub is not asked.
fn looks_like_a_path(name: &str) -> bool {
    let starts = ["./", "../", "/", "~"];
    starts.iter().any(|start| name.starts_with(start))
        || name.contains('\\')
        || (!name.contains(':') && files::is_weights(name))
}

fn no_such_file(name: &str) -> Error {
    Error::UnknownModel {
        name: name.to_owned(),
        problem: "there is no such file or folder".into(),
        hint: Some(hint!(
            "{} shows the models that have names, and where they are",
            Control::ListModels
        )),
    }
}

/// The names of the models that have one.
pub fn known_names() -> Vec<&'static str> {
    std::iter::once(NANO)
        .chain(KNOWN.iter().map(|known| known.name))
        .collect()
}

fn no_such_name(name: &str, places: &Places) -> Error {
    let folders: Vec<String> = places
        .checkpoints
        .iter()
        .map(|dir| format!("`{}`", dir.display()))
        .collect();
    Error::UnknownModel {
        name: name.to_owned(),
        problem: format!(
            "it is not a path, not in {}, and not one of {}",
            folders.join(" or "),
            known_names().join(", ")
        ),
        hint: Some("other models are addressed as `owner/repo[@revision][:file]` on the Hugging Face hub".into()),
    }
}

#[cfg(test)]
mod tests;
