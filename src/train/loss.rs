//! CLIP's contrastive loss.
//!
//! Each row of one batch is to be found among all rows of the other, both ways (Radford et al. 2021, figure 3), with
//! label smoothing as Long-CLIP trains (upstream `model_longclip.py`, `forward`). Called by `pcm.rs`.

use candle_core::{D, Tensor};
use candle_nn::ops::log_softmax;

/// The symmetric cross entropy between `a` and `b`, both `(n, dim)` of unit rows, of which row i belongs to row i; a
/// scalar.
///
/// `scale`, a scalar, is what cosines are multiplied with. `smoothing` is the part of the target that is spread over all
/// n rows.
///
/// # Errors
/// If the shapes don't fit.
pub fn clip_loss(a: &Tensor, b: &Tensor, scale: &Tensor, smoothing: f64) -> candle_core::Result<Tensor> {
    let logits = a.matmul(&b.t()?)?.broadcast_mul(scale)?; // (n, n)
    let one_way = cross_entropy_of_diagonal(&logits, smoothing)?;
    let other_way = cross_entropy_of_diagonal(&logits.t()?.contiguous()?, smoothing)?;
    (one_way + other_way)? / 2.0
}

/// The mean over rows of the cross entropy with the diagonal as the right answer: torch's `cross_entropy` with
/// `label_smoothing`, where the right answer gets `1 - smoothing` more than the others.
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
    fn a_sure_and_right_answer_costs_nothing_and_smoothing_punishes_being_too_sure() {
        assert!(loss(0.0, 50.0) < 1e-12);
        // -(0.95 log p + 0.05 log (1 - p)) with log (1 - p) = -50.
        assert!((loss(0.1, 50.0) - 0.05 * 50.0).abs() < 1e-9);
    }

    #[test]
    fn a_temperature_of_zero_guesses_among_all() {
        assert!((loss(0.1, 0.0) - 2f64.ln()).abs() < 1e-12);
    }
}
