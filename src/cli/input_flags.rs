//! The flags that say where images come from, and how they are read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use longclip::input::{ExcludedFolders, InputOptions, Inputs, RawPhotos, Separator, Source, Web, WebSettings};
use longclip::named::Named;
use longclip::preprocess::{Fit, Limits, Orientation};
use longclip::score::OneView;
use longclip::session::{Fitting, ImageReading};
use longclip::weights::hub::HubSettings;
use longclip::{Error, Result};
use serde::{Serialize, Serializer};

use super::named::named;
use super::shard_flags::ShardFlags;
#[cfg(feature = "arrow")]
use super::stream::refuse_given;

/// A whole image may take this many times as long as the longest silence: a server that sends a byte now and then would
/// hold a reader forever.
const TOTAL_PER_SILENCE: u64 = 10;

/// Where images come from.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Input")]
pub(super) struct InputFlags {
    /// Images, folders, archives, patterns or URLs; `-` is stdin
    ///
    /// Folders are searched with all folders in them. Archives are tar files, also compressed as .gz or .zst. Example:
    /// `cat.jpg photos/ 'scans/*.tif' more.tar.gz https://example.org/dog.png`
    #[serde(serialize_with = "shown")]
    #[arg(value_name = "INPUT", display_order = 0)]
    inputs: Vec<PathBuf>,
    /// Read names of images from a file, one per line
    ///
    /// `-` reads them from stdin; may be repeated. Example: `--files-from names.txt`
    #[serde(serialize_with = "shown")]
    #[arg(long, value_name = "FILE")]
    files_from: Vec<PathBuf>,
    /// Names of `--files-from` end with a zero byte
    ///
    /// As `find -print0` prints them, for names that contain line breaks. Example: `find . -name '*.jpg' -print0 |
    /// longclip classify --files-from - -0 --label cat --label dog`
    #[arg(hide_short_help = true, short = '0', long, requires = "files_from")]
    null: bool,
    /// Read records, one JSON object per line; `-` is stdin
    ///
    /// A record is {"path": "a.jpg"} or {"id": 7, "image_b64": "..."}. `labels` in a record are the labels of that
    /// image alone; other fields are copied to the output. May be repeated. Example: `--ndjson-from images.ndjson`
    #[serde(serialize_with = "shown")]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    ndjson_from: Vec<PathBuf>,
    /// Follow links to folders
    ///
    /// Without it, links to folders are skipped and counted. A folder that is reached twice is read once.
    #[arg(long, hide_short_help = true)]
    follow: bool,
    /// How many folders deep to look
    ///
    /// 1 is a folder's own files, 2 also those of the folders in it [default: no limit]. Example: `--max-depth 1`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    max_depth: Option<u32>,
    /// Folders that are not searched, by name or by path
    ///
    /// A pattern with `/` is compared with the path below the named folder. With `!` in front, such folders are searched;
    /// the last pattern that matches decides. Hidden folders, `node_modules`, `@eaDir` and others that hold no photos are
    /// skipped by default. May be repeated. Example: `--exclude-dir 'thumb*' --exclude-dir '!node_modules'`
    #[arg(long, value_name = "GLOB", hide_short_help = true)]
    exclude_dir: Vec<String>,
    /// Which raw camera photos are read in folders
    ///
    /// `alone` skips and counts those with a JPEG or HEIC photo of the same name next to them; `skip` skips all. Of a raw
    /// photo, the largest preview inside it is read. Example: `--raw both`
    #[arg(long, value_name = "WHICH", default_value_t, value_parser = named::<RawPhotos>(), hide_short_help = true)]
    raw: RawPhotos,
    #[command(flatten)]
    #[serde(flatten)]
    shard: ShardFlags,
    /// Abandon a URL after this many seconds without a byte
    ///
    /// The whole image may take ten times as long. At least 1. Example: `--url-timeout 10`
    // What answers later is a failure, and failures may pass.
    #[serde(skip)]
    #[arg(hide_short_help = true, long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    url_timeout: u64,
    /// Fetch no URLs
    ///
    /// Each URL is an error of its image: for lists that other people wrote.
    // What is refused is a failure, and a later run may fetch it.
    #[serde(skip)]
    #[arg(long, hide_short_help = true)]
    no_url: bool,
}

