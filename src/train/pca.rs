//! Reconstructs a batch of vectors from its first principal components, with gradients.
//!
//! Primary component matching (Long-CLIP, arXiv 2403.15378, section 3.2; upstream `model_longclip.py`, `PCA`) takes from
//! an image's embedding what it shares with the batch, and matches that with the short caption. candle has no singular
//! value decomposition, so this is a custom operation, in f64 on the CPU.
//!
//! The best approximation of rank k of `M (n, m)` is `Q M`, where `Q` projects onto the k leading eigenvectors `u` of
//! `M Mᵀ`. `Q` is the same for any basis of the kept eigenvectors, so its derivative divides only by differences between a
//! kept and a dropped eigenvalue: `dM = Q G + 2 W M` with `W = Σ s_ij / (λ_i - λ_j) (u_i u_jᵀ + u_j u_iᵀ)` over kept i and
//! dropped j, `s = Uᵀ (G Mᵀ + M Gᵀ) U / 2`, and `G` the gradient of the result.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, bail};

use super::eigen::eigen;

/// A gap between a kept and a dropped eigenvalue counts as zero below this share of the largest eigenvalue. There the
/// projection has no derivative, and rounding errors would dominate the gradient.
const SMALLEST_GAP: f64 = 1e-12;

/// Reconstructs the rows of `x (n, dim)` from their first `components` principal components: `(n, dim)`.
///
/// With at least `min(n, dim)` components, the result is `x`.
///
/// # Errors
/// If `x` is not a matrix, or not finite.
pub fn principal_part(x: &Tensor, components: usize) -> candle_core::Result<Tensor> {
    let (n, dim) = x.dims2()?;
    if components >= n.min(dim) {
        return Ok(x.clone());
    }
    let exact = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let mean = exact.mean_keepdim(0)?; // (1, dim)
    let centred = exact.broadcast_sub(&mean)?;
    // The operation works on the side with fewer vectors.
    let op = RankApproximation::new(components);
    let approximated = if n <= dim {
        centred.contiguous()?.apply_op1(op)?
    } else {
        centred.t()?.contiguous()?.apply_op1(op)?.t()?
    };
    approximated
        .broadcast_add(&mean)?
        .to_dtype(x.dtype())?
        .to_device(x.device())
}

/// The best approximation of rank `rank` of a matrix with at most as many rows as columns.
struct RankApproximation {
    rank: usize,
    /// Found in the forward pass and used again in the backward pass.
    spectrum: Mutex<Option<Spectrum>>,
}

/// The kept and the dropped eigenvectors of `M Mᵀ` as rows, and `1 / (λ_i - λ_j)` between them.
#[derive(Clone)]
struct Spectrum {
    kept: Tensor,         // (rank, n)
    dropped: Tensor,      // (n - rank, n)
    inverse_gaps: Tensor, // (rank, n - rank)
}

impl RankApproximation {
    fn new(rank: usize) -> Self {
        RankApproximation {
            rank,
            spectrum: Mutex::new(None),
        }
    }

    fn spectrum(&self, m: &Tensor) -> candle_core::Result<Spectrum> {
        let mut known = self.spectrum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let n = m.dim(0)?;
        let gram: Vec<f64> = m.matmul(&m.t()?)?.flatten_all()?.to_vec1()?;
        let Some(found) = eigen(gram, n) else {
            bail!("the embeddings of this batch are not finite");
        };
        let (kept, dropped) = found.values.split_at(self.rank);
        let smallest = SMALLEST_GAP * found.values.first().copied().unwrap_or(0.0).max(0.0);
        let inverse = |gap: f64| if gap > smallest { 1.0 / gap } else { 0.0 };
        let gaps = kept.iter().flat_map(|i| dropped.iter().map(move |j| inverse(i - j)));
        let vectors = Tensor::from_slice(&found.vectors, (n, n), &Device::Cpu)?;
        let spectrum = Spectrum {
            kept: vectors.narrow(0, 0, self.rank)?,
            dropped: vectors.narrow(0, self.rank, n - self.rank)?,
            inverse_gaps: Tensor::from_vec(gaps.collect(), (self.rank, n - self.rank), &Device::Cpu)?,
        };
        *known = Some(spectrum.clone());
        Ok(spectrum)
    }
}

