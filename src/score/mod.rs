//! Scores: pure functions from embeddings to what a person reads.
//!
//! `probability = softmax(exp(logit_scale) * cosine)` over the labels given (CLIP, section 2.3); sums and exponentials
//! in f64. [`Score::RawDot`] is what upstream's demo computes instead: the dot product of features that are not
//! normalised, without the temperature (upstream `demo.py`).

use crate::model::LogitScale;

/// How a label's score is made from two embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Score {
    /// `exp(logit_scale) * cosine`, softmax over the labels.
    #[default]
    Softmax,
    /// The dot product of unnormalised features with no temperature, softmax over the labels: upstream's demo.
    RawDot,
}

/// One label's numbers for one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelScore {
    /// Which label, by its place in the set.
    pub label_idx: usize,
    /// Softmax of the logits over all labels.
    pub probability: f64,
    /// What the softmax was taken of.
    pub logit: f64,
    /// Cosine of the two embeddings, -1 to 1.
    pub cosine: f64,
}

/// Scores one picture against labels; sorted by probability, equal ones in the labels' order.
///
/// `image` is `(embed_dim,)` and each of `labels` too, none of them normalised.
///
/// # Panics
/// If an embedding is of another length.
pub fn score_labels<'a>(
    image: &[f32],
    labels: impl Iterator<Item = &'a [f32]>,
    scale: LogitScale,
    score: Score,
) -> Vec<LabelScore> {
    let image_norm = norm(image);
    let mut scores: Vec<LabelScore> = labels
        .enumerate()
        .map(|(label_idx, text)| {
            let raw_dot = dot(image, text);
            let norms = image_norm * norm(text);
            let cosine = if norms > 0.0 { raw_dot / norms } else { 0.0 };
            let logit = match score {
                Score::Softmax => scale.multiplier() * cosine,
                Score::RawDot => raw_dot,
            };
            LabelScore {
                label_idx,
                probability: 0.0,
                logit,
                cosine,
            }
        })
        .collect();
    let logits: Vec<f64> = scores.iter().map(|s| s.logit).collect();
    for (score, probability) in scores.iter_mut().zip(softmax(&logits)) {
        score.probability = probability;
    }
    scores.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    scores
}

/// `exp(x_i) / Σ exp(x_j)`, shifted by the largest so that nothing overflows; empty for no values.
pub fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len(), "embeddings of one length");
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

fn norm(a: &[f32]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_survives_large_logits_and_sums_to_one() {
        let p = softmax(&[1000.0, 1001.0]);
        assert!((p[0] + p[1] - 1.0).abs() < 1e-15);
        assert!((p[1] - 0.731_058_578_630_005).abs() < 1e-12);
    }

    #[test]
    fn scores_are_sorted_and_ties_keep_the_labels_order() {
        let labels: [&[f32]; 3] = [&[1.0, 0.0], &[0.0, 2.0], &[3.0, 0.0]];
        let scores = score_labels(
            &[0.0, 1.0],
            labels.into_iter(),
            LogitScale::from_ln(0.0),
            Score::Softmax,
        );
        let order: Vec<usize> = scores.iter().map(|s| s.label_idx).collect();
        assert_eq!(order, [1, 0, 2]);
        assert_eq!(scores[0].cosine, 1.0);
    }

    #[test]
    fn raw_dot_keeps_lengths_and_knows_no_temperature() {
        let labels: [&[f32]; 1] = [&[2.0, 0.0]];
        let scores = score_labels(&[3.0, 0.0], labels.into_iter(), LogitScale::from_ln(4.6), Score::RawDot);
        assert_eq!(scores[0].logit, 6.0);
    }
}
