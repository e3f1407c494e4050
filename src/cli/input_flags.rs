//! The flags that say where pictures come from, and how they are read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use longclip::input::{InputOptions, Inputs, Links, Separator, Shard, Source, Unit, Web, WebSettings};
use longclip::preprocess::{Limits, Orientation, Preprocess};
use longclip::weights::hub::HubSettings;
use longclip::{Error, Result};

use super::hint::reason;
use super::shards::Facts;

/// Where pictures come from.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Input")]
pub(super) struct InputFlags {
    /// Pictures, folders, patterns, tar archives (also .gz and .zst) or URLs; `-` is a picture or an archive on stdin
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Read names of pictures from a file, one a line; `-` is stdin
    #[arg(long, value_name = "FILE")]
    files_from: Vec<PathBuf>,
    /// The names of `--files-from` end with a zero byte, as `find -print0` prints them
    #[arg(short = '0', long, requires = "files_from")]
    null: bool,
    /// Read records, one a line: {"path": ...} or {"id": ..., "image_b64": ...}; `labels` in a line are that picture's,
    /// other fields are carried to the output; `-` is stdin
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    ndjson_from: Vec<PathBuf>,
    /// Walk links to folders too
    #[arg(long, hide_short_help = true)]
    follow: bool,
    /// How many folders deep to look; 1 is a folder's own files
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    max_depth: Option<u32>,
    /// Only those pictures that fall to shard I of N, from 0 to N-1, by a hash of their names: the shards of N processes
    /// together are all pictures, each once
    #[arg(long, value_name = "I/N", value_parser = parse_shard, hide_short_help = true)]
    shard: Option<Shard>,
    /// What a shard has: single pictures, or whole archives, so that each is read by one process only
    #[arg(
        long,
        value_name = "UNIT",
        default_value = "picture",
        requires = "shard",
        hide_short_help = true
    )]
    shard_by: ShardBy,
    /// Give a URL up after so many seconds without a byte
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    url_timeout: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ShardBy {
    Picture,
    Archive,
}

fn parse_shard(text: &str) -> Result<Shard, String> {
    Shard::parse(text).map_err(|error| reason(&error))
}

impl InputFlags {
    /// The part of all pictures that was asked for.
    pub(super) fn shard(&self) -> Option<Shard> {
        self.shard.map(|shard| {
            shard.by(match self.shard_by {
                ShardBy::Picture => Unit::Picture,
                ShardBy::Archive => Unit::Archive,
            })
        })
    }

    /// What records depend on, by name.
    pub(super) fn facts(&self) -> Facts {
        let lists = self.files_from.iter().chain(&self.ndjson_from);
        let names = self.inputs.iter().chain(lists);
        let names: Vec<String> = names.map(|path| path.display().to_string()).collect();
        Facts::from_iter([
            ("inputs".into(), names.into()),
            ("follow".into(), self.follow.into()),
            ("max_depth".into(), self.max_depth.into()),
        ])
    }

