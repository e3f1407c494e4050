//! The arithmetic of JPEG after entropy decoding: inverse DCT, chroma upsampling, colour conversion.
//!
//! `preprocess::jpeg` calls it with one row of blocks or pixels at a time. All of it is exact integer arithmetic that
//! matches libjpeg-turbo to the byte: `jidctint.c` (the accurate "islow" transform), `jidctred.c` (transforms to fewer
//! pixels), `jdsample.c` ("fancy" upsampling), `jdcolor.c`. The code is plain loops, compiled once for every CPU and once
//! per instruction set, so the versions cannot differ.

mod colour;
mod fixed_point;
mod idct;
mod reduced;
mod transform;
mod upsample;

pub(crate) use colour::{ycc_to_rgb, ycck_to_cmyk};
pub(crate) use transform::{BlockSide, idct_row};
pub(crate) use upsample::{double_height, double_width, double_width_of_sums, repeat};

use super::cpu::{Isa, Level};
use super::simd::{Kernel, Simd, Vector};

/// Coefficients per block.
pub(crate) const BLOCK: usize = 64;

/// Loops that the compiler vectorises when the instruction set is enabled.
struct Loops<F>(F);

impl<F: FnOnce()> Vector for Loops<F> {
    #[inline(always)]
    fn vector<S: Simd>(self, _simd: S) {
        (self.0)();
    }
}

impl<F: FnOnce()> Kernel for Loops<F> {
    fn plain(self) {
        (self.0)();
    }
}

/// Runs `work` with AVX2 if the CPU has it. `work` may call only `#[inline(always)]` functions.
///
/// AVX-512 is not used: the compiler would transpose a block with gathers and scatters, which cost more than they save.
#[inline(always)]
fn vectorised(work: impl FnOnce()) {
    Isa::detect(Level::Avx2).run(Loops(work));
}
