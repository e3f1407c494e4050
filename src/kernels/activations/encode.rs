//! Rounds rows of activations to their number type, in vectors and in plain code: see [`super::Activations`] for the layout.

use crate::kernels::buffer::LINE;
use crate::kernels::precision::Precision;
use crate::kernels::simd::Simd;

/// The scale of a row of signed bytes, of which the largest becomes 127.
#[inline(always)]
pub(crate) fn byte_scale<S: Simd>(s: S, x: &[f32]) -> f32 {
    largest(s, x) / 127.0
}

/// Rounds a row to `precision` and writes it as cache lines, `stride` bytes apart, with zeroes after its end. Signed bytes
/// are divided by `scale`.
///
/// # Safety
/// A line of 64 bytes is writable at each stride that `x` needs, including a partial last one.
#[inline(always)]
pub(crate) unsafe fn encode<S: Simd>(
    s: S,
    (precision, scale): (Precision, f32),
    x: &[f32],
    to: *mut u8,
    stride: usize,
) {
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let values = precision.line_values();
    let mut lines = x.chunks_exact(values);
    let mut to = to;
    for line in &mut lines {
        // SAFETY: the caller's promise for this line.
        unsafe { encode_line(s, precision, line, inverse, to) };
        to = to.wrapping_add(stride);
    }
    let rest = lines.remainder();
    if !rest.is_empty() {
        let mut line = [0.0; LINE];
        line[..rest.len()].copy_from_slice(rest);
        // SAFETY: the caller's promise for the last line.
        unsafe { encode_line(s, precision, &line[..values], inverse, to) };
    }
}

/// # Safety
/// 64 bytes are writable at `to`.
#[inline(always)]
unsafe fn encode_line<S: Simd>(s: S, precision: Precision, line: &[f32], inverse: f32, to: *mut u8) {
    assert_eq!(line.len(), precision.line_values());
    for i in (0..line.len()).step_by(S::LANES) {
        // SAFETY: `i + LANES` values fit the line in either form, since both are multiples of the lanes.
        unsafe {
            let x = s.load(line.as_ptr().add(i));
            match precision {
                Precision::F32 | Precision::Bf16 => store_float(s, precision, to.add(i * precision.bytes()), x),
                Precision::Int8 => s.store_i8(to.add(i), s.mul(x, s.splat(inverse))),
            }
        }
    }
}

/// Stores a vector as f32 or rounded to bf16.
///
/// # Safety
/// `LANES` values of that type are writable at `to`.
#[inline(always)]
pub(crate) unsafe fn store_float<S: Simd>(s: S, precision: Precision, to: *mut u8, x: S::F) {
    // SAFETY: the caller's promise.
    unsafe {
        match precision {
            Precision::F32 => s.store(to.cast(), x),
            Precision::Bf16 | Precision::Int8 => s.store_bf16(to, x),
        }
    }
}

/// Adds 128 to signed bytes, which makes them unsigned.
///
/// # Safety
/// `lines` lines of 64 bytes, `stride` apart, are readable and writable.
#[inline(always)]
pub(super) unsafe fn offset<S: Simd>(s: S, at: *mut u8, stride: usize, lines: usize) {
    for line in 0..lines {
        for word in (0..LINE / 4).step_by(S::LANES) {
            // SAFETY: the caller's promise for this line.
            unsafe {
                let at = at.add(line * stride + word * 4);
                s.store_words(at, s.xor(s.load_words(at), s.splat_word(0x8080_8080)));
            }
        }
    }
}

/// The largest |x| of a row. If the row has a NaN or ∞, the result is NaN or ∞ too, so that nothing hides it.
#[inline(always)]
fn largest<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut top = s.splat(0.0);
    // `max` drops a NaN when the next value comes; 0 · x keeps it.
    let mut not_finite = s.splat(0.0);
    let mut vectors = x.chunks_exact(S::LANES);
    for vector in &mut vectors {
        // SAFETY: the chunk holds `LANES` values.
        let v = unsafe { s.load(vector.as_ptr()) };
        top = s.max(top, s.abs(v));
        not_finite = s.mul_add(v, s.splat(0.0), not_finite);
    }
    let rest = vectors.remainder();
    let (rest_top, rest_not_finite) = rest
        .iter()
        .fold((0.0_f32, 0.0), |(top, sum), v| (top.max(v.abs()), sum + 0.0 * v));
    s.largest(top).max(rest_top) + s.sum(not_finite) + rest_not_finite
}

/// The scale of a row of bytes, largest |x| / 127; 1 for the other types.
pub(crate) fn scale_plain(precision: Precision, x: &[f32]) -> f32 {
    match precision {
        Precision::F32 | Precision::Bf16 => 1.0,
        Precision::Int8 => x.iter().fold(0.0, |top: f32, v| top.max(v.abs()) + 0.0 * v) / 127.0,
    }
}

/// Encodes one line of a row in plain code: values are rounded to nearest even, with zeroes after the last.
pub(crate) fn encode_plain(precision: Precision, values: &[f32], scale: f32, line: &mut [u8; LINE]) {
    line.fill(0);
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    for (x, bytes) in values.iter().zip(line.chunks_exact_mut(precision.bytes())) {
        match precision {
            Precision::F32 => bytes.copy_from_slice(&x.to_le_bytes()),
            Precision::Bf16 => bytes.copy_from_slice(&half::bf16::from_f32(*x).to_le_bytes()),
            Precision::Int8 => bytes[0] = ((x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8).cast_unsigned(),
        }
    }
}
