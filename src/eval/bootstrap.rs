//! The paired bootstrap: which differences between two models are significant, given that the images are a sample.
//!
//! Images are drawn with replacement, as many as there are, and the difference of each metric is computed for the images
//! drawn, the same ones for both models. This is repeated many times; the interval holds the middle 95% of the differences
//! (percentiles; Efron and Tibshirani, *An introduction to the bootstrap*, 1993, chapter 13). An image's captions are
//! drawn with it. The same seed draws the same images on every machine.

use super::interval::{Estimate, percentiles};
use crate::random::Random;

/// The settings of a bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// The number of repetitions.
    pub n_resamples: usize,
    /// Decides which images are drawn.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Bootstrap {
            n_resamples: 10_000,
            seed: 0,
        }
    }
}

/// A metric of the first model minus that of the second, with its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference(pub Estimate);

impl Difference {
    /// Whether the interval excludes 0.
    pub fn is_real(&self) -> bool {
        self.0.low > 0.0 || self.0.high < 0.0
    }
}

impl Bootstrap {
    /// The differences of metrics between two models on the same `n_units` images.
    ///
    /// `differences` is given how often each image was drawn, and returns one difference per metric.
    ///
    /// # Panics
    /// If `n_units` or `n_resamples` is 0.
    pub fn paired(&self, n_units: usize, differences: impl Fn(&[u32]) -> Vec<f64>) -> Vec<Difference> {
        let values = differences(&vec![1; n_units]);
        let mut random = Random::new(self.seed, 0);
        let mut drawn: Vec<Vec<f64>> = vec![Vec::with_capacity(self.n_resamples); values.len()];
        let mut times = vec![0_u32; n_units];
        for _ in 0..self.n_resamples {
            times.fill(0);
            (0..n_units).for_each(|_| times[random.below(n_units)] += 1);
            for (drawn, difference) in drawn.iter_mut().zip(differences(&times)) {
                drawn.push(difference);
            }
        }
        let differences = values.into_iter().zip(drawn);
        differences
            .map(|(value, drawn)| Difference(percentiles(value, drawn)))
            .collect()
    }
}

/// A metric that is the ratio of two sums over images: a share of answers, or a mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratio {
    /// What each image adds to the numerator and to the denominator.
    pub parts: Vec<(f64, f64)>,
}

impl Ratio {
    /// The metric if image i counts `times[i]` times. NaN if the denominator is 0.
    pub fn value(&self, times: &[u32]) -> f64 {
        let (mut numerator, mut denominator) = (0.0, 0.0);
        for ((a, b), times) in self.parts.iter().zip(times) {
            numerator += a * f64::from(*times);
            denominator += b * f64::from(*times);
        }
        numerator / denominator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(right: impl Iterator<Item = bool>) -> Ratio {
        Ratio {
            parts: right.map(|right| (f64::from(u8::from(right)), 1.0)).collect(),
        }
    }

    fn compare(a: &Ratio, b: &Ratio, seed: u64) -> Difference {
        let bootstrap = Bootstrap {
            seed,
            ..Bootstrap::default()
        };
        bootstrap.paired(a.parts.len(), |times| vec![a.value(times) - b.value(times)])[0]
    }

    #[test]
    fn the_interval_is_that_of_a_paired_difference() {
        // 400 images: both models are right on 200, only the first on 60, only the second on 30.
        let a = ratio((0..400).map(|i| i < 260));
        let b = ratio((0..400).map(|i| i < 200 || (260..290).contains(&i)));
        let found = compare(&a, &b, 1);
        assert!((found.0.value - 0.075).abs() < 1e-12);
        // The standard error of a paired difference is sqrt((60 + 30) / n - d²) / sqrt(n), as in McNemar's test.
        let error = ((90.0 / 400.0 - 0.075_f64.powi(2)) / 400.0).sqrt();
        // The quantiles of 10,000 draws vary by about 2% of the error.
        assert!((found.0.low - (0.075 - 1.96 * error)).abs() < 0.1 * error, "{found:?}");
        assert!((found.0.high - (0.075 + 1.96 * error)).abs() < 0.1 * error, "{found:?}");
        assert!(found.is_real());
        assert_eq!(found, compare(&a, &b, 1));
        assert_ne!(found, compare(&a, &b, 2));
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let a = ratio((0..50).map(|i| i % 3 == 0));
        let found = compare(&a, &a, 0);
        assert_eq!((found.0.value, found.0.low, found.0.high), (0.0, 0.0, 0.0));
        assert!(!found.is_real());
    }

    #[test]
    fn captions_are_drawn_with_their_image() {
        // Five captions of an image that all agree are no more evidence than one.
        let once = |n: f64| {
            let a = Ratio {
                parts: (0..60).map(|i| (f64::from(u8::from(i < 34)) * n, n)).collect(),
            };
            let b = Ratio {
                parts: (0..60)
                    .map(|i| (f64::from(u8::from((10..38).contains(&i))) * n, n))
                    .collect(),
            };
            compare(&a, &b, 3)
        };
        assert_eq!(once(1.0), once(5.0));
        assert!(!once(1.0).is_real());
    }
}
