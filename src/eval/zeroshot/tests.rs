//! Compares intervals with the limit of the bootstrap for infinitely many resamples, computed without drawing: for a few
//! images from all possible draws with their probabilities, for many images from the variance of a mean over classes.

use super::{Answer, Measures, N_RESAMPLES, least_fitting, metrics};
use crate::eval::bootstrap::Bootstrap;
use crate::eval::comparison::{Compared, Comparison, ModelFacts};
use crate::eval::interval::Estimate;
use crate::weights::TextPositions;

/// The share of a distribution below the interval, and above it.
const TAIL: f64 = 0.025;
/// The number of seeds whose median end of an interval is compared; odd. It varies less than that of one seed.
const N_SEEDS: u64 = 41;
/// Differences below this are due to rounding.
const ROUNDING: f64 = 1e-9;

/// The metrics of two models' answers, compared.
pub(super) fn differences(
    first: &[Answer],
    second: &[Answer],
    n_classes: usize,
    bootstrap: Bootstrap,
) -> Vec<Compared> {
    let model = |name: &str| ModelFacts {
        name: name.into(),
        dtype: "f32".into(),
        context_length: 248,
        positions: TextPositions::Joined,
    };
    let metrics = [first, second].map(|answers| metrics(answers, n_classes));
    Comparison::new([model("a"), model("b")], metrics, first.len(), bootstrap).rows
}

/// An answer whose probabilities don't matter.
fn answer(truth: usize, likeliest: &[usize]) -> Answer {
    Answer {
        truth,
        truth_probability: 0.2,
        likeliest: likeliest.iter().map(|class| (*class, 0.2)).collect(),
    }
}

/// All ways to draw `n` times from `n` images: how often each is drawn, and the probability `n! / (Π kᵢ! nⁿ)`.
fn all_draws(n: usize) -> Vec<(Vec<u32>, f64)> {
    fn distribute(left: u32, n_images: usize, begun: &mut Vec<u32>, all: &mut Vec<Vec<u32>>) {
        if n_images == 1 {
            all.push([&begun[..], &[left]].concat());
            return;
        }
        for times in 0..=left {
            begun.push(times);
            distribute(left - times, n_images - 1, begun, all);
            begun.pop();
        }
    }
    let factorial = |k: u32| (1..=k).map(f64::from).product::<f64>();
    let mut all = Vec::new();
    distribute(n as u32, n, &mut Vec::new(), &mut all);
    let probability = |times: &Vec<u32>| {
        let ways = factorial(n as u32) / times.iter().map(|k| factorial(*k)).product::<f64>();
        ways / (n as f64).powi(n as i32)
    };
    let draws = all.into_iter().map(|times| (probability(&times), times));
    draws.map(|(probability, times)| (times, probability)).collect()
}

