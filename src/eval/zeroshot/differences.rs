//! Which differences between two models' answers for the same images are significant.

use super::Answer;
use super::measures::{ClassRecall, TOP_5_MIN_CLASSES, mean_over_classes};
use crate::eval::bootstrap::{Bootstrap, Difference, Ratio};

/// A metric for both models.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricDifference {
    /// CLIP_benchmark's name for it.
    pub key: &'static str,
    /// The first model's value.
    pub first: f64,
    /// The second model's.
    pub second: f64,
    /// The first minus the second.
    pub difference: Difference,
}

/// The differences in accuracy and mean recall. Both models answered for the same images of `n_classes` classes.
///
/// # Panics
/// If the images differ.
pub fn differences(
    first: &[Answer],
    second: &[Answer],
    n_classes: usize,
    bootstrap: Bootstrap,
) -> Vec<MetricDifference> {
    let truths = |answers: &[Answer]| answers.iter().map(|answer| answer.truth).collect::<Vec<_>>();
    assert_eq!(truths(first), truths(second), "answers for the same images");
    let n_pictures = first.len();
    let (keys, first): (Vec<_>, Vec<_>) = metrics(first, n_classes).into_iter().unzip();
    let second: Vec<ImageMetric> = metrics(second, n_classes)
        .into_iter()
        .map(|(_, metric)| metric)
        .collect();
    let drawn = bootstrap.paired(n_pictures, |times| {
        let pairs = first.iter().zip(&second);
        pairs
            .map(|(first, second)| first.value(times) - second.value(times))
            .collect()
    });
    let all = vec![1; n_pictures];
    let values = keys.into_iter().zip(first.iter().zip(&second)).zip(drawn);
    values
        .map(|((key, (first, second)), difference)| MetricDifference {
            key,
            first: first.value(&all),
            second: second.value(&all),
            difference,
        })
        .collect()
}

/// A metric by image, to be computed for any draw of images.
enum ImageMetric {
    Share(Ratio),
    /// The mean recall over the classes drawn: each image's class and whether the answer is right; the number of classes.
    MeanRecall(Vec<(usize, bool)>, usize),
}

fn metrics(answers: &[Answer], n_classes: usize) -> Vec<(&'static str, ImageMetric)> {
    let within = |k: usize| {
        let part = |answer: &Answer| (f64::from(u8::from(answer.is_within(k))), 1.0);
        ImageMetric::Share(Ratio {
            parts: answers.iter().map(part).collect(),
        })
    };
    let right = answers.iter().map(|answer| (answer.truth, answer.is_within(1)));
    let mut metrics = vec![("acc1", within(1))];
    if n_classes >= TOP_5_MIN_CLASSES {
        metrics.push(("acc5", within(5)));
    }
    metrics.push((
        "mean_per_class_recall",
        ImageMetric::MeanRecall(right.collect(), n_classes),
    ));
    metrics
}

impl ImageMetric {
    fn value(&self, times: &[u32]) -> f64 {
        match self {
            ImageMetric::Share(ratio) => ratio.value(times),
            ImageMetric::MeanRecall(pictures, n_classes) => {
                let mut recalls = vec![ClassRecall::default(); *n_classes];
                for ((class, is_right), times) in pictures.iter().zip(times) {
                    let n = *times as usize;
                    recalls[*class].add(n * usize::from(*is_right), n);
                }
                mean_over_classes(&recalls)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Measures;
    use super::*;

    /// Answers for 6 classes, of which one has no image. Every `period`th answer is wrong.
    fn answers(period: usize) -> Vec<Answer> {
        let answer = |i: usize| {
            let truth = i * i % 5;
            let first = if i.is_multiple_of(period) {
                (truth + 1) % 6
            } else {
                truth
            };
            Answer {
                truth,
                likeliest: (0..5).map(|rank| ((first + rank) % 6, 0.2)).collect(),
            }
        };
        (0..300).map(answer).collect()
    }

    #[test]
    fn values_equal_the_measures_and_a_clear_difference_is_real() {
        let (first, second) = (answers(7), answers(3));
        let bootstrap = Bootstrap {
            n_resamples: 500,
            seed: 4,
        };
        let found = differences(&first, &second, 6, bootstrap);
        let expected = [Measures::of(&first, 6, 0), Measures::of(&second, 6, 0)].map(|measures| {
            let Measures {
                acc1,
                acc5,
                mean_per_class_recall,
                ..
            } = measures;
            [acc1.value, acc5.unwrap().value, mean_per_class_recall.value]
        });
        for (i, metric) in found.iter().enumerate() {
            assert_eq!(
                (metric.first, metric.second),
                (expected[0][i], expected[1][i]),
                "{}",
                metric.key
            );
            assert!((metric.difference.0.value - (metric.first - metric.second)).abs() < 1e-12);
        }
        assert!(
            found[0].difference.is_real() && found[2].difference.is_real(),
            "{found:?}"
        );
        assert!(
            differences(&first, &first, 6, bootstrap)
                .iter()
                .all(|metric| !metric.difference.is_real())
        );
        assert_eq!(differences(&first, &second, 6, bootstrap), found);
    }
}
