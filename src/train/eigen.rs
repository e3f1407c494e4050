//! The eigenvalues and eigenvectors of a symmetric matrix, for principal components.
//!
//! Householder reflections make the matrix tridiagonal, and QL steps with implicit shifts make that diagonal (Golub and
//! Van Loan, *Matrix Computations*, sections 8.3.1 and 8.3.3). Runs once per training step, on a matrix as large as the
//! batch or the embedding, whichever is smaller. Row-major f64. A linear algebra crate would add nineteen dependencies
//! for this one function.

/// QL steps per eigenvalue. Two are usual; a matrix with a NaN would never end.
const STEPS_MAX: usize = 60;

/// A symmetric matrix `A` as `Σ values[i] vectors[i] vectors[i]ᵀ`.
pub(super) struct Eigen {
    /// Largest first.
    pub(super) values: Vec<f64>,
    /// `(n, n)` with orthonormal rows; row i belongs to value i.
    pub(super) vectors: Vec<f64>,
}

/// Decomposes a symmetric matrix `(n, n)`; `None` if it isn't finite.
///
/// # Panics
/// If `matrix` is not `n * n` long.
pub(super) fn eigen(mut matrix: Vec<f64>, n: usize) -> Option<Eigen> {
    assert_eq!(matrix.len(), n * n, "a matrix with {n} rows and columns");
    let reflections = tridiagonalise(&mut matrix, n);
    let mut vectors = accumulate(&reflections, n);
    let mut diagonal: Vec<f64> = (0..n).map(|i| matrix[i * n + i]).collect();
    let mut off_diagonal: Vec<f64> = (0..n)
        .map(|i| if i + 1 < n { matrix[(i + 1) * n + i] } else { 0.0 })
        .collect();
    diagonalise(&mut diagonal, &mut off_diagonal, &mut vectors)?;

    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| diagonal[*b].total_cmp(&diagonal[*a]));
    Some(Eigen {
        values: order.iter().map(|i| diagonal[*i]).collect(),
        vectors: order
            .iter()
            .flat_map(|i| &vectors[i * n..(i + 1) * n])
            .copied()
            .collect(),
    })
}

/// `I - factor * v vᵀ`, on the rows and columns from `first` on.
struct Reflection {
    first: usize,
    v: Vec<f64>,
    factor: f64,
}

/// Reflects the matrix from both sides until it is tridiagonal.
fn tridiagonalise(a: &mut [f64], n: usize) -> Vec<Reflection> {
    let mut reflections = Vec::new();
    for k in 0..n.saturating_sub(2) {
        let first = k + 1;
        let mut v: Vec<f64> = (first..n).map(|row| a[row * n + k]).collect();
        let length = dot(&v, &v).sqrt();
        if dot(&v[1..], &v[1..]) == 0.0 {
            continue; // The column is already zero.
        }
        let reflected = if v[0] > 0.0 { -length } else { length };
        v[0] -= reflected;
        let factor = 2.0 / dot(&v, &v);
        a[first * n + k] = reflected;

        // A ← H A H = A - v wᵀ - w vᵀ with p = factor * A v and w = p - (factor / 2)(p·v) v.
        let mut w: Vec<f64> = (first..n)
            .map(|row| factor * dot(&a[row * n + first..(row + 1) * n], &v))
            .collect();
        let half = factor / 2.0 * dot(&w, &v);
        w.iter_mut().zip(&v).for_each(|(w, v)| *w -= half * v);
        for (i, row) in a.chunks_exact_mut(n).skip(first).enumerate() {
            let columns = row[first..].iter_mut().zip(v.iter().zip(&w));
            columns.for_each(|(a, (v_j, w_j))| *a -= v[i] * w_j + w[i] * v_j);
        }
        reflections.push(Reflection { first, v, factor });
    }
    reflections
}

/// The product of all reflections, transposed: row i becomes eigenvector i.
fn accumulate(reflections: &[Reflection], n: usize) -> Vec<f64> {
    let mut q = vec![0.0; n * n];
    (0..n).for_each(|i| q[i * n + i] = 1.0);
    for Reflection { first, v, factor } in reflections.iter().rev() {
        // The rows and columns before `first` are still those of the identity.
        for row in q.chunks_exact_mut(n).skip(*first) {
            let part = factor * dot(&row[*first..], v);
            row[*first..].iter_mut().zip(v).for_each(|(q, v)| *q -= part * v);
        }
    }
    q
}

