//! Scores images against the run's labels, or against an image's own.

use super::labelling::OwnLabels;
use super::{Grouping, Labelling, NONE_OF_THESE, ScorePlan, grouped, in_order, labelled};
use crate::error::{Error, Result};
use crate::input::Item;
use crate::labels::{LabelSet, Notice};
use crate::model::LongClip;
use crate::output::{Grouped, Labelled};
use crate::score::{Scores, Scoring, Views};

/// Labels that are encoded, and how images are scored against them.
pub struct Scorer {
    plan: ScorePlan,
    scoring: Scoring,
    grouping: Grouping,
    labels: Option<LabelSet>,
    notices: Vec<Notice>,
}

/// The result for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The likeliest first, "none of these" among them; those below the threshold are left out.
    pub labels: Vec<Labelled>,
    /// The likeliest first, if labels are grouped; those below the threshold are left out.
    pub groups: Vec<Grouped>,
    /// The likeliest label's embedding, `(embed_dim,)`, even if it is below the threshold.
    pub nearest_text: Vec<f32>,
}

/// The result for one image as columns of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// The likeliest answer; none if it is below the threshold.
    pub best: Option<String>,
    /// A probability, or a cosine if there are none, for each label as given, "none of these" last.
    pub scores: Vec<f32>,
}

impl Scorer {
    /// Encodes the run's labels, and what their scores need.
    ///
    /// # Errors
    /// As [`LabelSet::encode`]; [`Error::Usage`] for labels that this score has no meaning for.
    pub fn new(model: &LongClip, labelling: &Labelling, plan: ScorePlan) -> Result<Self> {
        let mut encoder = labelling.encoder(model);
        let labels = labelling.encode(&mut encoder)?;
        if let Some(labels) = &labels {
            plan.check_labels(labels)?;
        }
        let mut notices = labels.as_ref().map_or(Vec::new(), |labels| labels.notices().to_vec());
        notices.extend(labels.as_ref().and_then(|labels| plan.notice(labels)));
        let scoring = plan.scoring(model, &mut encoder)?;
        notices.extend(encoder.take_notices());
        Ok(Scorer {
            plan,
            scoring,
            grouping: labelling.grouping,
            labels,
            notices,
        })
    }

    /// What the user should know of the run's labels.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// What the run's images may be called: its labels, and "none of these" if that is an answer.
    pub fn answers(&self) -> Vec<String> {
        let labels = self.labels.as_ref().map_or(&[][..], LabelSet::labels);
        self.and_none(labels)
    }

    /// The groups that images may be in; none if they aren't grouped.
    pub fn groups(&self) -> Vec<String> {
        match (&self.labels, self.grouping) {
            (Some(labels), Grouping::ByGroup) => self.and_none(labels.groups().names()),
            (None, _) | (_, Grouping::None) => Vec::new(),
        }
    }

    fn and_none(&self, names: &[String]) -> Vec<String> {
        let none = self.plan.reject.map(|_| NONE_OF_THESE.to_owned());
        names.iter().cloned().chain(none).collect()
    }

    /// The run's labels; `None` if each record brings its own.
    pub fn labels(&self) -> Option<&LabelSet> {
        self.labels.as_ref()
    }

    /// The scores of an image for all labels.
    ///
    /// # Panics
    /// If the labels are another model's.
    pub(super) fn scores(&self, labels: &LabelSet, views: &Views) -> Scores {
        self.scoring.scores_of(views, labels.texts(), labels.rows())
    }

    /// Scores an image.
    ///
    /// # Panics
    /// If the labels are another model's.
    pub fn answer(&self, labels: &LabelSet, views: &Views) -> Answer {
        let scores = self.scores(labels, views);
        let mut answers = labelled(&scores, labels, self.grouping);
        let mut groups = match self.grouping {
            Grouping::None => Vec::new(),
            Grouping::ByGroup => grouped(&scores, labels),
        };
        answers.retain(|label| self.reaches_threshold(label));
        groups.retain(|group| self.plan.threshold.is_none_or(|least| group.probability >= least));
        let nearest_row = scores.labels.first().map_or(0, |label| label.row);
        Answer {
            labels: answers,
            groups,
            nearest_text: labels.embeddings().0.row(nearest_row).to_vec(),
        }
    }

    /// Scores an image against each label, none left out.
    ///
    /// # Panics
    /// If the labels are another model's.
    pub fn columns(&self, labels: &LabelSet, views: &Views) -> Columns {
        let scores = self.scores(labels, views);
        let best = labelled(&scores, labels, Grouping::None).into_iter().next();
        let none = scores.none.map(|none| none.probability as f32);
        Columns {
            best: best.filter(|best| self.reaches_threshold(best)).map(|best| best.label),
            scores: in_order(&scores).into_iter().chain(none).collect(),
        }
    }

    fn reaches_threshold(&self, label: &Labelled) -> bool {
        let reaches = |least: f64| label.score().is_some_and(|score| score >= least);
        self.plan.threshold.is_none_or(reaches)
    }
}

/// Scores the images of a run, each against the run's labels or its own.
pub struct Classifier<'a> {
    scorer: &'a Scorer,
    own: OwnLabels<'a>,
}

impl<'a> Classifier<'a> {
    /// `labelling` is what the scorer was made from.
    pub fn new(model: &'a LongClip, labelling: &'a Labelling, scorer: &'a Scorer) -> Self {
        Classifier {
            scorer,
            own: OwnLabels::new(model, labelling, scorer.notices()),
        }
    }

    /// Scores an image.
    ///
    /// # Errors
    /// [`Error::Picture`] if there are no labels for it; those of encoding its own.
    pub fn answer(&mut self, item: &Item, views: &Views) -> Result<Answer> {
        let (scorer, labels) = (self.scorer, self.labels_of(item)?);
        Ok(scorer.answer(labels, views))
    }

    /// Scores an image against each of its labels, in their order.
    ///
    /// # Errors
    /// As [`Classifier::answer`].
    pub fn columns(&mut self, item: &Item, views: &Views) -> Result<Columns> {
        let (scorer, labels) = (self.scorer, self.labels_of(item)?);
        let mut columns = scorer.columns(labels, views);
        if let Some(own) = &item.labels {
            let (scores, none) = columns.scores.split_at(labels.labels().len());
            // A label that a row names twice is scored once, and has both places.
            let as_named = own
                .iter()
                .map(|name| labels.place(name.trim()).map_or(f32::NAN, |i| scores[i]));
            columns.scores = as_named.chain(none.iter().copied()).collect();
        }
        Ok(columns)
    }

    /// What the user should know of labels that records brought since this was last called.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.own.take_notices()
    }

    /// An image's labels: its own, else the run's.
    fn labels_of(&mut self, item: &Item) -> Result<&LabelSet> {
        let Some(names) = &item.labels else {
            return self.scorer.labels().ok_or_else(|| no_labels(item));
        };
        let own = self.own.set(names, &self.scorer.plan)?;
        self.scorer.plan.check_labels(own)?;
        Ok(own)
    }
}

fn no_labels(item: &Item) -> Error {
    Error::Picture {
        name: item.name.to_string(),
        problem: "its record has no `labels`, and none were given for all".into(),
        hint: Some("give it `labels` of its own, or give labels for all".into()),
    }
}
