//! How labels are scored: a rule, the model's logit scale and the user's temperature.

use std::ops::Range;

use serde::Serialize;

use super::views::{Candidates, Views, pooled, rank};
use super::{LabelScore, Neutral, NoneScore, Scores, dot, sigmoid, softmax};
use crate::model::{LogitScale, MeasuredTexts, norm};
use crate::named::named;

/// The scoring rules by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Score {
    /// Softmax over the labels of `exp(logit_scale) * cosine`: exactly one label is right.
    #[default]
    Softmax,
    /// The cosine, without a probability.
    Cosine,
    /// Softmax over the labels of the dot product of unnormalised embeddings, without logit scale: upstream's demo.
    RawDot,
    /// Each label is compared with neutral prompts: several may be right, or none.
    Independent,
}

named!(Score, "score":
    Softmax = "softmax",
    Independent = "independent",
    Cosine = "cosine",
    RawDot = "raw-dot",
);

/// The number that logits are divided by. Above 1 probabilities are flatter, below 1 sharper. The order of labels does
/// not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Temperature(f64);

impl Temperature {
    /// 1, which leaves the model's logits unchanged.
    pub const ONE: Temperature = Temperature(1.0);

    /// A temperature; `None` if it isn't finite and greater than 0.
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value > 0.0).then_some(Temperature(value))
    }

    /// The number, greater than 0.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// How images are scored against labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoring {
    rule: Rule,
    /// `exp(logit_scale)`.
    multiplier: f64,
    temperature: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Softmax,
    /// With "none of these" as one more candidate, whose logit is the level of the neutral prompts plus this margin.
    SoftmaxOrNone(Neutral, f64),
    Cosine,
    RawDot,
    Independent(Neutral),
}

/// The row of a label that determines its score.
struct Nearest {
    row: usize,
    cosine: f64,
    raw_dot: f64,
}

impl Scoring {
    /// Softmax over the labels: exactly one is right.
    pub fn softmax(scale: LogitScale) -> Self {
        Scoring::new(Rule::Softmax, scale)
    }

    /// Softmax over the labels and "none of these", whose logit is the level of the neutral prompts plus `margin`.
    pub fn softmax_or_none(scale: LogitScale, neutral: Neutral, margin: f64) -> Self {
        Scoring::new(Rule::SoftmaxOrNone(neutral, margin), scale)
    }

    /// Cosines without probabilities.
    pub fn cosine(scale: LogitScale) -> Self {
        Scoring::new(Rule::Cosine, scale)
    }

    /// The scores of upstream's demo (`demo.py`).
    pub fn raw_dot(scale: LogitScale) -> Self {
        Scoring::new(Rule::RawDot, scale)
    }

    /// Each label on its own, compared with neutral prompts.
    pub fn independent(scale: LogitScale, neutral: Neutral) -> Self {
        Scoring::new(Rule::Independent(neutral), scale)
    }

    fn new(rule: Rule, scale: LogitScale) -> Self {
        Scoring {
            rule,
            multiplier: scale.multiplier(),
            temperature: Temperature::ONE.0,
        }
    }

    /// Sets the temperature.
    #[must_use]
    pub fn temperature(mut self, temperature: Temperature) -> Self {
        self.temperature = temperature.0;
        self
    }

    /// Scores an image, `(embed_dim,)`, against labels. `labels[i]` are the rows of label i, of which the nearest
    /// counts. Neither the image nor the rows need be normalised.
    ///
    /// # Panics
    /// If embeddings have different lengths, or a label has no row.
    pub fn scores(&self, image: &[f32], texts: &MeasuredTexts, labels: &[Range<usize>]) -> Scores {
        self.ranked(self.candidates(image, texts, labels))
    }

