//! A batch of vectors rebuilt from its first principal components, with gradients.
//!
//! Primary component matching (Long-CLIP, arXiv 2403.15378, section 3.2; upstream `model_longclip.py`, `PCA`) takes from
//! an image's embedding what its batch has most in common, and matches that with the short caption. `pcm.rs` calls
//! [`principal_part`] with `(batch, embed_dim)`. candle has no singular value decomposition, so the rebuilding is a custom
//! operation here, in f64 on the CPU.
//!
//! The best approximation of rank k of `M (n, m)` is `Q M`, where `Q` projects on the k leading eigenvectors `u` of
//! `M Mᵀ`. `Q` doesn't know one kept vector from another, so its derivative divides only by differences between a kept
//! and a dropped eigenvalue: `dM = Q G + 2 W M` with `W = Σ s_ij / (λ_i - λ_j) (u_i u_jᵀ + u_j u_iᵀ)` over kept i and
//! dropped j, `s = Uᵀ (G Mᵀ + M Gᵀ) U / 2`, and `G` the gradient of the result.

use std::sync::Mutex;

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, bail};

use super::eigen::eigen;

/// A gap between a kept and a dropped eigenvalue below this part of the largest one counts as none: there the projection
/// has no derivative, and what rounding makes of it would drown everything else.
const SMALLEST_GAP: f64 = 1e-12;

/// Rebuilds the rows of `x (n, dim)` from their first `components` principal components: `(n, dim)`.
///
/// With as many components as the batch has rows, or the rows have numbers, nothing is lost: that is `x` itself.
///
/// # Errors
/// If `x` is no matrix, or holds something that is not finite.
pub fn principal_part(x: &Tensor, components: usize) -> candle_core::Result<Tensor> {
    let (n, dim) = x.dims2()?;
    if components >= n.min(dim) {
        return Ok(x.clone());
    }
    let exact = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    let mean = exact.mean_keepdim(0)?; // (1, dim)
    let centred = exact.broadcast_sub(&mean)?;
    // The operation works on the side with fewer vectors.
    let op = BestOfRank::new(components);
    let rebuilt = if n <= dim {
        centred.contiguous()?.apply_op1(op)?
    } else {
        centred.t()?.contiguous()?.apply_op1(op)?.t()?
    };
    rebuilt.broadcast_add(&mean)?.to_dtype(x.dtype())?.to_device(x.device())
}

/// The best approximation of rank `rank` of a matrix with at most as many rows as columns.
struct BestOfRank {
    rank: usize,
    /// Found on the way forward, needed on the way back.
    spectrum: Mutex<Option<Spectrum>>,
}

/// Eigenvectors of `M Mᵀ` as rows, kept ones and dropped ones, and `1 / (λ_i - λ_j)` between them.
#[derive(Clone)]
struct Spectrum {
    kept: Tensor,         // (rank, n)
    dropped: Tensor,      // (n - rank, n)
    inverse_gaps: Tensor, // (rank, n - rank)
}

impl BestOfRank {
    fn new(rank: usize) -> Self {
        BestOfRank {
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

impl CustomOp1 for BestOfRank {
    fn name(&self) -> &'static str {
        "best approximation of a rank"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (CpuStorage::F64(values), Some((from, to))) = (storage, layout.contiguous_offsets()) else {
            bail!("the principal components of other than contiguous f64 numbers");
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
        // s_ij twice, so that the factor 2 of the formula is in it.
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

    /// The gradient of `Σ weights * principal_part(x)` by `x`.
    fn gradient(x: &[f64], rows: usize, components: usize, weights: &[f64]) -> Vec<f64> {
        let x = Var::from_tensor(&matrix(x, rows)).unwrap();
        let rebuilt = principal_part(&x, components).unwrap();
        let loss = (rebuilt * matrix(weights, rows)).unwrap().sum_all().unwrap();
        values(loss.backward().unwrap().get(&x).unwrap())
    }

    /// Holds the gradient to central differences.
    #[track_caller]
    fn check_gradient(x: &[f64], rows: usize, components: usize) {
        let weights = uniform("pca.weights", x.len());
        let loss = |x: &[f64]| {
            let rebuilt = values(&principal_part(&matrix(x, rows), components).unwrap());
            rebuilt.iter().zip(&weights).map(|(a, b)| a * b).sum::<f64>()
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
    fn the_gradient_is_that_of_differences_for_wide_square_and_tall_batches() {
        for (rows, dim) in [(5, 9), (6, 6), (9, 4)] {
            for components in 1..4 {
                check_gradient(&uniform("pca", rows * dim), rows, components);
            }
        }
    }

    #[test]
    fn equal_singular_values_among_the_kept_ones_change_nothing() {
        // Four points on a square: both components are as strong, and both are kept; the third is weaker.
        let square = [
            3., 0., 0., -3., 0., 0., 0., 3., 0., 0., -3., 0., 0., 0., 0.5, 0., 0., -0.5,
        ];
        check_gradient(&square, 6, 2);
    }

    #[test]
    fn a_batch_without_a_gap_gives_finite_gradients() {
        let equal_rows = [0.25; 24];
        let square = [3., 0., -3., 0., 0., 3., 0., -3.];
        for (x, rows, components) in [(&equal_rows[..], 6, 2), (&square, 4, 1), (&[0.0; 12], 4, 2)] {
            let found = gradient(x, rows, components, &uniform("pca.weights", x.len()));
            assert!(found.iter().all(|value| value.is_finite()), "{found:?}");
        }
    }

    #[test]
    fn all_components_rebuild_the_batch_itself() {
        let x = uniform("pca", 40);
        for (rows, components) in [(4, 4), (4, 32), (10, 4)] {
            assert_eq!(values(&principal_part(&matrix(&x, rows), components).unwrap()), x);
            check_gradient(&x, rows, components);
        }
    }

    #[test]
    fn rebuilding_twice_changes_nothing_more() {
        let once = principal_part(&matrix(&uniform("pca", 60), 6), 3).unwrap();
        let twice = principal_part(&once, 3).unwrap();
        assert_close("the second rebuilding", &values(&twice), &values(&once), 1e-12);
    }

    #[test]
    fn embeddings_that_are_not_finite_are_an_error() {
        let x = matrix(&[f64::NAN; 12], 3);
        assert!(principal_part(&x, 1).unwrap_err().to_string().contains("not finite"));
    }
}
