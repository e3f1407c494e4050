//! Classifies one image in one call, and turns scores into the answers of a record.

use crate::error::Result;
use crate::labels::LabelSet;
use crate::model::LongClip;
use crate::output::{Grouped, Labelled};
use crate::preprocess::Pixels;
use crate::score::{Scores, Scoring, group_scores};

/// The label of "no label fits" in results.
pub const NONE_OF_THESE: &str = "none of these";

/// Whether probabilities are summed by group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grouping {
    /// They are not.
    #[default]
    None,
    /// They are, and each label names its group.
    ByGroup,
}

/// Scores one image against labels, most likely first.
///
/// # Errors
/// As [`LongClip::encode_images`].
pub fn classify(model: &LongClip, image: &Pixels, labels: &LabelSet, scoring: &Scoring) -> Result<Scores> {
    let embedding = model.encode_image(image)?.0;
    Ok(scoring.scores(embedding.row(0), labels.texts(), labels.rows()))
}

/// Scores with the names of labels, most likely first. Includes [`NONE_OF_THESE`] if that was a candidate.
///
/// # Panics
/// If the scores belong to other labels.
pub fn labelled(scores: &Scores, labels: &LabelSet, grouping: Grouping) -> Vec<Labelled> {
    let group = |label_idx: usize| match grouping {
        Grouping::None => None,
        Grouping::ByGroup => Some(labels.groups().of(label_idx).to_owned()),
    };
    let named = scores.labels.iter().map(|score| Labelled {
        label: labels.labels()[score.label_idx].clone(),
        probability: score.probability,
        logit: score.logit,
        cosine: Some(score.cosine),
        group: group(score.label_idx),
        parents: Vec::new(),
    });
    let mut answers: Vec<Labelled> = named.collect();
    if let Some(none) = scores.none {
        let none_of_these = Labelled {
            label: NONE_OF_THESE.to_owned(),
            probability: Some(none.probability),
            logit: Some(none.logit),
            cosine: None,
            group: (grouping == Grouping::ByGroup).then(|| NONE_OF_THESE.to_owned()),
            parents: Vec::new(),
        };
        answers.insert(scores.n_likelier_than_none(), none_of_these);
    }
    answers
}

/// One score per label, in the order of labels: its probability, or its cosine if it has none.
pub fn in_order(scores: &Scores) -> Vec<f32> {
    let mut in_order = vec![f32::NAN; scores.labels.len()];
    for label in &scores.labels {
        in_order[label.label_idx] = label.probability.unwrap_or(label.cosine) as f32;
    }
    in_order
}

/// The sums of the labels' probabilities by group, most likely first. Includes [`NONE_OF_THESE`] if that was a
/// candidate.
///
/// # Panics
/// If the scores belong to other labels.
pub fn grouped(scores: &Scores, labels: &LabelSet) -> Vec<Grouped> {
    let groups = labels.groups();
    let sums = group_scores(&scores.labels, groups.of_label(), groups.names().len());
    let mut named: Vec<Grouped> = sums
        .into_iter()
        .map(|score| Grouped {
            group: groups.names()[score.group_idx].clone(),
            probability: score.probability,
        })
        .collect();
    if let Some(none) = scores.none {
        let at = named.partition_point(|group| group.probability >= none.probability);
        let none_of_these = Grouped {
            group: NONE_OF_THESE.to_owned(),
            probability: none.probability,
        };
        named.insert(at, none_of_these);
    }
    named
}
