//! The temperature whose probabilities fit the true classes best: temperature scaling (Guo, Pleiss, Sun and Weinberger, *On
//! Calibration of Modern Neural Networks*, ICML 2017, section 4.2).
//!
//! With β = 1/T and the logits z of an image of class t, the log loss is the mean of `ln Σ exp(β z) - β z_t`. It is convex in
//! β, so its one minimum is where its derivative, the mean of `E[z] - z_t` under the softmax of β z, is 0. Newton's method
//! finds it; a step that leaves the interval known to contain it is replaced by a bisection.

use rayon::prelude::*;
use serde_json::{Value, json};

use super::measures::calibration;
use super::{Answer, judge};
use crate::labels::LabelSet;
use crate::score::{Scoring, Temperature};

/// The range that is searched. At its ends, probabilities are those of an argmax and of a guess.
const RANGE: (f64, f64) = (0.01, 100.0);
/// The relative change of β below which the search ends: far below the three digits that are shown.
const TOLERANCE: f64 = 1e-6;
/// Newton's method needs about ten steps, and bisection of the range about thirty.
const STEPS_MAX: usize = 100;
/// The most logits that are kept, a quarter of a gigabyte. If there are more, every second, third, ... image is used.
const LOGITS_MAX: usize = 1 << 26;

/// The best temperature for a set of images, and what it changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FittedTemperature {
    /// The temperature.
    pub temperature: f64,
    /// The log loss at temperature 1, and at this one.
    pub log_loss: (f64, f64),
    /// The calibration error at temperature 1, and at this one.
    pub calibration_error: (f64, f64),
    /// The number of images that it was fitted on.
    pub n_fitted: usize,
}

impl FittedTemperature {
    /// Fits the temperature of `scoring` to images, given as true class and embedding, with their answers at temperature 1.
    ///
    /// # Panics
    /// If there are no images.
    pub fn of(images: &[(usize, &[f32])], answers: &[Answer], labels: &LabelSet, scoring: &Scoring) -> Self {
        let every = (images.len() * labels.rows().len()).div_ceil(LOGITS_MAX).max(1);
        let fitted: Vec<Logits> = images
            .par_iter()
            .step_by(every)
            .map(|(truth, embedding)| Logits::of(*truth, embedding, labels, scoring))
            .collect();
        let temperature = best_temperature(&fitted);
        let at = Temperature::new(temperature).expect("the range has positive numbers only");
        let scaled = judge(images, labels, &scoring.clone().temperature(at));
        FittedTemperature {
            temperature,
            log_loss: (log_loss(&fitted, 1.0)[0], log_loss(&fitted, 1.0 / temperature)[0]),
            calibration_error: (calibration(answers).1, calibration(&scaled).1),
            n_fitted: fitted.len(),
        }
    }

    /// What it changes, in words.
    pub(super) fn effect(&self) -> String {
        let ((loss_before, loss), (error_before, error)) = (self.log_loss, self.calibration_error);
        let end = if self.is_at_an_end() {
            ", the end of the range that is searched"
        } else {
            ""
        };
        format!(
            "fitted on {} images{end}: log loss {loss:.4} instead of {loss_before:.4}, calibration error {error:.4} \
             instead of {error_before:.4}",
            self.n_fitted
        )
    }

    /// Whether the log loss falls up to an end of the range that is searched.
    pub fn is_at_an_end(&self) -> bool {
        self.temperature <= RANGE.0 || self.temperature >= RANGE.1
    }

    /// The temperature as a user would give it.
    pub fn shown(&self) -> String {
        format!("{:.3}", self.temperature)
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "temperature": self.temperature,
            "log_loss": self.log_loss.1,
            "log_loss_at_1": self.log_loss.0,
            "expected_calibration_error": self.calibration_error.1,
            "n_fitted": self.n_fitted,
        })
    }
}

/// The logits of an image at temperature 1.
struct Logits {
    /// Minus the highest, which changes no probability and keeps sums finite.
    all: Vec<f32>,
    truth: f64,
}

impl Logits {
    fn of(truth: usize, embedding: &[f32], labels: &LabelSet, scoring: &Scoring) -> Self {
        let scores = scoring.scores(embedding, labels.texts(), labels.rows()).labels;
        let logit = |i: usize| scores[i].logit.unwrap_or_default();
        let own = scores
            .iter()
            .position(|score| score.label_idx == truth)
            .unwrap_or_default();
        Logits {
            all: (0..scores.len()).map(|i| (logit(i) - logit(0)) as f32).collect(),
            truth: logit(own) - logit(0),
        }
    }