    /// As [`Scoring::scores`], of an image that was perhaps cut into tiles: the logits, or cosines, of its tiles are pooled
    /// for each label and for "none of these", and probabilities are computed from the results.
    ///
    /// # Panics
    /// As [`Scoring::scores`]; if there is no tile.
    pub fn scores_of(&self, views: &Views, texts: &MeasuredTexts, labels: &[Range<usize>]) -> Scores {
        match views {
            Views::One(image) => self.scores(image, texts, labels),
            Views::Tiles(tiles, pooling) => {
                let of_tiles = tiles.0.rows().map(|tile| self.candidates(tile, texts, labels));
                self.ranked(pooled(&of_tiles.collect::<Vec<_>>(), *pooling))
            }
        }
    }

    fn candidates(&self, image: &[f32], texts: &MeasuredTexts, labels: &[Range<usize>]) -> Candidates {
        let image_norm = norm(image);
        // The logit of the neutral prompts, before dividing by the temperature.
        let level = match &self.rule {
            Rule::SoftmaxOrNone(neutral, _) | Rule::Independent(neutral) => neutral.level(image, self.multiplier),
            Rule::Softmax | Rule::Cosine | Rule::RawDot => 0.0,
        };
        let scored = labels.iter().enumerate().map(|(label_idx, rows)| {
            let nearest = self.nearest(image, image_norm, texts, rows.clone());
            LabelScore {
                label_idx,
                row: nearest.row,
                probability: None,
                logit: self.logit(&nearest, level),
                cosine: nearest.cosine,
            }
        });
        let labels = scored.collect();
        let none = match &self.rule {
            Rule::SoftmaxOrNone(_, margin) => Some((level + margin) / self.temperature),
            Rule::Softmax | Rule::Cosine | Rule::RawDot | Rule::Independent(_) => None,
        };
        Candidates { labels, none }
    }

    fn ranked(&self, Candidates { mut labels, none }: Candidates) -> Scores {
        labels.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        let none = self.fill_in_probabilities(&mut labels, none);
        Scores { labels, none }
    }

    fn nearest(&self, image: &[f32], image_norm: f64, texts: &MeasuredTexts, rows: Range<usize>) -> Nearest {
        let compared = rows.map(|row| {
            let raw_dot = dot(image, texts.rows().0.row(row));
            let norms = image_norm * texts.norm(row);
            let cosine = if norms > 0.0 { raw_dot / norms } else { 0.0 };
            Nearest { row, cosine, raw_dot }
        });
        let counts = |nearest: &Nearest| match self.rule {
            Rule::RawDot => nearest.raw_dot,
            Rule::Softmax | Rule::SoftmaxOrNone(..) | Rule::Cosine | Rule::Independent(_) => nearest.cosine,
        };
        let best = compared.reduce(|best, other| if counts(&other) > counts(&best) { other } else { best });
        best.expect("a label has a row")
    }

    fn logit(&self, nearest: &Nearest, level: f64) -> Option<f64> {
        let logit = match self.rule {
            Rule::Softmax | Rule::SoftmaxOrNone(..) => self.multiplier * nearest.cosine,
            Rule::Independent(_) => self.multiplier * nearest.cosine - level,
            Rule::RawDot => nearest.raw_dot,
            Rule::Cosine => return None,
        };
        Some(logit / self.temperature)
    }

    /// Labels must be sorted by logit, so that sums do not depend on the order in which they were given.
    fn fill_in_probabilities(&self, labels: &mut [LabelScore], none: Option<f64>) -> Option<NoneScore> {
        let logits: Vec<f64> = labels.iter().filter_map(|label| label.logit).chain(none).collect();
        let mut probabilities = match self.rule {
            Rule::Independent(_) => logits.iter().map(|logit| sigmoid(*logit)).collect(),
            Rule::Softmax | Rule::SoftmaxOrNone(..) | Rule::Cosine | Rule::RawDot => softmax(&logits),
        }
        .into_iter();
        for label in labels.iter_mut().filter(|label| label.logit.is_some()) {
            label.probability = probabilities.next();
        }
        let logit = none?;
        probabilities.next().map(|probability| NoneScore { probability, logit })
    }
}
