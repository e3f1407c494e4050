//! The flags that say which tags images may get, and when they get one.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longclip::labels::{BuiltIn, Vocabulary};
use longclip::named::Named;
use longclip::score::{FalsePositives, Score};
use longclip::session::{Labelling, ScorePlan};
use longclip::{Error, Result};
use serde::Serialize;

use crate::cli::named::TextOr;
use crate::cli::numbers::number;
use crate::cli::targets::cache_of;

/// Which tags images may get.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Tags")]
pub(super) struct VocabularyFlags {
    /// everyday, scenes, or a file with one tag per line
    ///
    /// `everyday` has some 1000 nouns, `scenes` some 200 places, events, kinds of images and colours. In a file, indented
    /// lines are below the line before them, as Lightroom exports keyword lists: an image with a tag gets those above it
    /// too. csv, tsv and json are read as label files. May be repeated [default: everyday and scenes]. Example:
    /// `--vocabulary scenes --vocabulary my-keywords.txt`
    // What they hold is compared.
    #[serde(skip)]
    #[arg(long, value_name = "NAME", value_parser = TextOr(built_in), hide_possible_values = true)]
    vocabulary: Vec<String>,
    /// The text around a tag of a file
    ///
    /// `{}` stands for the tag; may be repeated. The built-in vocabularies have texts of their own [default: a photo of
    /// {}]. Example: `--template "a drawing of {}"`
    // Among the labels, as read.
    #[serde(skip)]
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    template: Vec<String>,
    /// Do not keep embeddings of tags for later runs
    ///
    /// They are in $XDG_CACHE_HOME/longclip, else in ~/.cache/longclip, so that a second run with the same tags starts
    /// sooner.
    // Embeddings are the same.
    #[serde(skip)]
    #[arg(long, hide_short_help = true)]
    no_cache: bool,
}

fn built_in() -> Vec<&'static str> {
    BuiltIn::ALL.iter().map(|list| list.name()).collect()
}

impl VocabularyFlags {
    /// The files that tags are read from.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let is_file = |name: &&String| BuiltIn::from_name(name).is_err();
        self.vocabulary.iter().filter(is_file).map(Path::new)
    }

    /// The flag that reads stdin, if one does.
    pub(super) fn reads_stdin(&self) -> Option<&'static str> {
        self.vocabulary
            .iter()
            .any(|name| name == "-")
            .then_some("--vocabulary -")
    }

    /// Reads what was asked for.
    pub(super) fn vocabulary(&self) -> Result<Vocabulary> {
        Vocabulary::of_names(&self.vocabulary)
    }

    /// How the tags are encoded.
    pub(super) fn labelling(&self, vocabulary: &Vocabulary) -> Result<Labelling> {
        let cache_root = match self.no_cache {
            true => None,
            false => cache_of("labels"),
        };
        Labelling::of_vocabulary(vocabulary, &self.template, cache_root)
    }
}

/// When an image gets a tag.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Tags")]
pub(super) struct ThresholdFlags {
    /// The most tags of an image, the likeliest first
    ///
    /// Tags that are added because they are above one are not counted. Example: `--max-tags 5`
    #[arg(long, value_name = "N", default_value = "10")]
    max_tags: NonZeroUsize,
    /// The lowest probability of a tag
    ///
    /// It is that of `classify --score independent`: at 0.95, the tag is 19 times as likely as a neutral prompt. Example:
    /// `--threshold 0.99`
    #[arg(long, value_name = "P", default_value = "0.95", value_parser = parse_probability)]
    threshold: f64,
    /// The share of other images that may get a tag
    ///
    /// For each tag, a second threshold is chosen so that about this share of the images that do not show it reaches
    /// it. A lower share gives fewer and surer tags; `off` leaves it to `--threshold`. Example: `--false-positives 0.1%`
    #[arg(long, value_name = "P", default_value = "1%", value_parser = parse_share)]
    false_positives: Allowed,
    /// Choose thresholds by this folder's images
    ///
    /// Without it, by the images that are tagged, at most 2000 of them. Name a folder with many kinds of images if you
    /// tag few, or images that are all alike. Example: `--calibrate all-photos/`
    #[arg(long, value_name = "FOLDER")]
    calibrate: Option<PathBuf>,
}

/// Which share of other images may get a tag.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) enum Allowed {
    /// Any: nothing is calibrated.
    Any,
    Share(FalsePositives),
}

impl ThresholdFlags {
    pub(super) fn max_tags(&self) -> NonZeroUsize {
        self.max_tags
    }

    /// The least probability.
    pub(super) fn least(&self) -> f64 {
        self.threshold
    }

    /// The share that thresholds are calibrated for, if they are, and the folder to calibrate on, if one is named.
    pub(super) fn calibration(&self) -> Result<Option<(FalsePositives, Option<&Path>)>> {
        match (self.false_positives, &self.calibrate) {
            (Allowed::Share(share), folder) => Ok(Some((share, folder.as_deref()))),
            (Allowed::Any, None) => Ok(None),
            (Allowed::Any, Some(_)) => Err(Error::usage(
                "`--calibrate` changes nothing with `--false-positives off`",
                "leave out one of them",
            )),
        }
    }
}

/// How tags are scored.
pub(super) fn score_plan() -> ScorePlan {
    ScorePlan {
        score: Score::Independent,
        ..ScorePlan::default()
    }
}

fn parse_share(text: &str) -> Result<Allowed, String> {
    if text == "off" {
        return Ok(Allowed::Any);
    }
    let (digits, unit) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), 0.01),
        None => (text, 1.0),
    };
    let typed: f64 = number(digits, |_| true, "a share like `1%` or `0.01`")?;
    let share = FalsePositives::new(typed * unit).map(Allowed::Share);
    share.ok_or_else(|| "expected a share above 0% and up to 50%, or `off`".into())
}

fn parse_probability(text: &str) -> Result<f64, String> {
    let typed: f64 = number(text, |_| true, "a number")?;
    match typed > 0.0 && typed < 1.0 {
        true => Ok(typed),
        false => Err("expected a number above 0 and below 1".into()),
    }
}