impl InputFlags {
    /// Whether nothing was named.
    pub(super) fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.files_from.is_empty() && self.ndjson_from.is_empty()
    }

    /// An input that is a number, and no file.
    pub(super) fn number(&self) -> Option<&str> {
        let mut texts = self.inputs.iter().filter_map(|path| path.to_str());
        texts.find(|text| text.parse::<f64>().is_ok() && !Path::new(text).exists())
    }

    fn web_settings(&self) -> WebSettings {
        let HubSettings { proxies, ca_bundle, .. } = HubSettings::from_lookup(|name| std::env::var(name).ok());
        WebSettings {
            proxies,
            ca_bundle,
            silence: Duration::from_secs(self.url_timeout),
            total: Duration::from_secs(self.url_timeout.saturating_mul(TOTAL_PER_SILENCE)),
            is_refused: self.no_url,
        }
    }

    /// How what was named is read.
    pub(super) fn options(&self) -> Result<InputOptions> {
        let mut excluded = ExcludedFolders::default();
        for pattern in &self.exclude_dir {
            excluded.add(pattern)?;
        }
        Ok(InputOptions {
            raw: self.raw,
            excluded,
            follows_links: self.follow,
            max_depth: self.max_depth.map(|depth| depth as usize),
            shard: self.shard.shard(),
            web: Web::new(self.web_settings()),
            ..InputOptions::default()
        })
    }

    /// What is named as a stream. Refuses flags that change nothing then.
    #[cfg(feature = "arrow")]
    pub(super) fn stream(&self) -> Result<&[PathBuf]> {
        let given = [
            ("--files-from", !self.files_from.is_empty()),
            ("--ndjson-from", !self.ndjson_from.is_empty()),
            ("--shard", self.shard.shard().is_some()),
            ("--follow", self.follow),
            ("--max-depth", self.max_depth.is_some()),
            ("--exclude-dir", !self.exclude_dir.is_empty()),
            ("--raw", self.raw != RawPhotos::default()),
        ];
        let why = "doesn't go with `--in arrow`, whose rows are the images";
        refuse_given(&given, why, "leave out one of them")?;
        Ok(&self.inputs)
    }

    /// The sources in order, checked. `stdin_is_taken` names a flag that reads stdin, if one does.
    pub(super) fn plan(&self, stdin_is_taken: Option<&str>) -> Result<Inputs> {
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
            options: self.options()?,
        };
        let n_readers = inputs.n_reading_stdin() + usize::from(stdin_is_taken.is_some());
        if n_readers > 1 {
            let with = stdin_is_taken.map_or_else(String::new, |flag| format!(", `{flag}` among them"));
            return Err(Error::usage(
                format!("{n_readers} inputs read stdin{with}, which can be read only once"),
                "give all but one of them a file",
            ));
        }
        inputs.refuse_unreadable()?;
        Ok(inputs)
    }
}

/// Paths as people write them, also those that are not UTF-8.
pub(super) fn shown<S: Serializer>(paths: &[PathBuf], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.display().to_string()))
}

/// `--fit` of a command that needs one embedding per image, and so can't cut images into tiles.
pub(super) fn to_one_square(flag: clap::Arg) -> clap::Arg {
    const HELP: &str = "How an image becomes the square that the model reads\n\n`crop` takes the centre, as the reference does; \
                        `pad` keeps the whole image and adds black bars; `squash` keeps it and changes its proportions [default: as \
                        the model was trained, which is `crop` for CLIP]. Example: `--fit pad`";
    let fits = [Fit::Crop, Fit::Pad, Fit::Squash].map(Named::name);
    let parser = PossibleValuesParser::new(fits).try_map(|name: String| Fitting::from_name(&name));
    flag.long_help(HELP).value_parser(parser)
}

/// How images are read.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Images")]
pub(super) struct PictureFlags {
    /// Do not turn images as their EXIF data says
    ///
    /// Cameras store photos as the sensor saw them, with a note which side is up. Without this flag, images are turned
    /// upright.
    #[arg(long, hide_short_help = true)]
    no_exif: bool,
    /// How an image becomes the square that the model reads
    ///
    /// `crop` takes the centre, as the reference does; `pad` keeps the whole image and adds black bars; `squash` keeps it
    /// and changes its proportions; `tiles` encodes overlapping squares of large photos and panoramas, and each label gets
    /// its best score among them, with `tiles-mean` their mean. That takes 14 times as long for most photos [default: as
    /// the model was trained, which is `crop` for CLIP]. Example: `--fit tiles`
    #[arg(long, value_name = "HOW", value_parser = named::<Fitting>(), hide_short_help = true)]
    fit: Option<Fitting>,
    /// Decode large JPEGs at a half, a quarter or an eighth of their size
    ///
    /// They stay at least twice as large as the model reads them. Photos of many megapixels are read faster, and scores
    /// change a little; other formats and smaller images are read as before. Thumbnails show what was decoded [default: all
    /// images are decoded at their full size]
    #[arg(long, hide_short_help = true)]
    fast_decode: bool,
    /// The most pixels that an image may have
    ///
    /// Larger images are errors, so that one file can't use up the memory. Example: `--max-pixels 1000000000`
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_pixels, hide_short_help = true)]
    max_pixels: u64,
}

impl PictureFlags {
    /// How images are read.
    pub(super) fn reading(&self) -> ImageReading {
        ImageReading {
            orientation: match self.no_exif {
                true => Orientation::AsStored,
                false => Orientation::Upright,
            },
            fit: self.fit,
            is_reduced: self.fast_decode,
            max_pixels: self.max_pixels,
        }
    }

    /// Refuses a fit for which the parts of a photo that the model saw are not known, and photos that are not whole.
    pub(super) fn refuse_to_explain(&self) -> Result<()> {
        if self.fast_decode {
            return Err(Error::usage(
                "`--explain` paints photos at their full size, and `--fast-decode` reads them smaller",
                "leave out one of them",
            ));
        }
        match self.fit {
            Some(fit @ (Fitting::One(Fit::Pad | Fit::Squash) | Fitting::Tiles(_))) => Err(Error::usage(
                format!(
                    "`--explain` paints the square in the centre, and `--fit {}` shows the model more than that",
                    fit.name()
                ),
                "leave out one of them",
            )),
            Some(Fitting::One(Fit::Crop)) | None => Ok(()),
        }
    }

    /// As [`Fitting::one_view`].
    pub(super) fn one_view(&self, what: &str) -> Result<OneView> {
        Fitting::one_view(self.fit, what, |name| format!("--fit {name}"))
    }
}
