//! Chroma upsampling as in libjpeg: the "fancy" triangle filter for a ratio of 2, repetition for other ratios.
//!
//! Rounding biases alternate between neighbours (1 and 2 of 4, 8 and 7 of 16), so that rounding errors do not
//! accumulate. This is libjpeg's ordered dither.

use super::vectorised;

/// Doubles the width: 3/4 of the nearer and 1/4 of the farther pixel. `row` has at least 2 pixels, `out` twice as many.
pub(crate) fn double_width(row: &[u8], out: &mut [u8]) {
    widen(row, out, [1, 2], 2);
}

/// Doubles the height and the width: rows are combined as in [`double_height`] but not divided by 4, then widened.
pub(crate) fn double_width_of_sums(near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
    assert!(
        near.len() == far.len() && near.len() == sums.len(),
        "rows and sums of one length"
    );
    vectorised(
        #[inline(always)]
        || {
            for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
                *sum = 3 * u16::from(near) + u16::from(far);
            }
        },
    );
    widen(sums, out, [8, 7], 4);
}

#[inline(always)]
fn widen<T: Copy + Into<u16> + Sync>(row: &[T], out: &mut [u8], [left_bias, right_bias]: [u16; 2], shift: u32) {
    let n = row.len();
    assert!(
        n >= 2 && out.len() == 2 * n,
        "{n} values make twice as many, not {}",
        out.len()
    );
    let at = |i: usize| -> u16 { row[i].into() };
    out[0] = ((4 * at(0) + left_bias) >> shift) as u8;
    out[1] = ((3 * at(0) + at(1) + right_bias) >> shift) as u8;
    out[2 * n - 2] = ((3 * at(n - 1) + at(n - 2) + left_bias) >> shift) as u8;
    out[2 * n - 1] = ((4 * at(n - 1) + right_bias) >> shift) as u8;
    let inner = &mut out[2..2 * n - 2];
    vectorised(
        #[inline(always)]
        || {
            for (around, pair) in row.windows(3).zip(inner.chunks_exact_mut(2)) {
                let [left, this, right]: [u16; 3] = [around[0].into(), around[1].into(), around[2].into()];
                pair[0] = ((3 * this + left + left_bias) >> shift) as u8;
                pair[1] = ((3 * this + right + right_bias) >> shift) as u8;
            }
        },
    );
}

/// A row between two rows: 3/4 of `near` and 1/4 of `far`. `bias` is 1 for the upper of two new rows, 2 for the lower.
pub(crate) fn double_height(near: &[u8], far: &[u8], bias: u16, out: &mut [u8]) {
    assert!(near.len() == far.len() && near.len() == out.len(), "rows of one length");
    vectorised(
        #[inline(always)]
        || {
            for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
                *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
            }
        },
    );
}

/// Repeats each pixel `times` times.
pub(crate) fn repeat(row: &[u8], times: usize, out: &mut [u8]) {
    for (out, &pixel) in out.chunks_mut(times).zip(row) {
        out.fill(pixel);
    }
}
