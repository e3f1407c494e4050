//! The flags that say how labels are scored, and the checked choice that they come to.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use longclip::labels::{LabelSet, PromptEncoder, files, neutral_prompts};
use longclip::model::{LongClip, MeasuredTexts, TextEmbeddings};
use longclip::score::{CALIBRATED_MARGIN, Neutral, Score, Scoring, Temperature};
use longclip::text::start_of;
use longclip::{Error, NONE_OF_THESE, Result};

use super::labelling::{Grouping, say};
use super::report::Report;
use super::shards::Facts;

/// How labels are scored.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Scores")]
pub(super) struct ScoreFlags {
    /// `softmax`: one of the labels is right; `independent`: each alone, held against neutral prompts; `cosine`: no
    /// probabilities; `raw-dot`: upstream's demo
    #[arg(long, value_name = "SCORE", default_value = "softmax")]
    score: ScoreName,
    /// The same as `--score raw-dot`
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
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    neutral: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScoreName {
    Softmax,
    Independent,
    Cosine,
    RawDot,
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

/// What was asked for, checked, before there is a model.
#[derive(Debug)]
pub(super) struct ScorePlan {
    pub(super) score: Score,
    temperature: Option<Temperature>,
    pub(super) threshold: Option<f64>,
    /// Whether "none of these" may be an answer, and how soon.
    pub(super) margin: Option<f64>,
    /// Neutral prompts, where the score needs some.
    neutral: Vec<String>,
}

impl ScoreFlags {
    /// The file that neutral prompts are read from.
    pub(super) fn file(&self) -> Option<&Path> {
        self.neutral.as_deref()
    }

    /// Checks what was asked for, for labels that are grouped or not.
    pub(super) fn plan(&self, grouping: Grouping) -> Result<ScorePlan> {
        let score = match self.score {
            _ if self.raw_dot => Score::RawDot,
            ScoreName::Softmax => Score::Softmax,
            ScoreName::Independent => Score::Independent,
            ScoreName::Cosine => Score::Cosine,
            ScoreName::RawDot => Score::RawDot,
        };
        self.check_reject(score)?;
        self.check_threshold(score)?;
        if grouping == Grouping::ByGroup && matches!(score, Score::Cosine | Score::Independent) {
            return Err(Error::usage(
                "`--group-by` sums up probabilities of labels that exclude each other, which this score has none of",
                "leave it out, or use `--score softmax`",
            ));
        }
        if score == Score::Cosine && self.temperature.is_some() {
            return Err(Error::usage(
                "`--temperature` changes nothing: `--score cosine` has no logits to divide",
                "leave it out, or choose another score",
            ));
        }
        let is_neutral_read = score == Score::Independent || self.reject.is_some();
        let neutral = match &self.neutral {
            Some(_) if !is_neutral_read => {
                return Err(Error::usage(
                    "`--neutral` changes nothing: neutral prompts are for `--score independent` and for `--reject`",
                    "leave it out, or add one of them",
                ));
            }
            Some(file) => files::read_lines(file)?.into_iter().map(|line| line.text).collect(),
            None if is_neutral_read => neutral_prompts(),
            None => Vec::new(),
        };
        Ok(ScorePlan {
            score,
            temperature: self.temperature,
            threshold: self.threshold,
            margin: self.reject,
            neutral,
        })
    }

    fn check_reject(&self, score: Score) -> Result<()> {
        let hint = match score {
            _ if self.reject.is_none() => return Ok(()),
            Score::Independent => "`--threshold 0.5` leaves out labels that are no likelier than the neutral prompts",
            Score::Cosine | Score::RawDot => "use `--threshold`, or leave out `--score`",
            _ => return Ok(()),
        };
        Err(Error::usage("`--reject` is for `--score softmax`", hint))
    }

    fn check_threshold(&self, score: Score) -> Result<()> {
        let (what, least) = if score == Score::Cosine {
            ("cosines", -1.0)
        } else {
            ("probabilities", 0.0)
        };
        match self.threshold {
            Some(threshold) if !(least..=1.0).contains(&threshold) => Err(Error::usage(
                format!("`--threshold {threshold}` keeps all labels or none: {what} are from {least} to 1"),
                "give a number between them",
            )),
            _ => Ok(()),
        }
    }
}

impl ScorePlan {
    /// What records depend on, by name.
    pub(super) fn facts(&self) -> Facts {
        let score = match self.score {
            Score::Independent => "independent",
            Score::Cosine => "cosine",
            Score::RawDot => "raw-dot",
            _ => "softmax",
        };
        let temperature = self.temperature.map_or(1.0, Temperature::value);
        Facts::from_iter([
            ("score".into(), score.into()),
            ("temperature".into(), temperature.into()),
            ("threshold".into(), self.threshold.into()),
            ("reject".into(), self.margin.into()),
            ("neutral".into(), self.neutral.clone().into()),
        ])
    }

    /// Refuses labels that this score has no meaning for.
    pub(super) fn check_labels(&self, labels: &LabelSet) -> Result<()> {
        if self.margin.is_some() && labels.labels().iter().any(|label| label == NONE_OF_THESE) {
            return Err(Error::usage(
                format!("the label `{NONE_OF_THESE}` is what `--reject` adds"),
                "leave it out, or leave out `--reject`",
            ));
        }
        match labels.averaged() {
            Some(label) if self.score == Score::RawDot => Err(Error::usage(
                format!(
                    "`--score raw-dot` compares features as they are, and that of `{}` is a mean",
                    start_of(label)
                ),
                "give a prompt a label, or `--combine max`, or another score",
            )),
            _ => Ok(()),
        }
    }

    /// Encodes what the score needs.
    pub(super) fn scoring(&self, model: &LongClip, encoder: &mut PromptEncoder<'_>, report: Report) -> Result<Scoring> {
        let scale = model.logit_scale();
        let neutral = if self.neutral.is_empty() {
            None
        } else {
            let rows = encoder.encode(&self.neutral)?;
            say(&encoder.take_notices(), report);
            Neutral::new(MeasuredTexts::new(TextEmbeddings(rows)))
        };
        let scoring = match (self.score, neutral, self.margin) {
            (Score::Independent, Some(neutral), _) => Scoring::independent(scale, neutral),
            (Score::Softmax, Some(neutral), Some(margin)) => Scoring::softmax_or_none(scale, neutral, margin),
            (Score::Cosine, ..) => Scoring::cosine(scale),
            (Score::RawDot, ..) => Scoring::raw_dot(scale),
            _ => Scoring::softmax(scale),
        };
        Ok(match self.temperature {
            Some(temperature) => scoring.temperature(temperature),
            None => scoring,
        })
    }
}
