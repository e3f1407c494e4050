//! Arithmetic of the inverse DCTs, as in libjpeg: integers with fractional bits, several columns at once.

/// Fractional bits of the constants.
pub(super) const CONST_BITS: u32 = 13;
/// Fractional bits that are kept between the two passes.
pub(super) const PASS_BITS: u32 = 2;

/// `x` with [`CONST_BITS`] fractional bits.
pub(super) const fn fix(x: f64) -> i32 {
    (x * (1 << CONST_BITS) as f64 + 0.5) as i32
}

#[inline(always)]
fn each<const L: usize>(a: [i32; L], b: [i32; L], f: impl Fn(i32, i32) -> i32) -> [i32; L] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
pub(super) fn add<const L: usize>(a: [i32; L], b: [i32; L]) -> [i32; L] {
    each(a, b, i32::wrapping_add)
}

#[inline(always)]
pub(super) fn sub<const L: usize>(a: [i32; L], b: [i32; L]) -> [i32; L] {
    each(a, b, i32::wrapping_sub)
}

#[inline(always)]
pub(super) fn scale<const L: usize>(a: [i32; L], constant: i32) -> [i32; L] {
    a.map(|a| a.wrapping_mul(constant))
}

/// Drops `SHIFT` fractional bits, with rounding.
#[inline(always)]
pub(super) fn descale<const SHIFT: u32, const L: usize>(a: [i32; L]) -> [i32; L] {
    a.map(|a| a.wrapping_add(1 << (SHIFT - 1)) >> SHIFT)
}

#[inline(always)]
pub(super) fn transpose<const L: usize, const N: usize>(rows: [[i32; L]; N]) -> [[i32; N]; L] {
    let mut out = [[0; N]; L];
    for (y, row) in rows.iter().enumerate() {
        for (x, &value) in row.iter().enumerate() {
            out[x][y] = value;
        }
    }
    out
}

/// The byte of a level around 0.
#[inline(always)]
pub(super) fn pixel(level: i32) -> u8 {
    (level + 128).clamp(0, 255) as u8
}