impl CustomOp1 for RankApproximation {
    fn name(&self) -> &'static str {
        "low-rank approximation"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (CpuStorage::F64(values), Some((from, to))) = (storage, layout.contiguous_offsets()) else {
            bail!("a low-rank approximation needs contiguous f64 numbers");
        };
        let m = Tensor::from_slice(&values[from..to], layout.shape(), &Device::Cpu)?;
        let Spectrum { kept, .. } = self.spectrum(&m)?;
        let result = kept.t()?.matmul(&kept.matmul(&m)?)?; // Q M
        Ok((
            CpuStorage::F64(result.flatten_all()?.to_vec1()?),
            layout.shape().clone(),
        ))
    }

    fn bwd(&self, m: &Tensor, _result: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let m = m.detach();
        let Spectrum {
            kept,
            dropped,
            inverse_gaps,
        } = self.spectrum(&m)?;
        let g = gradient.detach().contiguous()?;
        let (kept_m, dropped_m) = (kept.matmul(&m)?, dropped.matmul(&m)?); // (.., columns)
        let (kept_g, dropped_g) = (kept.matmul(&g)?, dropped.matmul(&g)?);
        // 2 s_ij, with the factor 2 of the formula.
        let s = (kept_g.matmul(&dropped_m.t()?)? + kept_m.matmul(&dropped_g.t()?)?)?;
        let weights = (s * inverse_gaps)?; // (rank, n - rank)
        let onto_kept = (kept_g + weights.matmul(&dropped_m)?)?;
        let onto_dropped = weights.t()?.matmul(&kept_m)?;
        let back = (kept.t()?.matmul(&onto_kept)? + dropped.t()?.matmul(&onto_dropped)?)?;
        Ok(Some(back))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::train::testing::{assert_close, matrix, uniform, values};

    /// The gradient of `Σ weights * principal_part(x)` with respect to `x`.
    fn gradient(x: &[f64], rows: usize, components: usize, weights: &[f64]) -> Vec<f64> {
        let x = Var::from_tensor(&matrix(x, rows)).unwrap();
        let approximated = principal_part(&x, components).unwrap();
        let loss = (approximated * matrix(weights, rows)).unwrap().sum_all().unwrap();
        values(loss.backward().unwrap().get(&x).unwrap())
    }

    /// Compares the gradient with central differences.
    #[track_caller]
    fn check_gradient(x: &[f64], rows: usize, components: usize) {
        let weights = uniform("pca.weights", x.len());
        let loss = |x: &[f64]| {
            let approximated = values(&principal_part(&matrix(x, rows), components).unwrap());
            approximated.iter().zip(&weights).map(|(a, b)| a * b).sum::<f64>()
        };
        const STEP: f64 = 1e-5;
        let mut moved = x.to_vec();
        let differences: Vec<f64> = (0..x.len())
            .map(|i| {
                moved[i] = x[i] + STEP;
                let above = loss(&moved);
                moved[i] = x[i] - STEP;
                let below = loss(&moved);
                moved[i] = x[i];
                (above - below) / (2.0 * STEP)
            })
            .collect();
        assert_close(
            "the gradient",
            &gradient(x, rows, components, &weights),
            &differences,
            1e-6,
        );
    }

    #[test]
    fn the_gradient_equals_central_differences() {
        for (rows, dim) in [(5, 9), (6, 6), (9, 4)] {
            for components in 1..4 {
                check_gradient(&uniform("pca", rows * dim), rows, components);
            }
        }
    }

    #[test]
    fn kept_singular_values_may_be_equal() {
        // Four points on a square: two equally strong components, both kept, and a weaker third.
        let square = [
            3., 0., 0., -3., 0., 0., 0., 3., 0., 0., -3., 0., 0., 0., 0.5, 0., 0., -0.5,
        ];
        check_gradient(&square, 6, 2);
    }

    #[test]
    fn gradients_are_finite_without_a_gap_between_eigenvalues() {
        let equal_rows = [0.25; 24];
        let square = [3., 0., -3., 0., 0., 3., 0., -3.];
        for (x, rows, components) in [(&equal_rows[..], 6, 2), (&square, 4, 1), (&[0.0; 12], 4, 2)] {
            let found = gradient(x, rows, components, &uniform("pca.weights", x.len()));
            assert!(found.iter().all(|value| value.is_finite()), "{found:?}");
        }
    }

    #[test]
    fn all_components_together_are_the_batch_itself() {
        let x = uniform("pca", 40);
        for (rows, components) in [(4, 4), (4, 32), (10, 4)] {
            assert_eq!(values(&principal_part(&matrix(&x, rows), components).unwrap()), x);
            check_gradient(&x, rows, components);
        }
    }

    #[test]
    fn a_second_reconstruction_changes_nothing() {
        let once = principal_part(&matrix(&uniform("pca", 60), 6), 3).unwrap();
        let twice = principal_part(&once, 3).unwrap();
        assert_close("the second reconstruction", &values(&twice), &values(&once), 1e-12);
    }

    #[test]
    fn embeddings_that_are_not_finite_are_an_error() {
        let x = matrix(&[f64::NAN; 12], 3);
        assert!(principal_part(&x, 1).unwrap_err().to_string().contains("not finite"));
    }
}
