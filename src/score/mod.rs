//! Scores: pure functions from embeddings to what a person reads.
//!
//! [`Scoring`] says how, [`Scoring::scores`] scores a picture against labels; `docs/scores.md` has the formulas, with what
//! each is good for. `probability = softmax(exp(logit_scale) * cosine)` over the labels given (CLIP, section 2.3) unless
//! something else is asked for. Embeddings are `(n, embed_dim)`, not normalised; sums and exponentials are f64.

mod explain;
mod groups;
mod neutral;
mod scoring;

pub use self::explain::patch_relevance;
pub use self::groups::{GroupScore, group_scores};
pub use self::neutral::{CALIBRATED_MARGIN, Neutral};
pub use self::scoring::{Score, Scoring, Temperature};

/// One label's numbers for one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelScore {
    /// Which label, by its place in the set.
    pub label_idx: usize,
    /// Which row of the texts counted for it: its only one, or the nearest of its prompts.
    pub row: usize,
    /// How likely it is; cosines have none.
    pub probability: Option<f64>,
    /// What the probability was made of.
    pub logit: Option<f64>,
    /// Cosine of the two embeddings, -1 to 1.
    pub cosine: f64,
}

/// That no label fits, as a candidate among them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoneScore {
    /// How likely it is.
    pub probability: f64,
    /// What the probability was made of.
    pub logit: f64,
}

/// One picture's scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// All labels, the likeliest first, equal ones in the labels' order.
    pub labels: Vec<LabelScore>,
    /// That none of them fits, where that was a candidate.
    pub none: Option<NoneScore>,
}

impl Scores {
    /// Labels that are likelier than that none fits: all, where that is no candidate.
    pub fn n_likelier_than_none(&self) -> usize {
        let Some(none) = self.none else {
            return self.labels.len();
        };
        self.labels
            .partition_point(|label| label.logit.is_some_and(|logit| logit >= none.logit))
    }
}

/// `exp(x_i) / Σ exp(x_j)`, shifted by the largest so that nothing overflows; empty for no values.
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
    assert_eq!(a.len(), b.len(), "embeddings of one length");
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

#[cfg(test)]
mod tests;
