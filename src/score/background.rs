//! Thresholds of tags from a folder of images, so that a stated share of the images that don't show a tag gets it.
//!
//! Texts differ in how near they are to any image, so one threshold for all of them gives some tags to everything and
//! others to nothing. But most tags are on few images of a folder. So a tag's logits over the folder are mostly its
//! background: those of images that don't show it. Images that do are in the upper tail, so the background is described by
//! what lies below: its middle by the median, its spread by the distance from there down to the tenth percentile. The
//! background is taken as normal, and the threshold is its quantile: `median + spread z(1 - rate) / z(0.9)`, with the
//! standard normal quantile `z`.

use serde::Serialize;

/// The share of images without a tag that may get it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FalsePositives(f64);

impl FalsePositives {
    /// A share; `None` if it isn't above 0 and at most a half.
    pub fn new(share: f64) -> Option<Self> {
        (share > 0.0 && share <= 0.5).then_some(FalsePositives(share))
    }

    /// The share.
    pub fn share(self) -> f64 {
        self.0
    }
}

/// The share of images whose logits are below the percentile that the spread is measured at.
const LOW: f64 = 0.1;

/// The logits of labels over the images of a folder.
#[derive(Debug, Clone, Default)]
pub struct Background {
    /// For each label, its logit for each image.
    logits: Vec<Vec<f32>>,
    n_images: usize,
}

impl Background {
    /// With fewer images, the tenth percentile is made of too few of them to say anything.
    pub const IMAGES_MIN: usize = 50;

    /// Adds an image, with one logit for each label.
    ///
    /// # Panics
    /// If it is not as many as before.
    pub fn add(&mut self, logits: &[f64]) {
        if self.n_images == 0 {
            self.logits = vec![Vec::new(); logits.len()];
        }
        assert_eq!(self.logits.len(), logits.len(), "one logit for each label");
        for (of_label, logit) in self.logits.iter_mut().zip(logits) {
            of_label.push(*logit as f32);
        }
        self.n_images += 1;
    }

    /// How many images were added.
    pub fn n_images(&self) -> usize {
        self.n_images
    }

    /// A threshold for the logit of each label; `None` if there are fewer images than [`Background::IMAGES_MIN`].
    pub fn thresholds(&self, rate: FalsePositives) -> Option<Vec<f64>> {
        if self.n_images < Self::IMAGES_MIN {
            return None;
        }
        let scale = normal_quantile(1.0 - rate.0) / normal_quantile(1.0 - LOW);
        let threshold = |logits: &Vec<f32>| {
            let mut sorted: Vec<f64> = logits.iter().map(|logit| f64::from(*logit)).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let (middle, low) = (quantile(&sorted, 0.5), quantile(&sorted, LOW));
            middle + (middle - low) * scale
        };
        Some(self.logits.iter().map(threshold).collect())
    }
}

/// The quantile of sorted values, interpolated linearly between neighbours.
///
/// # Panics
/// If there are none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    below + (above - below) * position.fract()
}

/// The value that a standard normal variable is below with this probability, from 0.5 up to 1.
///
/// Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.23: within 4.5e-4.
fn normal_quantile(probability: f64) -> f64 {
    let t = (-2.0 * (1.0 - probability).ln()).sqrt();
    t - (2.515_517 + t * (0.802_853 + t * 0.010_328)) / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fixed sequence of standard normal numbers: sums of twelve uniform ones.
    fn normal_numbers(n: usize) -> Vec<f64> {
        let mut state = 1_u64;
        let mut uniform = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..n).map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0).collect()
    }

    #[test]
    fn quantiles_of_the_normal_distribution() {
        for (probability, expected) in [(0.5, 0.0), (0.9, 1.2816), (0.99, 2.3263), (0.999, 3.0902)] {
            assert!((normal_quantile(probability) - expected).abs() < 5e-4, "{probability}");
        }
    }

    /// The share of images without the tag that are above the threshold, if `n_with` of 2000 show it.
    fn measured(rate: f64, n_with: usize) -> f64 {
        let numbers = normal_numbers(4000);
        let mut background = Background::default();
        for (i, number) in numbers[..2000].iter().enumerate() {
            // Logits of another label, in another range, and of this one, 6 higher if the image shows it.
            background.add(&[
                number * 3.0 + 40.0,
                number * 2.0 - 5.0 + if i < n_with { 12.0 } else { 0.0 },
            ]);
        }
        let thresholds = background.thresholds(FalsePositives::new(rate).unwrap()).unwrap();
        let above = numbers[2000..]
            .iter()
            .filter(|number| *number * 2.0 - 5.0 > thresholds[1]);
        above.count() as f64 / 2000.0
    }

    #[test]
    fn the_stated_share_of_other_images_is_above_the_threshold() {
        for n_with in [0, 20, 200] {
            let share = measured(0.05, n_with);
            assert!((0.02..0.07).contains(&share), "{n_with} with the tag: {share}");
            assert!(measured(0.001, n_with) <= 0.003, "{n_with} with the tag");
        }
    }

    #[test]
    fn a_few_images_or_equal_ones_give_nothing_away() {
        let rate = FalsePositives::new(0.01).unwrap();
        let mut background = Background::default();
        (1..Background::IMAGES_MIN).for_each(|_| background.add(&[1.0]));
        assert_eq!(background.thresholds(rate), None);
        background.add(&[1.0]);
        assert_eq!(background.thresholds(rate), Some(vec![1.0]));
        assert_eq!([0.0, 0.6, -1.0, f64::NAN].map(FalsePositives::new), [None; 4]);
    }
}
