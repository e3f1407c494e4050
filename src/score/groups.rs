//! Sums the probabilities of labels by group.

use super::LabelScore;

/// The score of one group for one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupScore {
    /// The index of the group.
    pub group_idx: usize,
    /// The sum of its labels' probabilities.
    pub probability: f64,
}

/// Sums the probabilities of labels by group. The most likely group comes first; ties keep the order of groups.
/// `groups[i]` is the group of label i, less than `n_groups`. Meaningful only for labels that exclude each other.
///
/// # Panics
/// If a label has no group, or a group is not less than `n_groups`.
pub fn group_scores(labels: &[LabelScore], groups: &[usize], n_groups: usize) -> Vec<GroupScore> {
    let mut scores: Vec<GroupScore> = (0..n_groups)
        .map(|group_idx| GroupScore {
            group_idx,
            probability: 0.0,
        })
        .collect();
    for label in labels {
        scores[groups[label.label_idx]].probability += label.probability.unwrap_or(0.0);
    }
    scores.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    scores
}
