//! 95% confidence intervals.
//!
//! [`wilson`] is for a share of right answers (Wilson, *Probable inference, the law of succession, and statistical
//! inference*, 1927); it stays within 0 to 1 and is accurate near the ends. [`percentiles`] of resamples is for anything
//! else (Efron and Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13). [`clustered`] is for shares whose
//! answers come in clusters, such as the captions of one image, and so depend on each other. It uses Wilson's interval with
//! the number of independent answers that would vary as much (Korn and Graubard, *Confidence intervals for proportions with
//! small expected number of positive counts estimated from survey data*, 1998).

use serde_json::{Value, json};

use crate::score::quantile;

/// The 0.975 quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A measured value and its 95% interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The measured value.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// A share as `76.3%`.
    pub(super) fn percent(&self) -> String {
        percent(self.value)
    }

    /// The interval of a share as `75.1 to 77.5%`.
    pub(super) fn interval_percent(&self) -> String {
        format!("{:.1} to {:.1}%", 100.0 * self.low, 100.0 * self.high)
    }

    /// `[low, high]`.
    pub(super) fn interval_json(&self) -> Value {
        json!([self.low, self.high])
    }
}

/// A share as `76.3%`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// The share `n_right / n` with Wilson's interval; NaN in 0 to 1 if `n` is 0.
pub fn wilson(n_right: usize, n: usize) -> Estimate {
    if n == 0 {
        return Estimate {
            value: f64::NAN,
            low: 0.0,
            high: 1.0,
        };
    }
    wilson_of_share(n_right as f64 / n as f64, n as f64)
}

/// (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n), for a share `p` of `n` answers. `n` may be a fraction.
fn wilson_of_share(p: f64, n: f64) -> Estimate {
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    Estimate {
        value: p,
        // These ends are exact in theory; rounding would move them.
        low: if p == 0.0 { 0.0 } else { (middle - half) / whole },
        high: if p == 1.0 { 1.0 } else { (middle + half) / whole },
    }
}

/// A share whose answers come in clusters of `(right, all)` answers. With clusters of one, the same as [`wilson`].
pub fn clustered(clusters: &[(u32, u32)]) -> Estimate {
    let sum = |of: fn(&(u32, u32)) -> u32| clusters.iter().map(|cluster| f64::from(of(cluster))).sum::<f64>();
    let (right, all) = (sum(|cluster| cluster.0), sum(|cluster| cluster.1));
    if all == 0.0 {
        return wilson(0, 0);
    }
    let share = right / all;
    let deviation = |cluster: &(u32, u32)| (f64::from(cluster.0) - share * f64::from(cluster.1)).powi(2);
    let sum_of_squares: f64 = clusters.iter().map(deviation).sum();
    // The variance of the share is sum_of_squares / all²; that of n independent answers is p (1 - p) / n.
    let n = match share * (1.0 - share) > 0.0 {
        true => (share * (1.0 - share) * all * all / sum_of_squares).min(all),
        // All are right or all wrong: a cluster counts as one answer.
        false => clusters.len() as f64,
    };
    wilson_of_share(share, n)
}

/// `value` with the interval of the middle 95% of `resampled`, interpolated linearly.
///
/// # Panics
/// If `resampled` is empty.
pub fn percentiles(value: f64, mut resampled: Vec<f64>) -> Estimate {
    assert!(!resampled.is_empty(), "an interval needs resamples");
    resampled.sort_unstable_by(f64::total_cmp);
    Estimate {
        value,
        low: quantile(&resampled, 0.025),
        high: quantile(&resampled, 0.975),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(n_right: usize, n: usize, low: f64, high: f64) {
        let found = wilson(n_right, n);
        assert!(
            (found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5,
            "{found:?}"
        );
    }

    #[test]
    fn wilson_equals_statsmodels() {
        // statsmodels' proportion_confint(method="wilson").
        check(0, 10, 0.0, 0.27753);
        check(10, 10, 0.72247, 1.0);
        check(8, 10, 0.49016, 0.94332);
        check(500, 1000, 0.46907, 0.53093);
    }

    #[test]
    fn a_cluster_of_equal_answers_counts_as_one() {
        // R. G. Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I, method 3.
        for n in [1, 5] {
            let found = clustered(&(0..263).map(|i| (if i < 81 { n } else { 0 }, n)).collect::<Vec<_>>());
            assert!(
                (found.low - 0.2553).abs() < 5e-5 && (found.high - 0.3662).abs() < 5e-5,
                "{found:?}"
            );
        }
        let none = clustered(&[(0, 5); 20]);
        assert!(none.low == 0.0 && (none.high - 0.1611).abs() < 5e-5, "{none:?}");
        assert_eq!(clustered(&[]).high, 1.0);
        // Answers that differ within clusters as if by chance count as independent ones, not as more.
        assert_eq!(clustered(&[(1, 2); 100]), wilson(100, 200));
    }

    #[test]
    fn percentiles_are_interpolated_linearly() {
        let found = percentiles(0.5, (0..=100).rev().map(f64::from).collect());
        assert_eq!((found.low, found.high), (2.5, 97.5));
        assert_eq!(percentiles(0.5, vec![3.0]).high, 3.0);
    }
}
