//! The measures of a report: accuracy, recall by class, calibration, confusions.

use std::collections::HashMap;

use super::Answer;
use crate::eval::interval::{Estimate, percentiles, wilson};
use crate::random::Random;

/// Bins of equal width for calibration (Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural
/// Networks*, ICML 2017, section 2: 15).
pub const N_BINS: usize = 15;
/// Resamples for the interval of the mean recall.
pub const N_RESAMPLES: usize = 1000;
/// The random stream of these resamples.
const RECALL_STREAM: u64 = 1;
/// With fewer classes there is no top-5 accuracy: every answer would be right.
pub(super) const TOP_5_MIN_CLASSES: usize = 5;

/// The measures of a set of answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Measures {
    /// The number of images.
    pub n_images: usize,
    /// The number of classes, including those without images.
    pub n_classes: usize,
    /// The share of images whose own class is the most probable one.
    pub acc1: Estimate,
    /// The share of images whose own class is among the five most probable; `None` for fewer than five classes.
    pub acc5: Option<Estimate>,
    /// The mean recall over classes.
    pub mean_per_class_recall: Estimate,
    /// The expected calibration error: the mean distance between confidence and accuracy in the bins, weighted by images.
    pub calibration_error: f64,
    /// The calibration bins, from confidence 0 to 1.
    pub bins: Vec<Bin>,
    /// The recall of each class, in the order of the classes.
    pub recalls: Vec<ClassRecall>,
    /// The confusions, most frequent first, equally frequent ones in the order of the classes.
    pub confusions: Vec<Confusion>,
}

/// The images whose confidence is in one range.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bin {
    /// The number of images.
    pub n: usize,
    /// Their mean confidence; 0 if there are none.
    pub confidence: f64,
    /// The share of right answers; 0 if there are none.
    pub accuracy: f64,
}

/// The images of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassRecall {
    /// Right answers.
    pub n_right: usize,
    /// All answers.
    pub n: usize,
}

impl ClassRecall {
    /// Counts `n` answers, of which `n_right` are right.
    pub(super) fn add(&mut self, n_right: usize, n: usize) {
        self.n += n;
        self.n_right += n_right;
    }
}

/// The images of one class for which another class was predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confusion {
    /// The true class.
    pub truth: usize,
    /// The predicted class.
    pub predicted: usize,
    /// The number of images.
    pub n: usize,
}

impl Measures {
    /// Computes the measures of answers for `n_classes` classes. `seed` decides the resamples.
    ///
    /// # Panics
    /// If `answers` is empty.
    pub fn of(answers: &[Answer], n_classes: usize, seed: u64) -> Self {
        assert!(!answers.is_empty(), "measures need answers");
        let n_within = |k: usize| answers.iter().filter(|answer| answer.is_within(k)).count();
        let recalls = recalls(answers, n_classes);
        let (bins, calibration_error) = calibration(answers);
        Measures {
            n_images: answers.len(),
            n_classes,
            acc1: wilson(n_within(1), answers.len()),
            acc5: (n_classes >= TOP_5_MIN_CLASSES).then(|| wilson(n_within(5), answers.len())),
            mean_per_class_recall: mean_recall(answers, &recalls, seed),
            calibration_error,
            bins,
            recalls,
            confusions: confusions(answers),
        }
    }
}

fn recalls(answers: &[Answer], n_classes: usize) -> Vec<ClassRecall> {
    let mut recalls = vec![ClassRecall::default(); n_classes];
    for answer in answers {
        recalls[answer.truth].add(usize::from(answer.is_within(1)), 1);
    }
    recalls
}

/// The mean over classes with images. The interval is that of resampled images.
fn mean_recall(answers: &[Answer], recalls: &[ClassRecall], seed: u64) -> Estimate {
    let hits: Vec<(usize, bool)> = answers
        .iter()
        .map(|answer| (answer.truth, answer.is_within(1)))
        .collect();
    let mut random = Random::new(seed, RECALL_STREAM);
    let mut drawn = vec![ClassRecall::default(); recalls.len()];
    let mut resample = || {
        drawn.fill(ClassRecall::default());
        for _ in 0..hits.len() {
            let (class, is_right) = hits[random.below(hits.len())];
            drawn[class].add(usize::from(is_right), 1);
        }
        mean_over_classes(&drawn)
    };
    let resampled = (0..N_RESAMPLES).map(|_| resample()).collect();
    percentiles(mean_over_classes(recalls), resampled)
}

/// The mean recall of the classes that have images.
pub(super) fn mean_over_classes(recalls: &[ClassRecall]) -> f64 {
    let seen = recalls.iter().filter(|recall| recall.n > 0);
    let (n, sum) = seen.fold((0_usize, 0.0), |(n, sum), recall| {
        (n + 1, sum + recall.n_right as f64 / recall.n as f64)
    });
    sum / n as f64
}