/// QL with implicit shifts: brings `off_diagonal` to zero and rotates the vectors accordingly.
fn diagonalise(diagonal: &mut [f64], off_diagonal: &mut [f64], vectors: &mut [f64]) -> Option<()> {
    let n = diagonal.len();
    for l in 0..n {
        let mut steps = 0;
        loop {
            let negligible =
                |i: &usize| off_diagonal[*i].abs() <= f64::EPSILON * (diagonal[*i].abs() + diagonal[*i + 1].abs());
            let m = (l..n - 1).find(negligible).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if steps == STEPS_MAX {
                return None;
            }
            steps += 1;
            ql_step(diagonal, off_diagonal, vectors, l..m);
        }
    }
    diagonal.iter().all(|value| value.is_finite()).then_some(())
}

/// One QL step on the rows from `block.start` to `block.end`, inclusive.
fn ql_step(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], block: std::ops::Range<usize>) {
    let (n, l, m) = (d.len(), block.start, block.end);
    // Wilkinson's shift: the eigenvalue of the first 2 x 2 block that is closer to its first element.
    let ratio = (d[l + 1] - d[l]) / (2.0 * e[l]);
    let mut g = d[m] - d[l] + e[l] / (ratio + ratio.hypot(1.0).copysign(ratio));
    let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
    for i in block.rev() {
        let (f, b) = (sine * e[i], cosine * e[i]);
        let r = f.hypot(g);
        e[i + 1] = r;
        if r == 0.0 {
            // The block splits here; the next steps take its halves.
            d[i + 1] -= moved;
            e[m] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = d[i + 1] - moved;
        let turned = (d[i] - g) * sine + 2.0 * cosine * b;
        moved = sine * turned;
        d[i + 1] = g + moved;
        g = cosine * turned - b;
        let (upper, lower) = vectors[i * n..(i + 2) * n].split_at_mut(n);
        for (x, y) in upper.iter_mut().zip(lower) {
            (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
        }
    }
    d[l] -= moved;
    e[l] = g;
    e[m] = 0.0;
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Four sums, so the compiler can use vector instructions.
    let mut sums = [0.0; 4];
    let (a_chunks, b_chunks) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a_chunks
        .remainder()
        .iter()
        .zip(b_chunks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        (0..4).for_each(|i| sums[i] += a[i] * b[i]);
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::testing::uniform;

    /// `A Aᵀ` of a pseudorandom `(n, inner)` matrix, whose rank is at most `inner`.
    fn gram(n: usize, inner: usize) -> Vec<f64> {
        let a = uniform("eigen", n * inner);
        let row = |i: usize| &a[i * inner..(i + 1) * inner];
        (0..n * n).map(|at| dot(row(at / n), row(at % n))).collect()
    }

    #[track_caller]
    fn check(matrix: &[f64], n: usize) {
        let found = eigen(matrix.to_vec(), n).unwrap();
        assert!(found.values.is_sorted_by(|a, b| a >= b), "{:?}", found.values);
        let scale = matrix.iter().fold(1e-300, |most: f64, value| most.max(value.abs())) * n as f64;
        let vector = |i: usize| &found.vectors[i * n..(i + 1) * n];
        for i in 0..n {
            for row in 0..n {
                let product = dot(&matrix[row * n..(row + 1) * n], vector(i));
                let error = (product - found.values[i] * vector(i)[row]).abs();
                assert!(error < 1e-13 * scale, "A v - λ v is {error} of {scale}");
            }
            for j in 0..n {
                let expected = f64::from(u8::from(i == j));
                let error = (dot(vector(i), vector(j)) - expected).abs();
                assert!(error < 1e-12, "vectors {i} and {j} are {error} off");
            }
        }
    }

    #[test]
    fn vectors_are_orthonormal_and_belong_to_their_values() {
        for n in [1, 2, 3, 5, 17, 64] {
            check(&gram(n, n + 3), n);
        }
    }

    #[test]
    fn values_may_be_equal_or_zero() {
        check(&gram(24, 5), 24);
        check(&[0.0; 36], 6);
        let identity: Vec<f64> = (0..49).map(|at| f64::from(u8::from(at % 8 == 0))).collect();
        check(&identity, 7);
    }

    #[test]
    fn values_equal_those_computed_by_hand() {
        let found = eigen(vec![2.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0, 0.0, -1.0], 3).unwrap();
        for (found, expected) in found.values.iter().zip([3.0, 1.0, -1.0]) {
            assert!((found - expected).abs() < 1e-14, "{found}");
        }
    }

    #[test]
    fn a_matrix_that_is_not_finite_has_no_result() {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut matrix = gram(5, 5);
            (matrix[7], matrix[11]) = (bad, bad);
            assert!(eigen(matrix, 5).is_none());
        }
    }

    #[test]
    fn an_empty_matrix_has_no_values() {
        assert!(eigen(Vec::new(), 0).unwrap().values.is_empty());
    }
}
