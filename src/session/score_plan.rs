//! How to score images, as the caller asked: checked before a model is loaded, and completed with the model.

use super::{Grouping, NONE_OF_THESE};
use crate::error::{Error, Result};
use crate::labels::{LabelSet, Notice, PromptEncoder, neutral_prompts};
use crate::model::{LongClip, MeasuredTexts, TextEmbeddings};
use crate::score::{CALIBRATED_MARGIN, Neutral, Score, Scoring, Temperature};
use crate::text::start_of;

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScorePlan {
    /// How a label's score is made.
    pub score: Score,
    /// What logits are divided by; the model's own if `None`.
    pub temperature: Option<Temperature>,
    /// Labels and groups below this are left out: a probability, or a cosine if the score is that.
    pub threshold: Option<f64>,
    /// Whether "none of these" is a candidate: this many logits above the neutral prompts.
    pub reject: Option<f64>,
    /// Neutral prompts in place of the built-in ones.
    pub neutral: Option<Vec<String>>,
}

impl ScorePlan {
    /// Refuses what contradicts itself or changes nothing, for labels that are grouped or not.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(&self, grouping: Grouping) -> Result<()> {
        self.check_reject()?;
        self.check_threshold()?;
        let has_sums = match self.score {
            Score::Softmax | Score::RawDot => true,
            Score::Cosine | Score::Independent => false,
        };
        if grouping == Grouping::ByGroup && !has_sums {
            return Err(Error::usage(
                "a group's score is the sum of probabilities of labels that exclude each other, and this score has none",
                "leave out the groups, or use the score `softmax`",
            ));
        }
        if self.score == Score::Cosine && self.temperature.is_some() {
            return Err(Error::usage(
                "`temperature` changes nothing: the score `cosine` has no logits to divide",
                "leave it out, or choose another score",
            ));
        }
        if self.neutral.is_some() && !self.needs_neutral() {
            return Err(Error::usage(
                "`neutral` changes nothing: neutral prompts are for the score `independent` and for `reject`",
                "leave it out, or add one of them",
            ));
        }
        Ok(())
    }

    fn check_reject(&self) -> Result<()> {
        let Some(margin) = self.reject else { return Ok(()) };
        if !margin.is_finite() {
            return Err(Error::usage(
                format!("`reject` is {margin}"),
                format!("give a finite number of logits above the neutral prompts, such as {CALIBRATED_MARGIN}"),
            ));
        }
        let hint = match self.score {
            Score::Softmax => return Ok(()),
            Score::Independent => "a threshold of 0.5 leaves out labels that are not likelier than the neutral prompts",
            Score::Cosine | Score::RawDot => "use a threshold, or the score `softmax`",
        };
        Err(Error::usage("`reject` is for the score `softmax`", hint))
    }

    fn check_threshold(&self) -> Result<()> {
        let (what, least) = match self.score {
            Score::Cosine => ("cosines", -1.0),
            Score::Softmax | Score::RawDot | Score::Independent => ("probabilities", 0.0),
        };
        match self.threshold {
            Some(threshold) if !(least..=1.0).contains(&threshold) => Err(Error::usage(
                format!("a threshold of {threshold} keeps all labels or none: {what} are from {least} to 1"),
                "give a number between them",
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn needs_neutral(&self) -> bool {
        self.score == Score::Independent || self.reject.is_some()
    }

    /// The neutral prompts that the score needs; none if it needs none.
    pub fn neutral_prompts(&self) -> Vec<String> {
        match &self.neutral {
            Some(prompts) => prompts.clone(),
            None if self.needs_neutral() => neutral_prompts(),
            None => Vec::new(),
        }
    }

    /// Refuses labels that this score has no meaning for.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn check_labels(&self, labels: &LabelSet) -> Result<()> {
        if self.reject.is_some() && labels.labels().iter().any(|label| label == NONE_OF_THESE) {
            return Err(Error::usage(
                format!("the label `{NONE_OF_THESE}` is what `reject` adds"),
                "leave it out, or leave out `reject`",
            ));
        }
        match labels.averaged() {
            Some(label) if self.score == Score::RawDot => Err(Error::usage(
                format!(
                    "the score `raw-dot` compares features as they are, and that of `{}` is a mean",
                    start_of(label)
                ),
                "give a prompt a label, or combine prompts by `max`, or use another score",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a single label or group gets every image: nothing else shares the probability, or nothing is below a threshold.
    pub fn gives_all_to_one(&self) -> bool {
        match self.score {
            Score::Softmax | Score::RawDot => self.reject.is_none(),
            Score::Independent | Score::Cosine => self.threshold.is_none(),
        }
    }

    /// What the user should know of labels that are scored in this way.
    pub(super) fn notice(&self, labels: &LabelSet) -> Option<Notice> {
        let are_shared = match self.score {
            Score::Softmax | Score::RawDot => self.reject.is_none(),
            Score::Independent | Score::Cosine => false,
        };
        match labels.labels() {
            [label] if are_shared => Some(Notice::OnlyLabel { label: label.clone() }),
            _ => None,
        }
    }

    /// Encodes what the score needs.
    pub(super) fn scoring(&self, model: &LongClip, encoder: &mut PromptEncoder<'_>) -> Result<Scoring> {
        let scale = model.logit_scale();
        let scoring = match (self.score, self.reject) {
            (Score::Softmax, None) => Scoring::softmax(scale),
            (Score::Softmax, Some(margin)) => Scoring::softmax_or_none(scale, self.neutral(encoder)?, margin),
            (Score::Independent, _) => Scoring::independent(scale, self.neutral(encoder)?),
            (Score::Cosine, _) => Scoring::cosine(scale),
            (Score::RawDot, _) => Scoring::raw_dot(scale),
        };
        Ok(match self.temperature {
            Some(temperature) => scoring.temperature(temperature),
            None => scoring,
        })
    }

    fn neutral(&self, encoder: &mut PromptEncoder<'_>) -> Result<Neutral> {
        let rows = encoder.encode(&self.neutral_prompts())?;
        let neutral = Neutral::new(MeasuredTexts::new(TextEmbeddings(rows)));
        neutral.ok_or_else(|| Error::usage("the list of neutral prompts is empty", "give at least one"))
    }
}
