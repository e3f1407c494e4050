//! From answers to the numbers of a report: accuracies, recall by class, calibration, confusions.

use std::collections::HashMap;

use super::Answer;
use crate::eval::interval::{Estimate, percentiles, wilson};
use crate::random::Random;

/// Bins of the calibration, of equal width (Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural
/// Networks*, ICML 2017, section 2: 15).
pub const N_BINS: usize = 15;
/// Resamples behind the interval of the mean recall.
pub const N_RESAMPLES: usize = 1000;
/// What resamples are drawn for: a stream of the seed's own.
const RECALL_STREAM: u64 = 1;
/// Fewer classes have no top-5: all of them would be right.
const CLASSES_OF_ACC5: usize = 5;

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// Pictures that were judged.
    pub n_pictures: usize,
    /// Candidates, with and without pictures.
    pub n_classes: usize,
    /// The share whose own class is the likeliest.
    pub acc1: Estimate,
    /// The share whose own class is among the five likeliest; none with fewer than five classes.
    pub acc5: Option<Estimate>,
    /// The mean over classes of the share of their pictures that are right.
    pub mean_per_class_recall: Estimate,
    /// The mean distance of confidence and accuracy over the bins, each counting by its pictures.
    pub calibration_error: f64,
    /// The bins of that, from 0 to 1.
    pub bins: Vec<Bin>,
    /// Each class's recall, in the classes' order.
    pub recalls: Vec<Recall>,
    /// What was taken for what, the most frequent first, equal ones in the classes' order.
    pub confusions: Vec<Confusion>,
}

/// Pictures whose answers were about as sure.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bin {
    /// How many.
    pub n: usize,
    /// Their mean confidence; 0 of none.
    pub confidence: f64,
    /// The share that is right; 0 of none.
    pub accuracy: f64,
}

/// A class's pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recall {
    /// Those that are right.
    pub n_right: usize,
    /// All.
    pub n: usize,
}

/// Pictures of one class that were taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confusion {
    /// What they show.
    pub truth: usize,
    /// What they were taken for.
    pub predicted: usize,
    /// How many.
    pub n: usize,
}

impl Measures {
    /// Measures answers about `n_classes` classes; `seed` is the resamples'.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn of(answers: &[Answer], n_classes: usize, seed: u64) -> Self {
        assert!(!answers.is_empty(), "measures of no answers");
        let n_within = |k: usize| answers.iter().filter(|answer| answer.is_within(k)).count();
        let recalls = recalls(answers, n_classes);
        let (bins, calibration_error) = calibration(answers);
        Measures {
            n_pictures: answers.len(),
            n_classes,
            acc1: wilson(n_within(1), answers.len()),
            acc5: (n_classes >= CLASSES_OF_ACC5).then(|| wilson(n_within(5), answers.len())),
            mean_per_class_recall: mean_recall(&recalls, seed),
            calibration_error,
            bins,
            recalls,
            confusions: confusions(answers),
        }
    }
}

fn recalls(answers: &[Answer], n_classes: usize) -> Vec<Recall> {
    let mut recalls = vec![Recall::default(); n_classes];
    for answer in answers {
        let recall = &mut recalls[answer.truth];
        recall.n += 1;
        recall.n_right += usize::from(answer.is_within(1));
    }
    recalls
}

/// The mean over the classes that have pictures; the interval by drawing each class's pictures anew.
fn mean_recall(recalls: &[Recall], seed: u64) -> Estimate {
    let seen: Vec<&Recall> = recalls.iter().filter(|recall| recall.n > 0).collect();
    let mean = |n_right: &mut dyn FnMut(&Recall) -> usize| {
        let shares = seen.iter().map(|recall| n_right(recall) as f64 / recall.n as f64);
        shares.sum::<f64>() / seen.len() as f64
    };
    let mut random = Random::new(seed, RECALL_STREAM);
    let mut drawn = |recall: &Recall| {
        (0..recall.n)
            .filter(|_| random.below(recall.n) < recall.n_right)
            .count()
    };
    let resampled = (0..N_RESAMPLES).map(|_| mean(&mut drawn)).collect();
    percentiles(mean(&mut |recall| recall.n_right), resampled)
}

/// `ECE = Σ_b n_b/n |accuracy_b - confidence_b|`; bin b holds confidences in `(b/15, (b+1)/15]`.
fn calibration(answers: &[Answer]) -> (Vec<Bin>, f64) {
    let mut bins = vec![Bin::default(); N_BINS];
    for answer in answers {
        let place = (answer.confidence() * N_BINS as f64).ceil() as usize;
        let bin = &mut bins[place.clamp(1, N_BINS) - 1];
        bin.n += 1;
        bin.confidence += answer.confidence();
        bin.accuracy += f64::from(u8::from(answer.is_within(1)));
    }
    for bin in bins.iter_mut().filter(|bin| bin.n > 0) {
        bin.confidence /= bin.n as f64;
        bin.accuracy /= bin.n as f64;
    }
    let apart = |bin: &Bin| bin.n as f64 * (bin.accuracy - bin.confidence).abs();
    let error = bins.iter().map(apart).sum::<f64>() / answers.len() as f64;
    (bins, error)
}

fn confusions(answers: &[Answer]) -> Vec<Confusion> {
    let mut counts: HashMap<(usize, usize), usize> = HashMap::new();
    for answer in answers.iter().filter(|answer| !answer.is_within(1)) {
        *counts.entry((answer.truth, answer.predicted())).or_default() += 1;
    }
    let confusion = |((truth, predicted), n)| Confusion { truth, predicted, n };
    let mut confusions: Vec<Confusion> = counts.into_iter().map(confusion).collect();
    confusions.sort_unstable_by_key(|found| (std::cmp::Reverse(found.n), found.truth, found.predicted));
    confusions
}
