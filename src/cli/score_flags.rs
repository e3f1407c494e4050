//! The flags that say how labels are scored, and the checked choice that they come to.

use std::path::{Path, PathBuf};

use longclip::labels::files;
use longclip::score::{CALIBRATED_MARGIN, Score, Temperature};
use longclip::session::ScorePlan;
use longclip::{Error, Grouping, Result};
use serde::Serialize;

use super::input_flags::InputFlags;
use super::named::named;

/// How labels are scored.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Scores")]
pub(super) struct ScoreFlags {
    /// `softmax`: one of the labels is right; `independent`: each alone, held against neutral prompts; `cosine`: no
    /// probabilities; `raw-dot`: upstream's demo
    #[arg(long, value_name = "SCORE", default_value_t, value_parser = named::<Score>())]
    score: Score,
    /// The same as `--score raw-dot`
    // It is in `score`.
    #[serde(skip)]
    #[arg(long, conflicts_with = "score", hide_short_help = true)]
    raw_dot: bool,
    /// Divide logits by X: above 1 probabilities are flatter, below 1 sharper [default: 1, the model's own]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_temperature, hide_short_help = true)]
    temperature: Option<Temperature>,
    /// Only labels and groups with a probability of at least X; with `--score cosine` a cosine
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = parse_number, hide_short_help = true)]
    threshold: Option<f64>,
    /// Let "none of these" be an answer, from MARGIN logits above the neutral prompts on; more refuses more
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
    /// Neutral prompts, one a line, in place of the built-in ones
    // What the file says is compared.
    #[serde(skip)]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    neutral: Option<PathBuf>,
}

fn calibrated_margin() -> String {
    CALIBRATED_MARGIN.to_string()
}

fn parse_number(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err("expected a finite number".into())
    }
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