/// `ECE = Σ_b n_b/n |accuracy_b - confidence_b|`; bin b has the confidences in `(b/15, (b+1)/15]`.
pub(super) fn calibration(answers: &[Answer]) -> (Vec<Bin>, f64) {
    let mut bins = vec![Bin::default(); N_BINS];
    for answer in answers {
        let bin = (answer.confidence() * N_BINS as f64).ceil() as usize;
        let bin = &mut bins[bin.clamp(1, N_BINS) - 1];
        bin.n += 1;
        bin.confidence += answer.confidence();
        bin.accuracy += f64::from(u8::from(answer.is_within(1)));
    }
    for bin in bins.iter_mut().filter(|bin| bin.n > 0) {
        bin.confidence /= bin.n as f64;
        bin.accuracy /= bin.n as f64;
    }
    let weighted_gap = |bin: &Bin| bin.n as f64 * (bin.accuracy - bin.confidence).abs();
    let error = bins.iter().map(weighted_gap).sum::<f64>() / answers.len() as f64;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with these most probable classes and this confidence.
    fn answer(truth: usize, likeliest: &[usize], confidence: f64) -> Answer {
        let rest = (1.0 - confidence) / likeliest.len().max(2) as f64;
        let share = |i: usize| if i == 0 { confidence } else { rest };
        Answer {
            truth,
            truth_probability: 0.0,
            likeliest: likeliest
                .iter()
                .enumerate()
                .map(|(i, class)| (*class, share(i)))
                .collect(),
        }
    }

    /// Random answers for 7 classes, of which class 6 has no images.
    fn drawn(n: usize, seed: u64) -> Vec<Answer> {
        let mut random = Random::new(seed, 9);
        (0..n)
            .map(|_| {
                let order: Vec<usize> = random.permutation(7).iter().map(|class| *class as usize).collect();
                let confidence = (1.0 + random.below(99) as f64) / 100.0;
                answer(random.below(6), &order[..5], confidence)
            })
            .collect()
    }

    #[test]
    fn accuracy_and_recall_equal_those_counted_by_hand() {
        let answers = [
            answer(0, &[0, 1, 2, 3, 4], 0.9),
            answer(0, &[1, 0, 2, 3, 4], 0.6),
            answer(0, &[5, 1, 2, 3, 4], 0.5),
            answer(1, &[1, 0, 2, 3, 4], 0.8),
        ];
        let measures = Measures::of(&answers, 6, 0);
        assert_eq!(measures.acc1.value, 0.5);
        assert_eq!(measures.acc5.unwrap().value, 0.75);
        // Classes 2 to 5 have no picture: (1/3 + 1/1) / 2, as balanced_accuracy_score of scikit-learn.
        assert!((measures.mean_per_class_recall.value - 2.0 / 3.0).abs() < 1e-12);
        let found: Vec<_> = measures
            .confusions
            .iter()
            .map(|c| (c.truth, c.predicted, c.n))
            .collect();
        assert_eq!(found, [(0, 1, 1), (0, 5, 1)]);
    }

    #[test]
    fn fewer_than_five_classes_have_no_top_5_accuracy() {
        let answers = [answer(0, &[0, 1, 2, 3], 0.9)];
        assert_eq!(Measures::of(&answers, 4, 0).acc5, None);
    }

    #[test]
    fn measures_equal_those_of_a_confusion_matrix() {
        for seed in 0..20 {
            let answers = drawn(200, seed);
            let measures = Measures::of(&answers, 7, seed);
            // The whole confusion matrix, which has all counts.
            let mut matrix = [[0usize; 7]; 7];
            for answer in &answers {
                matrix[answer.truth][answer.likeliest[0].0] += 1;
            }
            let trace: usize = (0..7).map(|class| matrix[class][class]).sum();
            assert_eq!(measures.acc1.value, trace as f64 / 200.0);
            let recalls: Vec<f64> = (0..7)
                .filter(|class| matrix[*class].iter().sum::<usize>() > 0)
                .map(|class| matrix[class][class] as f64 / matrix[class].iter().sum::<usize>() as f64)
                .collect();
            let mean = recalls.iter().sum::<f64>() / recalls.len() as f64;
            let found = measures.mean_per_class_recall;
            assert!((found.value - mean).abs() < 1e-12);
            assert!(
                found.low < mean && mean < found.high && found.high - found.low < 0.3,
                "{found:?}"
            );
            for confusion in &measures.confusions {
                assert_eq!(matrix[confusion.truth][confusion.predicted], confusion.n);
            }
            let off: usize = measures.confusions.iter().map(|confusion| confusion.n).sum();
            assert_eq!(off, 200 - trace);
            assert!(measures.confusions.is_sorted_by(|a, b| a.n >= b.n));
            assert!((measures.calibration_error - calibration_error_by_image(&answers)).abs() < 1e-12);
        }
    }

    /// The calibration error computed image by image, each with all images in its bin.
    fn calibration_error_by_image(answers: &[Answer]) -> f64 {
        let bin = |confidence: f64| (1..=15).find(|b| confidence <= f64::from(*b) / 15.0).unwrap();
        let apart = |answer: &Answer| {
            let same = answers
                .iter()
                .filter(|other| bin(other.likeliest[0].1) == bin(answer.likeliest[0].1));
            let (n, sum) = same.fold((0.0_f64, 0.0_f64), |(n, sum), other| {
                let right = f64::from(u8::from(other.likeliest[0].0 == other.truth));
                (n + 1.0, sum + right - other.likeliest[0].1)
            });
            (sum / n).abs()
        };
        answers.iter().map(apart).sum::<f64>() / answers.len() as f64
    }

    #[test]
    fn an_interval_depends_on_the_seed_and_is_empty_for_certain_results() {
        let answers = drawn(60, 3);
        let low = |seed| Measures::of(&answers, 7, seed).mean_per_class_recall.low;
        assert_eq!(low(1), low(1));
        let right = [answer(0, &[0, 1, 2, 3, 4], 1.0), answer(1, &[1, 0, 2, 3, 4], 1.0)];
        let certain = Measures::of(&right, 5, 0);
        assert_eq!(
            (certain.mean_per_class_recall.low, certain.calibration_error),
            (1.0, 0.0)
        );
        assert_eq!(certain.bins[N_BINS - 1].n, 2);
    }
}