/// Like scikit-learn's `balanced_accuracy_score`: one class at a time, without those that have no image.
fn balanced_accuracy(answers: &[Answer], times: &[u32]) -> f64 {
    let mut recalls = Vec::new();
    for class in 0..20 {
        let of_class = || answers.iter().zip(times).filter(|(answer, _)| answer.truth == class);
        let drawn: u32 = of_class().map(|(_, times)| times).sum();
        let right = of_class().filter(|(answer, _)| answer.likeliest[0].0 == class);
        if drawn > 0 {
            recalls.push(f64::from(right.map(|(_, times)| times).sum::<u32>()) / f64::from(drawn));
        }
    }
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

/// The share of drawn images whose class is among the first `k`.
fn top(answers: &[Answer], times: &[u32], k: usize) -> f64 {
    let is_in = |answer: &Answer| answer.likeliest[..k].iter().any(|(class, _)| *class == answer.truth);
    let hits = answers.iter().zip(times).filter(|(answer, _)| is_in(answer));
    f64::from(hits.map(|(_, times)| times).sum::<u32>()) / f64::from(times.iter().sum::<u32>())
}

/// Checks that each end cuts off a fortieth of the distribution, up to `slack`, the variation from drawing.
#[track_caller]
fn check_ends((low, high): (f64, f64), draws: &[(Vec<u32>, f64)], metric: impl Fn(&[u32]) -> f64, slack: f64) {
    let values: Vec<(f64, f64)> = draws.iter().map(|(times, share)| (metric(times), *share)).collect();
    let share = |is_in: &dyn Fn(f64) -> bool| {
        values
            .iter()
            .filter(|(value, _)| is_in(*value))
            .map(|v| v.1)
            .sum::<f64>()
    };
    // If many draws have the value of the end, less is below it, and more up to it.
    let (below, up_to) = (share(&|v| v < low - ROUNDING), share(&|v| v <= low + ROUNDING));
    assert!(
        below <= TAIL + slack && up_to >= TAIL - slack,
        "low end {low}: {below} below, {up_to} up to it"
    );
    let (above, from) = (share(&|v| v > high + ROUNDING), share(&|v| v >= high - ROUNDING));
    assert!(
        above <= TAIL + slack && from >= TAIL - slack,
        "high end {high}: {above} above, {from} from it on"
    );
}

/// Four standard errors of the share below a quantile of `n_resamples`.
fn slack(n_resamples: f64) -> f64 {
    4.0 * (TAIL * (1.0 - TAIL) / n_resamples).sqrt()
}

/// The median ends of the mean recall's interval over many seeds.
fn median_ends(answers: &[Answer], n_classes: usize) -> (f64, f64) {
    let found: Vec<Estimate> = (0..N_SEEDS)
        .map(|seed| Measures::of(answers, n_classes, seed).mean_per_class_recall)
        .collect();
    let median = |end: fn(&Estimate) -> f64| {
        let mut ends: Vec<f64> = found.iter().map(end).collect();
        ends.sort_by(f64::total_cmp);
        ends[ends.len() / 2]
    };
    (median(|found| found.low), median(|found| found.high))
}

/// Checks all intervals of two models' answers for the same few images.
#[track_caller]
fn check_few(first: &[Answer], second: &[Answer], n_classes: usize) {
    let draws = all_draws(first.len());
    assert!((draws.iter().map(|draw| draw.1).sum::<f64>() - 1.0).abs() < ROUNDING);
    // The median of N draws of a normal distribution has π/2 of their mean's variance.
    let of_median = slack(N_RESAMPLES as f64 * N_SEEDS as f64 / std::f64::consts::FRAC_PI_2);
    for answers in [first, second] {
        let found = median_ends(answers, n_classes);
        check_ends(found, &draws, |times| balanced_accuracy(answers, times), of_median);
    }
    let bootstrap = Bootstrap {
        n_resamples: 40_000,
        seed: 5,
    };
    let found = differences(first, second, n_classes, bootstrap);
    let keys: Vec<&str> = found.iter().map(|metric| metric.key.as_str()).collect();
    match n_classes {
        0..5 => assert_eq!(keys, ["acc1", "mean_per_class_recall"]),
        _ => assert_eq!(keys, ["acc1", "acc5", "mean_per_class_recall"]),
    }
    for metric in found {
        let of = |answers: &[Answer], times: &[u32]| match metric.key.as_str() {
            "acc1" => top(answers, times, 1),
            "acc5" => top(answers, times, 5),
            _ => balanced_accuracy(answers, times),
        };
        let ends = (metric.difference.0.low, metric.difference.0.high);
        check_ends(
            ends,
            &draws,
            |times| of(first, times) - of(second, times),
            slack(40_000.0),
        );
    }
}

#[test]
fn intervals_of_few_images_equal_those_of_all_possible_draws() {
    // Class 5 has no image, and classes 1 and 2 have one each, which a third of the draws miss.
    let first = [
        answer(0, &[0, 1, 2, 3, 4]),
        answer(0, &[1, 0, 2, 3, 4]),
        answer(0, &[0, 5, 4, 3, 2]),
        answer(0, &[5, 1, 2, 3, 4]),
        answer(1, &[1, 2, 3, 4, 5]),
        answer(2, &[0, 1, 3, 4, 5]),
        answer(3, &[3, 1, 0, 4, 5]),
        answer(3, &[4, 3, 0, 1, 5]),
    ];
    let second = [
        answer(0, &[0, 1, 2, 3, 4]),
        answer(0, &[0, 1, 2, 3, 4]),
        answer(0, &[5, 1, 4, 3, 2]),
        answer(0, &[4, 1, 2, 3, 5]),
        answer(1, &[0, 2, 3, 4, 5]),
        answer(2, &[2, 1, 3, 4, 5]),
        answer(3, &[3, 1, 0, 4, 5]),
        answer(3, &[3, 4, 0, 1, 5]),
    ];
    check_few(&first, &second, 6);
    check_few(&second, &first, 9);
}

#[test]
fn labels_that_fit_least_come_first() {
    let fitting = |truth_probability| Answer {
        truth_probability,
        ..answer(0, &[0])
    };
    let answers = [0.5, 0.1, 0.9, 0.1].map(fitting);
    assert_eq!(least_fitting(&answers, 3), [1, 3, 0]);
    assert_eq!(least_fitting(&answers, 9), [1, 3, 0, 2]);
}

#[test]
fn four_classes_have_intervals_but_no_top_5() {
    let first: Vec<Answer> = [0, 0, 1, 1, 2, 3].map(|truth| answer(truth, &[0, 1, 2, 3])).to_vec();
    let second: Vec<Answer> = [0, 0, 1, 1, 2, 3].map(|truth| answer(truth, &[1, 2, 3, 0])).to_vec();
    check_few(&first, &second, 4);
    assert_eq!(Measures::of(&first, 4, 0).acc5, None);
}

#[test]
fn intervals_are_empty_if_all_answers_are_right_or_wrong() {
    let truths = [0, 0, 1, 2, 2];
    let right = truths.map(|truth| answer(truth, &[truth, 3, 4, 5, 6]));
    let wrong = truths.map(|truth| answer(truth, &[3, truth, 4, 5, 6]));
    check_few(&right, &wrong, 7);
    let recall = |answers: &[Answer]| Measures::of(answers, 7, 1).mean_per_class_recall;
    let certain = |value| Estimate {
        value,
        low: value,
        high: value,
    };
    assert_eq!((recall(&right), recall(&wrong)), (certain(1.0), certain(0.0)));
    let found = differences(&right, &wrong, 7, Bootstrap::default());
    let ends: Vec<(Estimate, bool)> = found
        .iter()
        .map(|metric| (metric.difference.0, metric.difference.is_real()))
        .collect();
    assert_eq!(
        ends,
        [(certain(1.0), true), (certain(0.0), false), (certain(1.0), true)]
    );
}

/// E[1 / N | N > 0], where N is the number of images of a class in `n` draws, each of the class with probability `p`.
fn mean_inverse(n: usize, p: f64) -> f64 {
    let (mut share, mut seen, mut sum) = ((1.0 - p).powi(n as i32), 0.0, 0.0);
    for k in 1..=n {
        share *= (n - k + 1) as f64 / k as f64 * p / (1.0 - p);
        seen += share;
        sum += share / k as f64;
    }
    sum / seen
}

#[test]
fn intervals_of_many_images_follow_from_the_variance_over_classes() {
    // Classes of very different sizes, so that the mean over classes differs from the mean over images.
    let sizes = [12_usize, 30, 75, 150, 240, 330];
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (class, size) in sizes.into_iter().enumerate() {
        let of = |is_right: bool| answer(class, &[if is_right { class } else { 7 }, 8, 9, 10, 11]);
        for i in 0..size {
            first.push(of(i % 3 != 0));
            second.push(of(i % 3 == 1 || i % 5 == 0));
        }
    }
    let n = first.len();
    // Var(mean recall) = 1/K² Σ σ²_c E[1/N_c], where σ²_c is the variance of a hit (or difference) in class c: given the
    // numbers N_c of images drawn, the recalls are independent with the classes' means.
    let error = |hit: &dyn Fn(usize) -> f64| {
        let mut start = 0;
        let of_class = sizes.map(|size| {
            let hits: Vec<f64> = (start..start + size).map(hit).collect();
            start += size;
            let mean = hits.iter().sum::<f64>() / size as f64;
            let variance = hits.iter().map(|hit| (hit - mean).powi(2)).sum::<f64>() / size as f64;
            (mean, variance * mean_inverse(n, size as f64 / n as f64))
        });
        let k = sizes.len() as f64;
        let mean = of_class.iter().map(|class| class.0).sum::<f64>() / k;
        (mean, of_class.iter().map(|class| class.1).sum::<f64>().sqrt() / k)
    };
    let hit = |answers: &[Answer], i: usize| f64::from(u8::from(answers[i].predicted() == answers[i].truth));
    // The standard error of a quantile is √(q (1-q) / N) over the density there, 0.0584 at ±1.96. The rest is the error of
    // the normal distribution, since the recall of the smallest class has few possible values.
    let scatter = |n_resamples: f64| slack(n_resamples) / 0.0584 + 0.03;
    let check = |(low, high): (f64, f64), (mean, error): (f64, f64), scatter: f64| {
        let found = ((low - mean) / error, (high - mean) / error);
        assert!(
            (found.0 + 1.96).abs() < scatter && (found.1 - 1.96).abs() < scatter,
            "{found:?}, {scatter}"
        );
    };
    let of_median = scatter(N_RESAMPLES as f64 * N_SEEDS as f64 / std::f64::consts::FRAC_PI_2);
    check(median_ends(&first, 12), error(&|i| hit(&first, i)), of_median);
    let bootstrap = Bootstrap {
        n_resamples: 40_000,
        seed: 6,
    };
    let found = differences(&first, &second, 12, bootstrap).swap_remove(2);
    assert_eq!(found.key, "mean_per_class_recall");
    let ends = (found.difference.0.low, found.difference.0.high);
    check(ends, error(&|i| hit(&first, i) - hit(&second, i)), scatter(40_000.0));
}
