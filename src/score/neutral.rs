//! Neutral prompts: general texts, which show how well any text fits an image.
//!
//! `level = ln(mean(exp(exp(logit_scale) * cosine_j)))` over the prompts j. This is the logit of a prompt that is as
//! likely as they are on average. A label's logit minus the level is the logarithm of how many times more likely the
//! label is.

use super::dot;
use crate::model::{MeasuredTexts, norm};

/// How far the best label's logit must be above the level of the built-in neutral prompts. Chosen on the validation
/// images of nano; see `docs/scores.md`.
pub const CALIBRATED_MARGIN: f64 = 0.5;

/// The embeddings of at least one neutral prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Neutral(MeasuredTexts);

impl Neutral {
    /// Takes the embeddings of the prompts; `None` if there are none.
    pub fn new(texts: MeasuredTexts) -> Option<Self> {
        (!texts.rows().0.is_empty()).then_some(Neutral(texts))
    }

    /// The logit of the prompts for an image, `(embed_dim,)`.
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

/// `ln(Σ exp(x_i) / n)`, shifted by the largest value so that nothing overflows.
fn log_mean_exp(logits: &[f64]) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    largest + (sum / logits.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_mean_exp_is_exact_and_does_not_overflow() {
        assert!((log_mean_exp(&[1000.0, 1000.0]) - 1000.0).abs() < 1e-9);
        let naive = ((1f64.exp() + 2f64.exp() + (-3f64).exp()) / 3.0).ln();
        assert!((log_mean_exp(&[1.0, 2.0, -3.0]) - naive).abs() < 1e-12);
    }
}