    /// Whether nothing was named.
    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.files_from.is_empty() && self.ndjson_from.is_empty()
    }

    /// Whether a named folder is, or holds, this one.
    pub(super) fn names_folder_around(&self, inner: &Path) -> bool {
        // A folder that is to be made yet is where its nearest parent is.
        let real = inner.ancestors().find_map(|path| {
            let path = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            path.canonicalize().ok()
        });
        let around = |path: &PathBuf| {
            path.is_dir()
                && path.canonicalize().is_ok_and(|path| {
                    Some(&path) == real.as_ref() || real.as_ref().is_some_and(|real| real.starts_with(&path))
                })
        };
        self.inputs.iter().any(around)
    }

    /// Whether records may bring labels of their own.
    pub(super) fn may_bring_labels(&self) -> bool {
        !self.ndjson_from.is_empty()
    }

    /// Whether items may have fields that the output carries.
    pub(super) fn may_bring_fields(&self) -> bool {
        let is_archive =
            |path: &PathBuf| path.to_string_lossy().to_lowercase().contains(".t") || path.as_os_str() == "-";
        !self.ndjson_from.is_empty() || !self.files_from.is_empty() || self.inputs.iter().any(is_archive)
    }

    fn web_settings(&self) -> WebSettings {
        let HubSettings { proxies, ca_bundle, .. } = HubSettings::from_lookup(|name| std::env::var(name).ok());
        WebSettings {
            proxies,
            ca_bundle,
            silence: Duration::from_secs(self.url_timeout),
        }
    }

    /// How what was named is read.
    pub(super) fn options(&self) -> InputOptions {
        InputOptions {
            links: if self.follow { Links::Follow } else { Links::Skip },
            max_depth: self.max_depth.map(|depth| depth as usize),
            shard: self.shard(),
            web: Web::new(self.web_settings()),
            ..InputOptions::default()
        }
    }

    /// The one file that is named, where it is a stream; `None` is stdin. Refuses what changes nothing then.
    #[cfg(feature = "arrow")]
    pub(super) fn stream(&self) -> Result<Option<&Path>> {
        let is_given = [
            ("--files-from", !self.files_from.is_empty()),
            ("--ndjson-from", !self.ndjson_from.is_empty()),
            ("--shard", self.shard.is_some()),
            ("--follow", self.follow),
            ("--max-depth", self.max_depth.is_some()),
        ];
        if let Some((flag, _)) = is_given.iter().find(|(_, given)| *given) {
            return Err(Error::usage(
                format!("`{flag}` doesn't go with `--in arrow`, whose rows are the pictures"),
                "leave out one of them",
            ));
        }
        match self.inputs.as_slice() {
            [] => Ok(None),
            [only] if only == Path::new("-") => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(Error::usage(
                format!(
                    "`--in arrow` reads one stream, and there are {} inputs",
                    self.inputs.len()
                ),
                "name one file, or none for stdin",
            )),
        }
    }

    /// The sources in order. `stdin_is_taken` names a flag that reads stdin, where one does.
    pub(super) fn inputs(&self, stdin_is_taken: Option<&str>) -> Result<Inputs> {
        let separator = if self.null { Separator::Nul } else { Separator::Line };
        let named = self.inputs.iter().cloned().map(Source::Named);
        let lists = self
            .files_from
            .iter()
            .cloned()
            .map(|file| Source::List(file, separator));
        let records = self.ndjson_from.iter().cloned().map(Source::Ndjson);
        let inputs = Inputs {
            sources: named.chain(lists).chain(records).collect(),
            options: self.options(),
        };
        let n_readers = inputs.n_reading_stdin() + usize::from(stdin_is_taken.is_some());
        if n_readers > 1 {
            let with = stdin_is_taken.map_or_else(String::new, |flag| format!(", `{flag}` among them"));
            return Err(Error::usage(
                format!("{n_readers} inputs want stdin{with}, and it can be read once"),
                "give all but one of them a file",
            ));
        }
        Ok(inputs)
    }
}

/// How pictures are read.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Pictures")]
pub(super) struct PictureFlags {
    /// Take pixels as they are stored: don't turn a picture as its EXIF says
    #[arg(long, hide_short_help = true)]
    no_exif: bool,
    /// The most pixels that a picture may have
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_pixels, hide_short_help = true)]
    max_pixels: u64,
}

impl PictureFlags {
    /// How pictures are read, in words: what their pixels depend on besides the file.
    pub(super) fn reading(&self) -> &'static str {
        if self.no_exif { "as stored" } else { "upright" }
    }

    /// What records depend on, by name.
    pub(super) fn facts(&self) -> Facts {
        Facts::from_iter([
            ("no_exif".into(), self.no_exif.into()),
            ("max_pixels".into(), self.max_pixels.into()),
        ])
    }

    /// The same flags, with pictures turned as an index notes it.
    #[cfg(feature = "parquet")]
    pub(super) fn turned(&self, orientation: &str) -> Self {
        PictureFlags {
            no_exif: orientation == "as stored",
            ..self.clone()
        }
    }

    pub(super) fn apply(&self, preprocess: &Preprocess) -> Preprocess {
        let orientation = if self.no_exif {
            Orientation::AsStored
        } else {
            Orientation::Upright
        };
        let limits = Limits {
            max_pixels: self.max_pixels,
            ..Limits::default()
        };
        preprocess.clone().orientation(orientation).limits(limits)
    }
}
