//! `--compare MODEL`: measures two models on the same data, and says which differences are real.

use std::path::{Path, PathBuf};

use longclip::eval::beside;
use longclip::eval::bootstrap::Bootstrap;
use longclip::model::NumberType;
use longclip::session::Loaded;
use longclip::{Error, Result};

use crate::cli::model_flags::{ModelFlags, OtherModel};
use crate::cli::named::named;
use crate::cli::numbers::number;
use crate::cli::report::Report;

/// The model to compare with, and how the comparison is made.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Comparison")]
pub(super) struct CompareFlags {
    /// Also measure this model, and compare both
    ///
    /// On the same data; says which differences are real (paired bootstrap). Example: `--compare longclip-l`
    #[arg(long, value_name = "MODEL")]
    compare: Option<String>,
    /// Numbers that the other model computes with
    ///
    /// [default: as `--dtype`] Example: `--compare-dtype int8`
    #[arg(long, value_name = "TYPE", hide_short_help = true, value_parser = named::<NumberType>())]
    compare_dtype: Option<NumberType>,
    /// Read 77 tokens with the other model
    ///
    /// Instead of stretching its 77-row position table.
    #[arg(long, hide_short_help = true, requires = "compare")]
    compare_no_stretch: bool,
    /// Resamples of the bootstrap
    ///
    /// From 100 to 1,000,000. Example: `--resamples 1000`
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = resamples, hide_short_help = true)]
    resamples: usize,
    /// Seed of the resampling
    ///
    /// The same seed gives the same intervals. Example: `--seed 1`
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    seed: u64,
}

fn resamples(text: &str) -> std::result::Result<usize, String> {
    number(
        text,
        |n| (100..=1_000_000).contains(n),
        "a number from 100 to 1,000,000",
    )
}

impl CompareFlags {
    /// The other model's name as typed.
    pub(super) fn model(&self) -> Option<&str> {
        self.compare.as_deref()
    }

    /// The models to measure: the first one, and the one to compare it with.
    pub(super) fn contenders(&self, first: &ModelFlags, report: Report) -> Result<Vec<Contender>> {
        let other = self.other(first)?;
        let mut contenders = vec![Contender::load(first, None, report)?];
        if let Some(other) = other {
            contenders.push(Contender::load(&other, Some("compared"), report)?);
        }
        Ok(contenders)
    }

    /// The flags of the other model, if there is one: those of the first, with the other's changes.
    fn other(&self, first: &ModelFlags) -> Result<Option<ModelFlags>> {
        if self.compare.is_none() && self.compare_dtype.is_none() {
            return Ok(None);
        }
        let other = first.other(&OtherModel {
            name: self.compare.as_deref(),
            dtype: self.compare_dtype,
            no_stretch: self.compare_no_stretch,
        });
        if other.is_same_as(first) {
            return Err(Error::usage(
                "the model is compared with itself",
                "name another by `--compare`, or another number type by `--compare-dtype`",
            ));
        }
        Ok(Some(other))
    }

    pub(super) fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            n_resamples: self.resamples,
            seed: self.seed,
        }
    }
}

/// A model, with the flags that it was loaded by.
pub(super) struct Contender {
    pub(super) loaded: Loaded,
    /// What distinguishes the file of its embeddings.
    ending: Option<&'static str>,
}

impl Contender {
    fn load(flags: &ModelFlags, ending: Option<&'static str>, report: Report) -> Result<Self> {
        let loaded = flags.load(report)?;
        Ok(Contender { loaded, ending })
    }

    /// The file of its embeddings of a kind, if `first` is that of the first model.
    pub(super) fn kept(&self, first: Option<&Path>, kind: Option<&str>) -> Option<PathBuf> {
        let endings = self.ending.into_iter().chain(kind);
        Some(endings.fold(first?.to_owned(), |path, ending| beside(&path, ending)))
    }
}
