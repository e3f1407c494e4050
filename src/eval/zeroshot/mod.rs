//! Zero-shot classification: how often a picture's own class is the likeliest of all, and how sure the model is of it.
//!
//! [`judge`] scores embeddings against a [`LabelSet`] as `classify` does; [`Measures::of`] makes of that what is reported,
//! as CLIP_benchmark defines it (`metrics/zeroshot_classification.py`): `acc1`, `acc5` where there are at least five
//! classes, and `mean_per_class_recall`, scikit-learn's `balanced_accuracy_score`, over the classes that have pictures.
//! Of equal scores the earlier class counts as likelier.

mod candidates;
mod data;
mod differences;
mod measures;

use rayon::prelude::*;

pub use self::data::{ClassifiedImages, Resolved};
pub use self::differences::{MetricDifference, differences};
pub use self::measures::{Bin, Confusion, Measures, N_BINS, N_RESAMPLES, Recall};
use crate::labels::LabelSet;
use crate::score::Scoring;

/// Classes of a picture that are kept: as many as top-5 asks for.
pub const KEPT: usize = 5;

/// What the model said of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The class that it shows.
    pub truth: usize,
    /// The likeliest classes, at most [`KEPT`], with their probabilities; at least one.
    pub likeliest: Vec<(usize, f64)>,
}

impl Answer {
    /// The likeliest class.
    pub fn predicted(&self) -> usize {
        self.likeliest[0].0
    }

    /// The likeliest class's probability.
    pub fn confidence(&self) -> f64 {
        self.likeliest[0].1
    }

    /// Whether the true class is among the likeliest `k`.
    pub fn is_within(&self, k: usize) -> bool {
        self.likeliest.iter().take(k).any(|(class, _)| *class == self.truth)
    }
}

/// Scores pictures, each with its class and its embedding, against all classes.
pub fn judge(pictures: &[(usize, &[f32])], labels: &LabelSet, scoring: &Scoring) -> Vec<Answer> {
    let one = |(truth, embedding): &(usize, &[f32])| {
        let scores = scoring.scores(embedding, labels.texts(), labels.rows());
        let likeliest = scores.labels.iter().take(KEPT);
        Answer {
            truth: *truth,
            likeliest: likeliest
                .map(|score| (score.label_idx, score.probability.unwrap_or(0.0)))
                .collect(),
        }
    };
    pictures.par_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
