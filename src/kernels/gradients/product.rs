//! Products of matrices inside slices, by the `gemm` crate. Strides describe the layout, so nothing is transposed in
//! memory.

use gemm::Parallelism;

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix with contiguous rows.
    pub(crate) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Matrix::strided(values, rows, columns, columns)
    }

    /// A row-major matrix at the start of the slice, with `stride` values from one row to the next.
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

    /// The transposed matrix, without copying.
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

/// The threads that compute a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workers {
    /// Only the calling thread.
    One,
    /// All threads of the rayon pool.
    All,
}

/// What happens to the output's previous content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Update {
    /// It is overwritten.
    Store,
    /// The product is added to it.
    Add,
}

/// `out = factor * a · b`, or `out += factor * a · b`. `out` is row-major with `stride` values from one row to the
/// next.
pub(crate) fn product(
    (a, b): (Matrix<'_>, Matrix<'_>),
    factor: f32,
    (out, stride): (&mut [f32], usize),
    update: Update,
    workers: Workers,
) {
    assert_eq!(a.columns, b.rows, "the columns of `a` must match the rows of `b`");
    check(out.len(), a.rows, b.columns, stride);
    let distance = |stride: usize| isize::try_from(stride).expect("a slice's length fits");
    // SAFETY: the constructors and the check above make sure that all three matrices are inside their slices; `out` is
    // borrowed exclusively.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            distance(stride),
            update == Update::Add,
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
