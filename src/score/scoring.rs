//! How labels are scored: a rule, the model's temperature and the person's.

use std::ops::Range;

use super::{LabelScore, Neutral, NoneScore, Scores, dot, sigmoid, softmax};
use crate::model::{LogitScale, MeasuredTexts, norm};

/// How a label's score is made, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Score {
    /// `exp(logit_scale) * cosine`, softmax over the labels: one of them is right.
    #[default]
    Softmax,
    /// The cosine alone, with no probability.
    Cosine,
    /// The dot product of unnormalised features with no temperature, softmax over the labels: upstream's demo.
    RawDot,
    /// Each label against neutral prompts: several may be right, or none.
    Independent,
}

/// What logits are divided by: above 1 probabilities are flatter, below 1 sharper. No order depends on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature(f64);

impl Temperature {
    /// The model's own.
    pub const ONE: Temperature = Temperature(1.0);

    /// A temperature; `None` where it isn't finite and above 0.
    pub fn new(value: f64) -> Option<Self> {
        (value.is_finite() && value > 0.0).then_some(Temperature(value))
    }

    /// The number, above 0.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// How pictures are scored against labels.
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
    /// With "none of these" as one more candidate, so much more likely than the neutral prompts make it.
    SoftmaxOrNone(Neutral, f64),
    Cosine,
    RawDot,
    Independent(Neutral),
}

/// The row of a label that counts.
struct Nearest {
    row: usize,
    cosine: f64,
    raw_dot: f64,
}

impl Scoring {
    /// One of the labels is right: softmax over them.
    pub fn softmax(scale: LogitScale) -> Self {
        Scoring::new(Rule::Softmax, scale)
    }

    /// One of the labels is right, or none: "none of these" has the logit of the neutral prompts and `margin` above.
    pub fn softmax_or_none(scale: LogitScale, neutral: Neutral, margin: f64) -> Self {
        Scoring::new(Rule::SoftmaxOrNone(neutral, margin), scale)
    }

    /// Cosines, without probabilities.
    pub fn cosine(scale: LogitScale) -> Self {
        Scoring::new(Rule::Cosine, scale)
    }

    /// Upstream's demo (`demo.py`).
    pub fn raw_dot(scale: LogitScale) -> Self {
        Scoring::new(Rule::RawDot, scale)
    }

    /// Each label alone, against neutral prompts.
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

    /// With another temperature.
    #[must_use]
    pub fn temperature(mut self, temperature: Temperature) -> Self {
        self.temperature = temperature.0;
        self
    }

    /// Scores a picture, `(embed_dim,)`, against labels: `labels[i]` are the rows of label i, of which the nearest counts.
    /// Neither is normalised.
    ///
    /// # Panics
    /// If embeddings are of different lengths, or a label has no row.
    pub fn scores(&self, image: &[f32], texts: &MeasuredTexts, labels: &[Range<usize>]) -> Scores {
        let image_norm = norm(image);
        // Neutral prompts' own logit, before the person's temperature.
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
        let mut labels: Vec<LabelScore> = scored.collect();
        labels.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
        let none = match &self.rule {
            Rule::SoftmaxOrNone(_, margin) => Some((level + margin) / self.temperature),
            Rule::Softmax | Rule::Cosine | Rule::RawDot | Rule::Independent(_) => None,
        };
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
            _ => nearest.cosine,
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

    /// Labels come in the order of their logits, so that sums are the same in whatever order they were given.
    fn fill_in_probabilities(&self, labels: &mut [LabelScore], none: Option<f64>) -> Option<NoneScore> {
        let logits: Vec<f64> = labels.iter().filter_map(|label| label.logit).chain(none).collect();
        let mut probabilities = match self.rule {
            Rule::Independent(_) => logits.iter().map(|logit| sigmoid(*logit)).collect(),
            _ => softmax(&logits),
        }
        .into_iter();
        for label in labels.iter_mut().filter(|label| label.logit.is_some()) {
            label.probability = probabilities.next();
        }
        let logit = none?;
        probabilities.next().map(|probability| NoneScore { probability, logit })
    }
}

/// What labels are sorted by.
fn rank(label: &LabelScore) -> f64 {
    label.logit.unwrap_or(label.cosine)
}