    /// `ln Σ exp(β z)`, and mean and variance of z under the softmax of β z.
    fn moments(&self, beta: f64) -> (f64, f64, f64) {
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for logit in self.all.iter().map(|logit| f64::from(*logit)) {
            let weight = (beta * logit).exp();
            sum += weight;
            first += weight * logit;
            second += weight * logit * logit;
        }
        let mean = first / sum;
        (sum.ln(), mean, (second / sum - mean * mean).max(0.0))
    }
}

/// The log loss, and its first and second derivative.
fn log_loss(images: &[Logits], beta: f64) -> [f64; 3] {
    let each = images.par_iter().map(|image| {
        let (log_sum, mean, variance) = image.moments(beta);
        [log_sum - beta * image.truth, mean - image.truth, variance]
    });
    // Sums of one order, so that the result doesn't depend on the number of threads.
    let each: Vec<[f64; 3]> = each.collect();
    let sums = each
        .iter()
        .fold([0.0; 3], |sum, one| std::array::from_fn(|i| sum[i] + one[i]));
    sums.map(|sum| sum / images.len() as f64)
}

fn best_temperature(images: &[Logits]) -> f64 {
    let (mut low, mut high) = (1.0 / RANGE.1, 1.0 / RANGE.0);
    if log_loss(images, low)[1] >= 0.0 {
        return RANGE.1;
    }
    if log_loss(images, high)[1] <= 0.0 {
        return RANGE.0;
    }
    let mut beta = 1.0;
    for _ in 0..STEPS_MAX {
        let [_, slope, curvature] = log_loss(images, beta);
        if slope > 0.0 {
            high = beta;
        } else {
            low = beta;
        }
        let newton = beta - slope / curvature;
        let next = if newton > low && newton < high {
            newton
        } else {
            (low * high).sqrt()
        };
        let change = (next - beta).abs();
        beta = next;
        if change <= TOLERANCE * beta {
            break;
        }
    }
    1.0 / beta
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn logits(all: &[f32], truth: usize) -> Logits {
        let highest = all.iter().copied().fold(f32::MIN, f32::max);
        Logits {
            all: all.iter().map(|logit| logit - highest).collect(),
            truth: f64::from(all[truth] - highest),
        }
    }

    /// Images with three classes whose true class is drawn from the softmax of their logits at this temperature.
    fn drawn(temperature: f64) -> Vec<Logits> {
        let mut random = Random::new(3, 1);
        let mut share = move || random.below(1_000_000) as f64 / 1e6;
        let one = |_| {
            let all: Vec<f64> = (0..3).map(|_| 8.0 * share()).collect();
            let weights: Vec<f64> = all.iter().map(|logit| (logit / temperature).exp()).collect();
            let mut left = share() * weights.iter().sum::<f64>();
            let truth = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            let all: Vec<f32> = all.iter().map(|logit| *logit as f32).collect();
            logits(&all, truth.unwrap_or(2))
        };
        (0..20_000).map(one).collect()
    }

    #[test]
    fn finds_the_temperature_that_classes_were_drawn_at() {
        for temperature in [0.5, 1.0, 2.5] {
            let found = best_temperature(&drawn(temperature));
            assert!(
                (found / temperature - 1.0).abs() < 0.05,
                "{found} instead of {temperature}"
            );
        }
    }

    #[test]
    fn no_other_temperature_has_a_lower_log_loss() {
        let images = drawn(1.7);
        let best = log_loss(&images, 1.0 / best_temperature(&images))[0];
        for i in 1..200 {
            assert!(log_loss(&images, f64::from(i) * 0.02)[0] >= best - 1e-12, "{i}");
        }
    }

    #[test]
    fn answers_that_are_all_right_or_all_guesses_end_at_an_end() {
        let right = [logits(&[3.0, 1.0], 0), logits(&[0.0, 2.0], 1)];
        let wrong = [logits(&[3.0, 1.0], 1), logits(&[0.0, 2.0], 0)];
        assert_eq!([best_temperature(&right), best_temperature(&wrong)], [RANGE.0, RANGE.1]);
    }
}
