//! Scores pictures against the run's labels, or against a picture's own: what `classify` and `sort` have in common.

use longclip::input::Item;
use longclip::labels::LabelSet;
use longclip::model::LongClip;
use longclip::output::{Grouped, Labelled};
use longclip::score::Scoring;
use longclip::{Error, NONE_OF_THESE, Result, grouped, labelled};

use super::labelling::{Grouping, Labelling, OwnLabels};
use super::report::Report;
use super::score_flags::ScorePlan;

/// Scores pictures.
pub(super) struct Scorer<'a> {
    scoring: Scoring,
    plan: &'a ScorePlan,
    grouping: Grouping,
    labels: Option<LabelSet>,
    own: OwnLabels<'a>,
}

/// What came of a picture.
pub(super) struct Answer {
    /// The likeliest first, "none of these" among them; those below the threshold are left out.
    pub(super) labels: Vec<Labelled>,
    /// The likeliest first, where labels are grouped; those below the threshold are left out.
    pub(super) groups: Vec<Grouped>,
    /// The likeliest label's embedding, `(embed_dim,)`, also where it is below the threshold.
    pub(super) nearest_text: Vec<f32>,
}

/// What came of a picture, as numbers.
#[cfg(feature = "arrow")]
pub(super) struct AllScores {
    /// The likeliest answer; none where it is below the threshold.
    pub(super) best: Option<String>,
    /// A probability, or where there are none a cosine, for each label as they were given, "none of these" last.
    pub(super) in_order: Vec<f32>,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(
        model: &'a LongClip,
        labelling: &'a Labelling,
        plan: &'a ScorePlan,
        report: Report,
    ) -> Result<Self> {
        let mut encoder = labelling.encoder(model);
        let labels = labelling.run_labels(&mut encoder, report)?;
        if let Some(labels) = &labels {
            plan.check_labels(labels)?;
        }
        Ok(Scorer {
            scoring: plan.scoring(model, &mut encoder, report)?,
            plan,
            grouping: labelling.grouping,
            own: OwnLabels::new(model, labelling, report),
            labels,
        })
    }

    /// The run's labels.
    pub(super) fn labels(&self) -> &[String] {
        self.labels.as_ref().map_or(&[], LabelSet::labels)
    }

    /// What the run's pictures may be called: its labels, and "none of these" where that is an answer.
    pub(super) fn answers(&self) -> Vec<String> {
        let none = self.plan.margin.map(|_| NONE_OF_THESE.to_owned());
        self.labels().iter().cloned().chain(none).collect()
    }

    /// The groups that pictures may be in; none where they aren't grouped.
    pub(super) fn groups(&self) -> Vec<String> {
        let labels = self.labels.as_ref().filter(|_| self.grouping == Grouping::ByGroup);
        let none = labels.and(self.plan.margin).map(|_| NONE_OF_THESE.to_owned());
        let names = labels.map_or(&[][..], |labels| labels.groups().names());
        names.iter().cloned().chain(none).collect()
    }

    /// Scores a picture.
    pub(super) fn score(&mut self, item: &Item, embedding: &[f32]) -> Result<Answer> {
        let labels = labels_of(item, self.labels.as_ref(), &mut self.own, self.plan)?;
        let scores = self.scoring.scores(embedding, labels.texts(), labels.rows());
        let mut answers = labelled(&scores, labels, self.grouping);
        let mut groups = match self.grouping {
            Grouping::None => Vec::new(),
            Grouping::ByGroup => grouped(&scores, labels),
        };
        if let Some(least) = self.plan.threshold {
            answers.retain(|label| label.score().is_some_and(|score| score >= least));
            groups.retain(|group| group.probability >= least);
        }
        let nearest_row = scores.labels.first().map_or(0, |label| label.row);
        Ok(Answer {
            labels: answers,
            groups,
            nearest_text: labels.embeddings().0.row(nearest_row).to_vec(),
        })
    }

    /// Scores a picture, without a label left out.
    #[cfg(feature = "arrow")]
    pub(super) fn score_all(&mut self, item: &Item, embedding: &[f32]) -> Result<AllScores> {
        let labels = labels_of(item, self.labels.as_ref(), &mut self.own, self.plan)?;
        let scores = self.scoring.scores(embedding, labels.texts(), labels.rows());
        let mut in_order = longclip::in_order(&scores);
        if let Some(own) = &item.labels {
            // A label that a row names twice is scored once, and stands in both places.
            let place = |name: &String| labels.labels().iter().position(|label| label == name.trim());
            in_order = own
                .iter()
                .map(|name| place(name).map_or(f32::NAN, |i| in_order[i]))
                .collect();
        }
        in_order.extend(scores.none.map(|none| none.probability as f32));
        let best = labelled(&scores, labels, Grouping::None).into_iter().next();
        let least = self.plan.threshold.unwrap_or(f64::NEG_INFINITY);
        Ok(AllScores {
            best: best
                .filter(|best| best.score().is_some_and(|score| score >= least))
                .map(|best| best.label),
            in_order,
        })
    }
}

/// A picture's labels: its own, else the run's.
fn labels_of<'s>(
    item: &Item,
    labels: Option<&'s LabelSet>,
    own: &'s mut OwnLabels<'_>,
    plan: &ScorePlan,
) -> Result<&'s LabelSet> {
    let Some(names) = &item.labels else {
        return labels.ok_or_else(|| no_labels(item));
    };
    let own = own.set(names)?;
    plan.check_labels(own)?;
    Ok(own)
}

fn no_labels(item: &Item) -> Error {
    Error::Picture {
        name: item.name.to_string(),
        problem: "its record has no `labels`, and none were given for all".into(),
        hint: Some("give it `labels` of its own, or give `--labels` for all".into()),
    }
}
