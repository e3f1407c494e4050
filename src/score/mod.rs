//! Scores: pure functions from embeddings to the numbers in the results.
//!
//! [`Scoring`] is the method, and [`Scoring::scores`] scores an image against labels. `docs/scores.md` has the formulas
//! and says what each is good for. The default is `probability = softmax(exp(logit_scale) * cosine)` over the given
//! labels (CLIP, section 2.3). Embeddings are `(n, embed_dim)`, not normalised; sums and exponentials are computed in
//! f64.

mod background;
mod explain;
mod groups;
mod neutral;
mod scoring;
mod views;

pub(crate) use self::background::quantile;
pub use self::background::{Background, FalsePositives};
pub use self::explain::patch_relevance;
pub use self::groups::{GroupScore, group_scores};
pub use self::neutral::{CALIBRATED_MARGIN, Neutral};
pub use self::scoring::{Score, Scoring, Temperature};
pub use self::views::{OneView, Pooling, Views};

/// The scores of one label for one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelScore {
    /// The index of the label.
    pub label_idx: usize,
    /// The row of the text embeddings that was used: the label's only one, or the nearest of its prompts.
    pub row: usize,
    /// The probability; `None` when scoring by cosine.
    pub probability: Option<f64>,
    /// The logit that the probability is computed from.
    pub logit: Option<f64>,
    /// The cosine of the two embeddings, -1 to 1.
    pub cosine: f64,
}

/// The score of "no label fits", as a candidate next to the labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoneScore {
    /// The probability.
    pub probability: f64,
    /// The logit that the probability is computed from.
    pub logit: f64,
}

/// The scores of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// All labels, most likely first; ties keep the order of labels.
    pub labels: Vec<LabelScore>,
    /// "No label fits", if that was a candidate.
    pub none: Option<NoneScore>,
}

impl Scores {
    /// The number of labels that are at least as likely as "no label fits"; all of them if that was not a candidate.
    pub fn n_likelier_than_none(&self) -> usize {
        let Some(none) = self.none else {
            return self.labels.len();
        };
        self.labels
            .partition_point(|label| label.logit.is_some_and(|logit| logit >= none.logit))
    }
}

/// `exp(x_i) / Σ exp(x_j)`, shifted by the largest value so that nothing overflows. Empty for no values.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}

/// `1 / (1 + exp(-x))`.
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "embeddings must have the same length");
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

#[cfg(test)]
mod tests;
