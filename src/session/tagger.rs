//! Chooses the tags of an image: labels that are scored independently, each with a threshold of its own.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;

use super::{Ended, Grouping, Kept, Run, Scorer, Seen, Sink, Verdict, labelled};
use crate::error::Result;
use crate::input::{Inputs, Item};
use crate::labels::{LabelSet, Vocabulary};
use crate::output::Labelled;
use crate::score::{Background, FalsePositives, Views};

/// What decides whether an image gets a tag.
#[derive(Debug, Clone, PartialEq)]
pub struct TagThresholds {
    /// A tag has at least this logit.
    least: f64,
    /// And more than this one, for each label, if thresholds are calibrated.
    of_label: Option<Vec<f64>>,
}

impl TagThresholds {
    /// The same probability for all tags, above 0 and below 1.
    pub fn of_probability(probability: f64) -> Self {
        TagThresholds {
            least: (probability / (1.0 - probability)).ln(),
            of_label: None,
        }
    }

    /// Adds a threshold for each label.
    #[must_use]
    pub fn calibrated(self, of_label: Vec<f64>) -> Self {
        TagThresholds {
            of_label: Some(of_label),
            ..self
        }
    }

    fn are_reached(&self, label_idx: usize, logit: f64) -> bool {
        let is_above = |of_label: &Vec<f64>| logit > of_label[label_idx];
        logit >= self.least && self.of_label.as_ref().is_none_or(is_above)
    }
}

/// Chooses the tags of images.
pub struct Tagger<'a> {
    scorer: &'a Scorer,
    labels: &'a LabelSet,
    vocabulary: &'a Vocabulary,
    thresholds: TagThresholds,
    max_tags: Option<NonZeroUsize>,
}

impl<'a> Tagger<'a> {
    /// `scorer` scores `labels`, those of the vocabulary, by the score `independent`.
    pub fn new(
        scorer: &'a Scorer,
        labels: &'a LabelSet,
        vocabulary: &'a Vocabulary,
        thresholds: TagThresholds,
    ) -> Self {
        Tagger {
            scorer,
            labels,
            vocabulary,
            thresholds,
            max_tags: None,
        }
    }

    /// Sets the most tags of an image, those above them not counted.
    #[must_use]
    pub fn max_tags(mut self, max_tags: Option<NonZeroUsize>) -> Self {
        self.max_tags = max_tags;
        self
    }

    /// The tags that images may get.
    pub fn vocabulary(&self) -> &'a Vocabulary {
        self.vocabulary
    }

    /// Sets what decides whether an image gets a tag.
    pub fn set_thresholds(&mut self, thresholds: TagThresholds) {
        self.thresholds = thresholds;
    }

    /// The tags of an image: the likeliest first, then the names above them that are not among them, each with the
    /// probability of its likeliest tag.
    ///
    /// # Panics
    /// If the labels are another model's.
    pub fn tags(&self, views: &Views) -> Vec<Labelled> {
        let mut scores = self.scorer.scores(self.labels, views);
        let is_reached = |idx, logit: Option<f64>| logit.is_some_and(|logit| self.thresholds.are_reached(idx, logit));
        scores.labels.retain(|label| is_reached(label.label_idx, label.logit));
        let mut chosen: Vec<Labelled> = Vec::new();
        let mut decided: HashMap<&str, &str> = HashMap::new();
        for label in labelled(&scores, self.labels, Grouping::None) {
            if self.max_tags.is_some_and(|most| chosen.len() >= most.get()) {
                break;
            }
            let choices = self.vocabulary.choices(&label.label);
            let fits = |(choice, below): &(&str, &str)| decided.get(choice).is_none_or(|taken| taken == below);
            if choices.iter().all(fits) {
                decided.extend(choices);
                chosen.push(label);
            }
        }
        self.with_parents(chosen)
    }

    fn with_parents(&self, mut chosen: Vec<Labelled>) -> Vec<Labelled> {
        let mut known: HashSet<String> = chosen.iter().map(|tag| tag.label.clone()).collect();
        let mut above: Vec<Labelled> = Vec::new();
        for tag in &mut chosen {
            tag.parents = self.parents(&tag.label);
            for parent in tag.parents.iter().rev() {
                if known.insert(parent.clone()) {
                    above.push(Labelled {
                        label: parent.clone(),
                        probability: tag.probability,
                        logit: None,
                        cosine: None,
                        group: None,
                        parents: self.parents(parent),
                    });
                } else if let Some(known) = above.iter_mut().find(|known| known.label == *parent) {
                    known.probability = likelier(known.probability, tag.probability);
                }
            }
        }
        chosen.extend(above);
        chosen
    }

    fn parents(&self, name: &str) -> Vec<String> {
        self.vocabulary.above(name).into_iter().map(str::to_owned).collect()
    }

    /// The logit of each label, in their order.
    fn logits(&self, views: &Views) -> Vec<f64> {
        let mut logits = vec![f64::NAN; self.labels.labels().len()];
        for label in self.scorer.scores(self.labels, views).labels {
            logits[label.label_idx] = label.logit.unwrap_or(f64::NAN);
        }
        logits
    }
}

fn likelier(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| a.max(b))
}

/// Takes the images that thresholds are calibrated on.
pub struct Calibration<'a> {
    tagger: &'a Tagger<'a>,
    background: Background,
}

impl<'a> Calibration<'a> {
    /// For the labels of `tagger`.
    fn new(tagger: &'a Tagger<'a>) -> Self {
        Calibration {
            tagger,
            background: Background::default(),
        }
    }

    /// Sees at most `most` of these images, evenly chosen, and skips those that can't be used; `None` if the user stopped it.
    ///
    /// # Errors
    /// As [`Run::over`].
    pub fn by(inputs: &Inputs, most: usize, run: &Run<'_>, tagger: &'a Tagger<'a>) -> Result<Option<Self>> {
        let mut calibration = Calibration::new(tagger);
        let step = inputs.count().unwrap_or(0).div_ceil(most as u64).max(1);
        let chosen = inputs.items().step_by(step as usize).take(most);
        let run = Run {
            max_failures: u64::MAX,
            kept: Kept::default(),
            ..run.clone()
        };
        Ok(match run.over(Box::new(chosen), &mut (), &mut calibration)? {
            Ended::Interrupted => None,
            Ended::AtTheEnd | Ended::TooManyFailed => Some(calibration),
        })
    }

    /// How many images could be used.
    pub fn n_images(&self) -> usize {
        self.background.n_images()
    }

    /// Whether there were images enough.
    pub fn is_enough(&self) -> bool {
        self.n_images() >= Background::IMAGES_MIN
    }

    /// A threshold for the logit of each label; `None` if there were too few images.
    pub fn thresholds(&self, rate: FalsePositives) -> Option<Vec<f64>> {
        self.background.thresholds(rate)
    }
}

impl Sink for Calibration<'_> {
    fn take(&mut self, _: Item, seen: Result<Seen>) -> Result<Verdict> {
        match seen {
            Ok(seen) => {
                self.background.add(&self.tagger.logits(&seen.views));
                Ok(Verdict::Done)
            }
            Err(error) => Ok(Verdict::Failed(error)),
        }
    }
}
