//! Products of matrices that lie anywhere in a slice, by the `gemm` crate: strides say where, so nothing is transposed.

use gemm::Parallelism;

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, one row behind the other.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Matrix::strided(values, rows, columns, columns)
    }

    /// Row-major, from the slice's beginning, with `stride` values from one row to the next.
    pub(crate) fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check(values.len(), rows, columns, stride);
        Matrix {
            values,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// Rows as columns.
    pub(crate) fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

fn check(len: usize, rows: usize, columns: usize, stride: usize) {
    assert!(
        columns <= stride && (rows == 0 || (rows - 1) * stride + columns <= len),
        "{rows} rows of {columns}, {stride} apart, in {len} values"
    );
}

/// Who computes a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    /// The calling thread.
    One,
    /// All of the rayon pool.
    All,
}

/// What is written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// The product takes the place of what is there.
    Store,
    /// The product is added to it.
    Add,
}

/// `out = factor * a · b`, or added to it; `out` row-major with `stride` values from one row to the next.
pub(crate) fn product(
    (a, b): (Matrix<'_>, Matrix<'_>),
    factor: f32,
    (out, stride): (&mut [f32], usize),
    output: Output,
    workers: Workers,
) {
    assert_eq!(a.columns, b.rows, "columns of one and rows of the other");
    check(out.len(), a.rows, b.columns, stride);
    let distance = |stride: usize| isize::try_from(stride).expect("a slice's length fits");
    // SAFETY: constructors and the check above hold all three matrices inside their slices, of which `out` is borrowed
    // alone.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            distance(stride),
            output == Output::Add,
            a.values.as_ptr(),
            distance(a.column_stride),
            distance(a.row_stride),
            b.values.as_ptr(),
            distance(b.column_stride),
            distance(b.row_stride),
            1.0,
            factor,
            false,
            false,
            false,
            match workers {
                Workers::One => Parallelism::None,
                Workers::All => Parallelism::Rayon(0),
            },
        );
    }
}
