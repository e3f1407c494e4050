//! CLIP's contrastive loss: each row of one batch must be found among all rows of the other, in both directions.
//!
//! Radford et al. 2021, figure 3, with the label smoothing of Long-CLIP's training (upstream `model_longclip.py`,
//! `forward`).

use candle_core::{D, Tensor};
use candle_nn::ops::log_softmax;

/// The symmetric cross entropy between `a` and `b`, both `(n, dim)` with unit rows; row i of `a` matches row i of `b`. A
/// scalar.
///
/// Cosines are multiplied by the scalar `scale`. `smoothing` is the share of the target that is spread over all n rows.
///
/// # Errors
/// If the shapes don't fit.
pub fn clip_loss(a: &Tensor, b: &Tensor, scale: &Tensor, smoothing: f64) -> candle_core::Result<Tensor> {
    let logits = a.matmul(&b.t()?)?.broadcast_mul(scale)?; // (n, n)
    let one_way = cross_entropy_of_diagonal(&logits, smoothing)?;
    let other_way = cross_entropy_of_diagonal(&logits.t()?.contiguous()?, smoothing)?;
    (one_way + other_way)? / 2.0
}

/// The mean over rows of the cross entropy with the diagonal as target: torch's `cross_entropy` with `label_smoothing`,
/// whose target is `1 - smoothing` more than the others for the right answer.
fn cross_entropy_of_diagonal(logits: &Tensor, smoothing: f64) -> candle_core::Result<Tensor> {
    let log_p = log_softmax(logits, D::Minus1)?;
    let n = log_p.dim(0)?;
    let right = (&log_p * Tensor::eye(n, log_p.dtype(), log_p.device())?)?.sum_all()?;
    let all = (log_p.sum_all()? / n as f64)?;
    ((right * (1.0 - smoothing))? + (all * smoothing)?)? / -(n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::{matrix, values};

    fn loss(smoothing: f64, scale: f64) -> f64 {
        let a = matrix(&[1.0, 0.0, 0.0, 1.0], 2);
        let scale = Tensor::new(scale, a.device()).unwrap();
        values(&clip_loss(&a, &a, &scale, smoothing).unwrap())[0]
    }

    #[test]
    fn a_certain_right_answer_costs_nothing_without_smoothing() {
        assert!(loss(0.0, 50.0) < 1e-12);
        // -(0.95 log p + 0.05 log (1 - p)) with log (1 - p) = -50.
        assert!((loss(0.1, 50.0) - 0.05 * 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_scale_of_zero_is_a_uniform_guess() {
        assert!((loss(0.1, 0.0) - 2f64.ln()).abs() < 1e-12);
    }
}
