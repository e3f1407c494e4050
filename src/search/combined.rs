//! Arithmetic with embeddings: a text or an image, more of one thing, less of another.

use crate::model::{norm, normalize};

/// Of unit vectors whose sum is shorter than this, nothing but rounding errors is left.
const SHORTEST: f64 = 1e-3;

/// The sum of embeddings, each normalised and times its weight, normalised. `None` if nothing is left: they cancel.
///
/// # Panics
/// If the embeddings have different lengths.
pub fn combined(terms: &[(f32, &[f32])]) -> Option<Vec<f32>> {
    let mut sum = vec![0.0; terms.first()?.1.len()];
    for (weight, embedding) in terms {
        assert_eq!(embedding.len(), sum.len(), "the length of an embedding");
        let mut unit = embedding.to_vec();
        normalize(&mut unit);
        sum.iter_mut().zip(unit).for_each(|(sum, value)| *sum += weight * value);
    }
    (norm(&sum) >= SHORTEST).then(|| {
        normalize(&mut sum);
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_unit_vectors_has_unit_length() {
        // The first is (1, 0) normalised.
        let sum = combined(&[(1.0, &[5.0, 0.0]), (0.75, &[0.0, 2.0])]).unwrap();
        assert!((sum[0] - 0.8).abs() < 1e-6 && (sum[1] - 0.6).abs() < 1e-6, "{sum:?}");
    }

    #[test]
    fn what_is_subtracted_from_itself_is_nothing() {
        assert_eq!(combined(&[(1.0, &[3.0, 4.0]), (-1.0, &[3.0, 4.0])]), None);
        assert_eq!(combined(&[]), None);
    }
}
