//! Zero-shot classification: how often an image's own class is the most probable one, and how confident the model is.
//!
//! [`judge`] scores embeddings against a [`LabelSet`] as `classify` does. [`Measures::of`] computes the measures, as
//! CLIP_benchmark defines them (`metrics/zeroshot_classification.py`): `acc1`; `acc5`, if there are at least five classes;
//! and `mean_per_class_recall`, which is scikit-learn's `balanced_accuracy_score`, over the classes that have images. Of
//! equal scores, the earlier class comes first.

mod candidates;
mod data;
mod measures;
mod metrics;
mod page;
mod predictions;
mod results;
mod temperature;

use rayon::prelude::*;

pub use self::data::{ClassifiedImages, ReadByAll, Resolved};
pub use self::measures::{Bin, ClassRecall, Confusion, Measures, N_BINS, N_RESAMPLES};
pub use self::metrics::metrics;
pub use self::predictions::{PredictionFormat, Predictions, wrote_predictions};
pub use self::results::{About, Encoded, Results};
pub use self::temperature::FittedTemperature;
use crate::labels::LabelSet;
use crate::score::Scoring;

/// The number of best classes that are kept per image, as many as top-5 needs.
pub const KEPT: usize = 5;

/// The model's answer for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The true class.
    pub truth: usize,
    /// The probability of the true class.
    pub truth_probability: f64,
    /// The most probable classes with their probabilities, best first; 1 to [`KEPT`].
    pub likeliest: Vec<(usize, f64)>,
}

impl Answer {
    /// The most probable class.
    pub fn predicted(&self) -> usize {
        self.likeliest[0].0
    }

    /// The probability of the most probable class.
    pub fn confidence(&self) -> f64 {
        self.likeliest[0].1
    }

    /// Whether the true class is among the `k` most probable ones.
    pub fn is_within(&self, k: usize) -> bool {
        self.likeliest.iter().take(k).any(|(class, _)| *class == self.truth)
    }
}

/// Scores images, given as true class and embedding, against all classes.
pub fn judge(pictures: &[(usize, &[f32])], labels: &LabelSet, scoring: &Scoring) -> Vec<Answer> {
    let one = |(truth, embedding): &(usize, &[f32])| {
        let scores = scoring.scores(embedding, labels.texts(), labels.rows());
        let likeliest = scores.labels.iter().take(KEPT);
        let own = scores.labels.iter().find(|score| score.label_idx == *truth);
        Answer {
            truth: *truth,
            truth_probability: own.and_then(|score| score.probability).unwrap_or(0.0),
            likeliest: likeliest
                .map(|score| (score.label_idx, score.probability.unwrap_or(0.0)))
                .collect(),
        }
    };
    pictures.par_iter().map(one).collect()
}

/// The images whose labels fit least, by the probability of their true class, the lowest first: in data that was labelled by
/// hand or by a search, many of them have a wrong label.
pub fn least_fitting(answers: &[Answer], n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..answers.len()).collect();
    order.sort_by(|a, b| answers[*a].truth_probability.total_cmp(&answers[*b].truth_probability));
    order.truncate(n);
    order
}

#[cfg(test)]
mod tests;
