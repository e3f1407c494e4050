//! Neutral prompts: texts that were not asked for, and so tell how well just any text fits a picture.
//!
//! `level = ln(mean(exp(exp(logit_scale) * cosine_j)))` over the prompts j: the logit of one prompt that is as likely as
//! they are on average. A label's logit minus this is the logarithm of how many times likelier the label is.

use super::dot;
use crate::model::{MeasuredTexts, norm};

/// Logits above the built-in neutral prompts from which on a picture shows one of the labels: chosen on nano's validation
/// pictures, as `docs/scores.md` says.
pub const CALIBRATED_MARGIN: f64 = 1.0;

/// Neutral prompts' embeddings, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Neutral(MeasuredTexts);

impl Neutral {
    /// Takes the embeddings of the prompts; `None` where there are none.
    pub fn new(texts: MeasuredTexts) -> Option<Self> {
        (!texts.rows().0.is_empty()).then_some(Neutral(texts))
    }

    /// The prompts' logit for a picture, `(embed_dim,)`.
    pub(super) fn level(&self, image: &[f32], multiplier: f64) -> f64 {
        let image_norm = norm(image);
        let logits = self.0.rows().0.rows().enumerate().map(|(i, text)| {
            let norms = image_norm * self.0.norm(i);
            if norms > 0.0 {
                multiplier * dot(image, text) / norms
            } else {
                0.0
            }
        });
        log_mean_exp(&logits.collect::<Vec<f64>>())
    }
}

/// `ln(Σ exp(x_i) / n)`, shifted by the largest so that nothing overflows.
fn log_mean_exp(logits: &[f64]) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    largest + (sum / logits.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_equal_logits_is_theirs_and_large_ones_dont_overflow() {
        assert!((log_mean_exp(&[1000.0, 1000.0]) - 1000.0).abs() < 1e-9);
        let naive = ((1f64.exp() + 2f64.exp() + (-3f64).exp()) / 3.0).ln();
        assert!((log_mean_exp(&[1.0, 2.0, -3.0]) - naive).abs() < 1e-12);
    }
}
