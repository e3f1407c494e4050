//! The flags that say how labels are scored, and the checked choice that results from them.

use std::path::{Path, PathBuf};

use longclip::labels::files;
use longclip::score::{CALIBRATED_MARGIN, Score, Temperature};
use longclip::session::ScorePlan;
use longclip::{Error, Grouping, Result};
use serde::Serialize;

use super::input_flags::InputFlags;
use super::named::named;
use super::numbers::number;

/// How labels are scored.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Scores")]
pub(super) struct ScoreFlags {
    /// softmax, independent, cosine or raw-dot
    ///
    /// `softmax`: one of the labels is right, and probabilities add up to 100%. `independent`: each label is right or
    /// wrong by itself, compared with neutral prompts. `cosine`: the plain similarity, no probabilities. `raw-dot`: as
    /// upstream's demo. Example: `--score independent`
    #[arg(long, value_name = "SCORE", default_value_t, value_parser = named::<Score>())]
    score: Score,
    /// The same as `--score raw-dot`
    ///
    /// As upstream's demo computes it.
    // It is in `score`.
    #[serde(skip)]
    #[arg(long, conflicts_with = "score", hide_short_help = true)]
    raw_dot: bool,
    /// Make probabilities flatter (above 1) or sharper
    ///
    /// Logits are divided by X, which is above 0; the order of labels stays [default: 1]. Example: `--temperature 2`
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_temperature, hide_short_help = true)]
    temperature: Option<Temperature>,
    /// Only labels with a probability of at least X
    ///
    /// X is from 0 to 1. It applies to groups too, and with `--score cosine` to the cosine. An image may then have no
    /// label. Example: `--threshold 0.5`
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_number)]
    threshold: Option<f64>,
    /// Let "none of these" be an answer
    ///
    /// It wins if no label is better than neutral prompts by MARGIN logits. A higher margin refuses more images;
    /// without a number, a margin is used that was measured for this. Write it after `=`. Example: `--reject=2.5`
    #[arg(
        long,
        value_name = "MARGIN",
        num_args = 0..=1,
        require_equals = true,
        allow_negative_numbers = true,
        default_missing_value = calibrated_margin(),
        value_parser = parse_number
    )]
    reject: Option<f64>,
    /// Neutral prompts for `--reject` and `independent`
    ///
    /// A file with one per line, in place of the built-in ones. Example: `--neutral neutral.txt`
    // What the file says is compared.
    #[serde(skip)]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    neutral: Option<PathBuf>,
}

fn calibrated_margin() -> String {
    CALIBRATED_MARGIN.to_string()
}

fn parse_number(text: &str) -> Result<f64, String> {
    let typed: f64 = number(text, |_| true, "a number")?;
    typed
        .is_finite()
        .then_some(typed)
        .ok_or_else(|| "expected a finite number".into())
}

fn parse_temperature(text: &str) -> Result<Temperature, String> {
    Temperature::new(parse_number(text)?).ok_or_else(|| "expected a number above 0".into())
}

impl ScoreFlags {
    /// The file that neutral prompts are read from.
    pub(super) fn file(&self) -> Option<&Path> {
        self.neutral.as_deref()
    }

    /// Refuses `--reject 2`, whose number was taken as an image.
    pub(super) fn refuse_detached_margin(&self, input: &InputFlags) -> Result<()> {
        match (self.reject, input.number()) {
            (Some(margin), Some(number)) if margin == CALIBRATED_MARGIN => Err(Error::usage(
                format!("`--reject` is followed by `{number}`, which is not a file"),
                format!("write the margin after `=`: `--reject={number}`"),
            )),
            _ => Ok(()),
        }
    }

    /// Whether the lowest score to print was given.
    pub(super) fn has_threshold(&self) -> bool {
        self.threshold.is_some()
    }

    /// Checks what was asked for, for labels that are grouped or not.
    pub(super) fn plan(&self, grouping: Grouping) -> Result<ScorePlan> {
        let texts = |file: &PathBuf| -> Result<Vec<String>> {
            Ok(files::read_lines(file)?.into_iter().map(|line| line.text).collect())
        };
        let plan = ScorePlan {
            score: if self.raw_dot { Score::RawDot } else { self.score },
            temperature: self.temperature,
            threshold: self.threshold,
            reject: self.reject,
            neutral: self.neutral.as_ref().map(texts).transpose()?,
        };
        plan.check(grouping)?;
        Ok(plan)
    }
}
