//! From what a person calls a model to what is to be opened.
//!
//! Called by every command that takes `--model`. A name is looked for in this order: a path; `checkpoints/NAME`, here or
//! beside the program, where upstream's instructions put its files; the names of [`KNOWN`]; `owner/repo` in the Hugging
//! Face cache, then on the hub. Without a name it is longclip-b if that is on this machine, else the built-in nano, with a
//! line that says so. A name that leads nowhere is an error, never another model.

use std::fs;
use std::path::{Path, PathBuf};

use super::hub::{self, HubAddress, HubSettings, Origin, Progress};
use crate::error::{Control, Error, Hint, Result, hint};

/// The model that is compiled into the program.
pub const NANO: &str = "nano";

/// The model that is used without being asked for, where it is on this machine.
pub const DEFAULT: &str = "longclip-b";

/// A released model that has a short name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownModel {
    /// What a person calls it.
    pub name: &'static str,
    /// Its repository on the hub, `owner/name`.
    pub repo: &'static str,
    /// Its file there, which is also what upstream's instructions call it in `checkpoints/`.
    pub file: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Where its authors announced it.
    pub announced: &'static str,
    /// Its size, from the shapes of its f32 tensors, in millions of bytes.
    pub size_mb: u32,
}

/// Upstream's releases: the first two by <https://github.com/beichenzbc/Long-CLIP> (README), B/32 by its issue 23, 336 px by
/// its issue 73. The last two files' names are those that users of these repositories give; the hub confirms them on download.
pub const KNOWN: [KnownModel; 4] = [
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
];

impl KnownModel {
    /// The known model of this name, in capitals or not.
    pub fn by_name(name: &str) -> Option<Self> {
        KNOWN.into_iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// The known model whose file is called so.
    pub fn by_file(file: &str) -> Option<Self> {
        KNOWN.into_iter().find(|known| known.file == file)
    }

    /// Where the hub has it.
    pub fn address(&self) -> HubAddress {
        HubAddress::known(self.repo, self.file)
    }
}

/// Where to look on this machine, and what the person prefers.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// Folders that models are put into by hand, the first one first.
    pub checkpoints: Vec<PathBuf>,
    /// The model to use when a command names none: `$LONGCLIP_MODEL`.
    pub preferred: Option<String>,
}

impl Places {
    /// `./checkpoints`, then `checkpoints` beside the program; `LONGCLIP_MODEL` through `lookup`.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>, program: Option<&Path>) -> Self {
        let beside_program = program.and_then(Path::parent).map(|dir| dir.join("checkpoints"));
        Places {
            checkpoints: std::iter::once(PathBuf::from("checkpoints"))
                .chain(beside_program)
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
    /// The name is its path.
    AtPath,
    /// Somebody put it into `checkpoints`.
    InCheckpoints,
    /// The Hugging Face cache had it.
    InCache,
    /// It was downloaded just now.
    Downloaded,
}

/// A model that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What to open.
    pub source: ModelSource,
    /// What it was called, or the name of the model that was chosen.
    pub name: String,
    /// How it was found.
    pub found: Found,
    /// Its place on the hub, where it has one.
    pub address: Option<HubAddress>,
    /// A line that the person should read: another model than they may expect is used.
    pub notice: Option<Hint>,
}

/// Turns `requested` (or the person's preference, or the default) into something to open; downloads it if it must.
///
/// # Errors
/// [`Error::UnknownModel`] if nothing goes by that name here; [`Error::Network`] if it has to be downloaded and can't be;
/// [`Error::NotWeights`] if the cache holds other bytes than the hub.
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

/// Finds a model on this machine without reading or fetching anything.
pub fn locate(name: &str, places: &Places, hub: &HubSettings) -> Option<Resolved> {
    by_hand(name, places).or_else(|| {
        let address = hub_address(name, places).ok()?;
        let model = hub::located(&address, hub)?;
        Some(on_hub(name, model.path, Found::InCache, address))
    })
}

/// The place on the hub that a name means.
///
/// # Errors
/// [`Error::UnknownModel`] if it means none.
pub fn hub_address(name: &str, places: &Places) -> Result<HubAddress> {
    match KnownModel::by_name(name) {
        Some(known) => Ok(known.address()),
        None if looks_like_a_path(name) => Err(no_such_file(name)),
        None => HubAddress::parse(name).ok_or_else(|| no_such_name(name, places)),
    }
}

/// Adds to a failed download what else the person can do.
pub fn advise(error: Error, name: &str) -> Error {
    let advice = hint!(
        "{} fetches it if there is a network; {} works without one",
        Control::PullModel(name.to_owned()),
        Control::Nano
    );
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

/// No model was named: the default if it is here, else nano and a word about it.
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

/// What the person put there: a path, nano, a file in `checkpoints`.
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
    let mut candidates = vec![name.to_owned(), format!("{name}.safetensors"), format!("{name}.pt")];
    candidates.extend(known.map(|known| known.file.to_owned()));
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

/// A bare word, such as `nano`: a folder that is called so by chance must not stand in a model's way.
fn is_name(name: &str) -> bool {
    name.eq_ignore_ascii_case(NANO) || KnownModel::by_name(name).is_some() || HubAddress::parse(name).is_some()
}

fn holds_weights(dir: &Path) -> bool {
    let endings = [".safetensors", ".safetensors.index.json", ".pt", ".pth", ".bin"];
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        endings.iter().any(|ending| name.ends_with(ending))
    })
}

