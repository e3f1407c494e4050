//! The metrics of one model. They can be computed for any draw of images, so that two models can be compared.

use super::Answer;
use super::measures::{ClassRecall, TOP_5_MIN_CLASSES, mean_over_classes};
use crate::eval::comparison::{Metric, Scale};

/// Accuracies and mean recall of a model that gave these answers, for images of `n_classes` classes.
pub fn metrics(answers: &[Answer], n_classes: usize) -> Vec<Metric> {
    let within = |k: usize, key, name| {
        let part = |answer: &Answer| (f64::from(u8::from(answer.is_within(k))), 1.0);
        Metric::of_ratio(key, name, Scale::Share, answers.iter().map(part).collect())
    };
    let mut metrics = vec![within(1, "acc1", "top-1")];
    if n_classes >= TOP_5_MIN_CLASSES {
        metrics.push(within(5, "acc5", "top-5"));
    }
    let answers = answers.iter().map(|answer| (answer.truth, answer.is_within(1)));
    let answers: Vec<(usize, bool)> = answers.collect();
    metrics.push(Metric {
        key: "mean_per_class_recall".to_owned(),
        name: "mean per-class recall".to_owned(),
        scale: Scale::Share,
        value: Box::new(move |times| mean_recall(&answers, times, n_classes)),
    });
    metrics
}

/// The mean recall over the classes drawn, for answers with their class and whether they are right.
fn mean_recall(answers: &[(usize, bool)], times: &[u32], n_classes: usize) -> f64 {
    let mut recalls = vec![ClassRecall::default(); n_classes];
    for ((class, is_right), times) in answers.iter().zip(times) {
        let n = *times as usize;
        recalls[*class].add(n * usize::from(*is_right), n);
    }
    mean_over_classes(&recalls)
}

#[cfg(test)]
mod tests {
    use super::super::{Measures, tests::differences};
    use super::*;
    use crate::eval::bootstrap::Bootstrap;

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
                truth_probability: 0.2,
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
