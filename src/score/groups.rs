//! Groups of labels: what their probabilities sum to.

use super::LabelScore;

/// One group's number for one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupScore {
    /// Which group.
    pub group_idx: usize,
    /// The sum of its labels' probabilities.
    pub probability: f64,
}

/// Sums labels' probabilities by group; the likeliest first, equal ones in the groups' order. `groups[i]` is the group of
/// label i, below `n_groups`. Meaningful where labels exclude each other.
///
/// # Panics
/// If a label has no group, or a group is not below `n_groups`.
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