/// Written as only a path is: such a thing is never asked of the hub.
fn looks_like_a_path(name: &str) -> bool {
    let starts = ["./", "../", "/", "~"];
    let endings = [".safetensors", ".pt", ".pth", ".bin"];
    starts.iter().any(|start| name.starts_with(start))
        || name.contains('\\')
        || (!name.contains(':') && endings.iter().any(|ending| name.ends_with(ending)))
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

fn no_such_name(name: &str, places: &Places) -> Error {
    let folders: Vec<String> = places
        .checkpoints
        .iter()
        .map(|dir| format!("`{}`", dir.display()))
        .collect();
    let names: Vec<&str> = std::iter::once(NANO)
        .chain(KNOWN.iter().map(|known| known.name))
        .collect();
    Error::UnknownModel {
        name: name.to_owned(),
        problem: format!(
            "it is no path, not in {}, and not one of {}",
            folders.join(" or "),
            names.join(", ")
        ),
        hint: Some("other models are addressed as `owner/repo[@revision][:file]` on the Hugging Face hub".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, as the only checkpoints folder, and a hub that may not be asked.
    fn places(files: &[&str]) -> (tempfile::TempDir, Places) {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let places = Places {
            checkpoints: vec![dir.path().to_owned()],
            preferred: None,
        };
        (dir, places)
    }

    fn nowhere() -> HubSettings {
        HubSettings {
            offline: true,
            ..HubSettings::default()
        }
    }

    fn find(name: Option<&str>, places: &Places) -> Result<Resolved> {
        resolve(name, places, &nowhere(), &mut |_| ())
    }

    #[track_caller]
    fn check_checkpoint(name: &str, file: &str) {
        let (dir, places) = places(&[file, "README.md"]);
        let found = find(Some(name), &places).unwrap();
        let top = file.split('/').next().unwrap();
        assert_eq!(found.source, ModelSource::Path(dir.path().join(top)));
        assert_eq!(found.found, Found::InCheckpoints);
    }

    #[test]
    fn checkpoints_hold_models_under_our_names_and_upstreams() {
        check_checkpoint("longclip-b", "longclip-B.pt");
        check_checkpoint("LongCLIP-B", "longclip-B.pt");
        check_checkpoint("longclip-l-336", "longclip-L@336px.pt");
        check_checkpoint("longclip-b", "longclip-b/model.safetensors");
        check_checkpoint("mine", "mine.safetensors");
    }

    #[test]
    fn a_path_comes_before_every_name() {
        let (dir, places) = places(&["a.pt", "folder/readme"]);
        for path in [dir.path().join("a.pt"), dir.path().join("folder")] {
            let found = find(path.to_str(), &places).unwrap();
            assert_eq!((found.source, found.found), (ModelSource::Path(path), Found::AtPath));
        }
    }

    #[test]
    fn without_a_name_it_is_the_preferred_then_longclip_b_then_nano_with_a_word() {
        let (dir, mut with_b) = places(&["longclip-B.pt", "mine.pt"]);
        let b = find(None, &with_b).unwrap();
        assert_eq!(
            (b.source, b.notice),
            (ModelSource::Path(dir.path().join("longclip-B.pt")), None)
        );
        with_b.preferred = Some("mine".into());
        assert_eq!(find(None, &with_b).unwrap().name, "mine");
        assert_eq!(find(Some("nano"), &with_b).unwrap().source, ModelSource::Nano);

        let nano = find(None, &places(&[]).1).unwrap();
        assert_eq!(nano.source, ModelSource::Nano);
        assert!(nano.notice.unwrap().to_string().contains("PullModel(\"longclip-b\")"));
    }

    #[test]
    fn a_named_model_that_is_not_here_is_an_error_with_a_way_out() {
        let error = find(Some("longclip-b"), &places(&[]).1).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(
            hint.to_string().contains("PullModel(\"longclip-b\")") && hint.to_string().contains("Nano"),
            "{hint}"
        );
        let error = find(Some("longclip-x"), &places(&[]).1).unwrap_err();
        assert!(error.to_string().contains("longclip-l-336"), "{error}");
        for path in ["./nothing", "dir/nothing.pt", "~/x", "/nothing/here"] {
            let error = find(Some(path), &places(&[]).1).unwrap_err();
            assert!(error.to_string().contains("no such file"), "{error}");
        }
    }

    #[test]
    fn the_built_in_model_has_one_name() {
        assert_eq!(NANO, crate::nano::NAME);
    }

    #[test]
    fn checkpoints_are_looked_for_here_and_beside_the_program() {
        let places = Places::from_lookup(|_| None, Some(Path::new("/opt/longclip/longclip")));
        assert_eq!(
            places.checkpoints,
            [Path::new("checkpoints"), Path::new("/opt/longclip/checkpoints")]
        );
    }
}
