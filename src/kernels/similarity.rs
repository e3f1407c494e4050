//! Dot products of many stored embeddings with a few queries, for search.
//!
//! Embeddings are stored as f16, which takes half the memory and half the time of f32, because reading them dominates:
//! 512 dimensions are 1 KiB per row and some 40 vector instructions. Values are converted to f32 as they are read; sums
//! are f32. Rows are little-endian and need no alignment, so that a mapped file can be searched in place.

use super::simd::{Kernel, Simd, Vector};
use super::threads::{Threads, share};
use half::f16;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The number of independent sums, so that the latency of products (4 cycles) overlaps.
const CHAINS: usize = 4;
/// Rows per call of `take`. The products of one query with them are four cache lines.
const BLOCK_ROWS: usize = 64;
const VALUE_BYTES: usize = size_of::<f16>();

/// Rows of `dim` little-endian f16 values, in parts that may be anywhere in memory.
#[derive(Debug, Clone)]
pub struct StoredRows<'a> {
    parts: Vec<&'a [u8]>,
    dim: usize,
    n_rows: usize,
}

impl<'a> StoredRows<'a> {
    /// Takes parts of whole rows, in order.
    ///
    /// # Panics
    /// If `dim` is 0, or if a part is not a whole number of rows.
    pub fn new(parts: Vec<&'a [u8]>, dim: usize) -> Self {
        assert!(dim > 0, "a row has at least one number");
        let n_bytes: usize = parts.iter().map(|part| part.len()).sum();
        for part in &parts {
            let row_bytes = dim * VALUE_BYTES;
            assert!(
                part.len().is_multiple_of(row_bytes),
                "{} bytes in rows of {row_bytes}",
                part.len()
            );
        }
        StoredRows {
            n_rows: n_bytes / (dim * VALUE_BYTES),
            parts,
            dim,
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Passes all products with `queries (n_queries, dim)` to `take`, some rows at a time: the index of the first row,
    /// and `products[r * n_queries + q]`. Each worker processes a contiguous range of the rows, with a state of its own
    /// that `fresh` makes. The states are returned in the order of their ranges.
    pub fn fold<T: Send>(
        &self,
        queries: &[f32],
        threads: &Threads,
        fresh: impl Fn() -> T,
        take: impl Fn(&mut T, usize, &[f32]) + Sync,
    ) -> Vec<T> {
        let dim = self.dim;
        assert!(
            queries.len().is_multiple_of(dim),
            "{} values in rows of {dim}",
            queries.len()
        );
        let n_queries = queries.len() / dim;
        let states: Vec<Mutex<T>> = (0..threads.count()).map(|_| Mutex::new(fresh())).collect();
        threads.run(|worker, _| {
            let mut state = states[worker].lock().unwrap_or_else(PoisonError::into_inner);
            let mut products = vec![0.0; BLOCK_ROWS * n_queries];
            for (first, rows) in self.blocks(share(self.n_rows, threads.count(), worker)) {
                let out = &mut products[..rows.len() / (dim * VALUE_BYTES) * n_queries];
                threads.isa().run(BlockProducts {
                    rows,
                    queries,
                    dim,
                    out,
                });
                take(&mut state, first, out);
            }
        });
        let states = states.into_iter();
        states
            .map(|state| state.into_inner().unwrap_or_else(PoisonError::into_inner))
            .collect()
    }

    /// The rows of a range in blocks, each with the index of its first row. A block does not cross parts.
    fn blocks(&self, range: Range<usize>) -> impl Iterator<Item = (usize, &'a [u8])> {
        let row_bytes = self.dim * VALUE_BYTES;
        let starts = self.parts.iter().scan(0, move |start, part| {
            let own = *start;
            *start += part.len() / row_bytes;
            Some((own, *part))
        });
        starts.flat_map(move |(start, part)| {
            let end = start + part.len() / row_bytes;
            let (first, last) = (range.start.clamp(start, end), range.end.clamp(start, end));
            let rows = &part[(first - start) * row_bytes..(last - start) * row_bytes];
            let numbers = (first..).step_by(BLOCK_ROWS);
            numbers.zip(rows.chunks(BLOCK_ROWS * row_bytes))
        })
    }
}

/// The products of one block of rows.
struct BlockProducts<'a> {
    rows: &'a [u8],
    queries: &'a [f32],
    dim: usize,
    out: &'a mut [f32],
}

impl Vector for BlockProducts<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        let mut out = self.out.iter_mut();
        for row in self.rows.chunks_exact(self.dim * VALUE_BYTES) {
            for (query, out) in self.queries.chunks_exact(self.dim).zip(&mut out) {
                *out = dot(s, row, query);
            }
        }
    }
}

