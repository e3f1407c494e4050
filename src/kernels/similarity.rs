//! Dot products of many stored embeddings with a few queries: what a search does.
//!
//! Embeddings are kept as f16, half the memory and half the time, since reading them is what takes long: 512 dimensions
//! are 1 KiB a row and some 40 vector instructions. Values become f32 as they are read; sums are f32.

use super::buffer::Shared;
use super::simd::{Kernel, Simd, Vector};
use super::threads::Threads;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::ops::Range;

/// Sums kept apart, so that the 4 cycles of a product's latency overlap.
const CHAINS: usize = 4;

/// `out[r * n_queries + q] = rows[r] · queries[q]`, for row-major `rows (n_rows, dim)` and `queries (n_queries, dim)`.
pub fn dot_products(rows: &[f16], queries: &[f32], dim: usize, out: &mut [f32], threads: &Threads) {
    assert!(
        dim > 0 && rows.len().is_multiple_of(dim) && queries.len().is_multiple_of(dim),
        "{} and {} values in rows of {dim}",
        rows.len(),
        queries.len()
    );
    let (n_rows, n_queries) = (rows.len() / dim, queries.len() / dim);
    assert_eq!(
        out.len(),
        n_rows * n_queries,
        "products of {n_rows} rows and {n_queries} queries"
    );
    let out = Shared::new(out);
    threads.split(n_rows, |part| {
        // SAFETY: parts are disjoint, and the slice is borrowed until all workers are done.
        let out =
            unsafe { std::slice::from_raw_parts_mut(out.get().add(part.start * n_queries), part.len() * n_queries) };
        let rows = &rows[part.start * dim..part.end * dim];
        threads.isa().run(Part {
            rows,
            queries,
            dim,
            out,
        });
    });
}

/// One worker's rows.
struct Part<'a> {
    rows: &'a [f16],
    queries: &'a [f32],
    dim: usize,
    out: &'a mut [f32],
}

impl Vector for Part<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        let mut out = self.out.iter_mut();
        for row in self.rows.chunks_exact(self.dim) {
            for (query, out) in self.queries.chunks_exact(self.dim).zip(&mut out) {
                *out = dot(s, row, query);
            }
        }
    }
}

impl Kernel for Part<'_> {
    fn plain(self) {
        let mut out = self.out.iter_mut();
        for row in self.rows.chunks_exact(self.dim) {
            for (query, out) in self.queries.chunks_exact(self.dim).zip(&mut out) {
                *out = row
                    .iter()
                    .zip(query)
                    .map(|(a, b)| a.to_f64() * f64::from(*b))
                    .sum::<f64>() as f32;
            }
        }
    }
}

#[inline(always)]
fn dot<S: Simd>(s: S, row: &[f16], query: &[f32]) -> f32 {
    assert_eq!(row.len(), query.len(), "dimensions");
    let whole = row.len() - row.len() % S::LANES;
    let mut sums = [s.splat(0.0); CHAINS];
    for (n, i) in (0..whole).step_by(S::LANES).enumerate() {
        // SAFETY: `i + LANES` is at most `whole`, the length of neither is less.
        let (a, b) = unsafe { (s.load_f16(row.as_ptr().add(i)), s.load(query.as_ptr().add(i))) };
        sums[n % CHAINS] = s.mul_add(a, b, sums[n % CHAINS]);
    }
    let rest: f32 = rest(whole..row.len(), row, query);
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]))) + rest
}

/// What is left after whole vectors.
fn rest(range: Range<usize>, row: &[f16], query: &[f32]) -> f32 {
    let mut values = [0.0; 16];
    let values = &mut values[..range.len()];
    row[range.clone()].convert_to_f32_slice(values);
    values.iter().zip(&query[range]).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{each_level, noise};

    /// Bound: a rounding a product and a sum, of the sum of sizes.
    #[track_caller]
    fn check(n_rows: usize, n_queries: usize, dim: usize) {
        let rows: Vec<f16> = noise(1, n_rows * dim).into_iter().map(f16::from_f32).collect();
        let queries = noise(2, n_queries * dim);
        each_level(|threads| {
            let mut out = vec![f32::NAN; n_rows * n_queries];
            dot_products(&rows, &queries, dim, &mut out, threads);
            for (i, found) in out.iter().enumerate() {
                let (row, query) = (i / n_queries, i % n_queries);
                let terms = rows[row * dim..][..dim].iter().zip(&queries[query * dim..][..dim]);
                let terms = terms.map(|(a, b)| a.to_f64() * f64::from(*b));
                let (exact, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                let bound = f64::from(f32::EPSILON) * (dim as f64 + 1.0) * size;
                assert!(
                    (f64::from(*found) - exact).abs() <= bound,
                    "{found} for {exact}: {:?}",
                    threads.level()
                );
            }
        });
    }

    #[test]
    fn equal_the_exact_products_at_any_size() {
        for dim in [1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 256, 512, 768] {
            check(5, 3, dim);
        }
        check(0, 2, 16);
        check(3, 0, 16);
        check(1, 1, 512);
    }

    #[test]
    fn a_row_that_is_not_finite_spoils_only_its_own() {
        let mut rows = vec![f16::ONE; 3 * 20];
        rows[25] = f16::NAN;
        each_level(|threads| {
            let mut out = [0.0; 3];
            dot_products(&rows, &[1.0; 20], 20, &mut out, threads);
            assert!(out[0] == 20.0 && out[1].is_nan() && out[2] == 20.0);
        });
    }
}
