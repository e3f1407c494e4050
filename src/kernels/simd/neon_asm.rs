//! Instructions of 64-bit ARM for which Rust has no stable intrinsics yet.
//!
//! Registers of bytes, bf16 and sums are all passed as words.

use std::arch::aarch64::*;
use std::arch::asm;

/// Defines a function that computes `sum` from `sum`, `a` and `b` with one instruction.
macro_rules! accumulate {
    ($(#[$doc:meta])* $name:ident, $feature:literal, $instruction:literal) => {
        $(#[$doc])*
        #[inline]
        #[target_feature(enable = $feature)]
        pub(super) fn $name(mut sum: uint32x4_t, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
            // SAFETY: only these registers are used, and the feature is enabled.
            unsafe {
                asm!(
                    $instruction,
                    sum = inout(vreg) sum,
                    a = in(vreg) a,
                    b = in(vreg) b,
                    options(pure, nomem, nostack, preserves_flags)
                );
            }
            sum
        }
    };
}

/// Adds the products of four signed bytes of `a` and those in word `LANE` of `b` to each word.
#[inline]
#[target_feature(enable = "dotprod")]
pub(super) fn sdot_lane<const LANE: i32>(mut sum: uint32x4_t, a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    // SAFETY: only these registers are used, and the feature is enabled.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.4b[{lane}]",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}

accumulate! {
    /// Adds a product of matrices of signed bytes: `a` has two rows of 8 bytes, `b` two columns of 8, `sum` 2 × 2 i32.
    smmla, "i8mm", "smmla {sum:v}.4s, {a:v}.16b, {b:v}.16b"
}
accumulate! {
    /// Adds a product of matrices of bf16: `a` has two rows of 4 values, `b` two columns of 4, `sum` 2 × 2 f32.
    bfmmla, "bf16", "bfmmla {sum:v}.4s, {a:v}.8h, {b:v}.8h"
}

/// Rounds to bf16, to nearest even, in the lower half of the result. The upper half is 0.
#[inline]
#[target_feature(enable = "bf16")]
pub(super) fn bfcvtn(a: float32x4_t) -> uint16x8_t {
    let out: uint16x8_t;
    // SAFETY: only these registers are used, and the feature is enabled.
    unsafe {
        asm!(
            "bfcvtn {out:v}.4h, {a:v}.4s",
            out = out(vreg) out,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    out
}

/// Converts four f16 to f32. Every CPU with NEON can.
#[inline(always)]
pub(super) fn fcvtl(a: uint16x4_t) -> float32x4_t {
    let out: float32x4_t;
    // SAFETY: only these registers are used.
    unsafe {
        asm!(
            "fcvtl {out:v}.4s, {a:v}.4h",
            out = out(vreg) out,
            a = in(vreg) a,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    out
}