impl Kernel for BlockProducts<'_> {
    fn plain(self) {
        let mut out = self.out.iter_mut();
        for row in self.rows.chunks_exact(self.dim * VALUE_BYTES) {
            for (query, out) in self.queries.chunks_exact(self.dim).zip(&mut out) {
                let terms = values(row).zip(query);
                *out = terms.map(|(a, b)| a.to_f64() * f64::from(*b)).sum::<f64>() as f32;
            }
        }
    }
}

/// Decodes little-endian values.
fn values(bytes: &[u8]) -> impl Iterator<Item = f16> {
    let (pairs, _) = bytes.as_chunks();
    pairs.iter().map(|pair| f16::from_le_bytes(*pair))
}

#[inline(always)]
fn dot<S: Simd>(s: S, row: &[u8], query: &[f32]) -> f32 {
    assert_eq!(row.len(), query.len() * VALUE_BYTES, "dimensions");
    let whole = query.len() - query.len() % S::LANES;
    let step = CHAINS * S::LANES;
    let mut sums = [s.splat(0.0); CHAINS];
    let add = |sum: S::F, i: usize| {
        // SAFETY: `i + LANES` is at most `whole`, which is at most the length of both; the instruction sets with
        // vectors are little-endian, and `load_f16` allows any alignment.
        let (a, b) = unsafe {
            (
                s.load_f16(row.as_ptr().add(i * VALUE_BYTES).cast()),
                s.load(query.as_ptr().add(i)),
            )
        };
        s.mul_add(a, b, sum)
    };
    let chained = whole - whole % step;
    for i in (0..chained).step_by(step) {
        for (n, sum) in sums.iter_mut().enumerate() {
            *sum = add(*sum, i + n * S::LANES);
        }
    }
    for (n, i) in (chained..whole).step_by(S::LANES).enumerate() {
        sums[n] = add(sums[n], i);
    }
    let rest: f32 = values(&row[whole * VALUE_BYTES..])
        .zip(&query[whole..])
        .map(|(a, b)| a.to_f32() * b)
        .sum();
    s.sum(s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]))) + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{each_level, noise};

    fn stored(rows: &[f16]) -> Vec<u8> {
        rows.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// All products, `(n_rows, n_queries)`, from the states of the workers.
    fn products(rows: &StoredRows, queries: &[f32], threads: &Threads) -> Vec<f32> {
        let take = |all: &mut Vec<f32>, first: usize, some: &[f32]| {
            if all.is_empty() {
                all.push(first as f32);
            }
            all.extend(some);
        };
        let states = rows.fold(queries, threads, Vec::new, take);
        let mut all = Vec::new();
        for state in states.into_iter().filter(|state| !state.is_empty()) {
            if let Some(before) = all.len().checked_div(queries.len() / rows.dim) {
                assert_eq!(
                    state[0] as usize, before,
                    "a range starts at the end of the previous one"
                );
            }
            all.extend(&state[1..]);
        }
        all
    }

    /// The bound is one rounding per product and per sum, relative to the sum of absolute products.
    #[track_caller]
    fn check(n_rows: usize, n_queries: usize, dim: usize) {
        let rows: Vec<f16> = noise(1, n_rows * dim).into_iter().map(f16::from_f32).collect();
        let queries = noise(2, n_queries * dim);
        // Rows in three parts, the first of which is at an odd address.
        let bytes = [&[0], &stored(&rows)[..]].concat();
        let cuts = [0, n_rows / 3, n_rows / 2, n_rows].map(|row| 1 + row * dim * 2);
        let parts = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        let stored = StoredRows::new(parts, dim);
        assert_eq!(stored.len(), n_rows);
        each_level(|threads| {
            let out = products(&stored, &queries, threads);
            assert_eq!(out.len(), n_rows * n_queries);
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
    fn matches_exact_products_at_any_size() {
        for dim in [1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 256, 512, 768] {
            check(5, 3, dim);
        }
        for n_rows in [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 5 * BLOCK_ROWS + 3] {
            check(n_rows, 2, 16);
        }
        check(3, 0, 16);
        check(1, 1, 512);
    }

    #[test]
    fn a_row_that_is_not_finite_affects_only_its_own_product() {
        let mut rows = vec![f16::ONE; 3 * 20];
        rows[25] = f16::NAN;
        let bytes = stored(&rows);
        each_level(|threads| {
            let out = products(&StoredRows::new(vec![&bytes], 20), &[1.0; 20], threads);
            assert!(out[0] == 20.0 && out[1].is_nan() && out[2] == 20.0);
        });
    }
}
