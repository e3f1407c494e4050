//! The arithmetic of a jpeg after its entropy coding: inverse cosine transform, chroma upsampling, colours.
//!
//! Called by `preprocess::jpeg`, a row of blocks or of pixels at a time. All of it is exact integer arithmetic that gives
//! libjpeg-turbo's bytes: `jidctint.c` (the accurate "islow" transform), `jdsample.c` ("fancy" upsampling), `jdcolor.c`. There is one
//! text, in plain loops; it is compiled once for every CPU and once for each instruction set, so the twins can't differ.

mod colour;
mod idct;
mod upsample;

pub(crate) use colour::{ycc_to_rgb, ycck_to_cmyk};
pub(crate) use idct::{BLOCK, idct_row};
pub(crate) use upsample::{double_height, double_width, double_width_of_sums, repeat};

use super::cpu::{Isa, Level};
use super::simd::{Kernel, Simd, Vector};

/// Work that the compiler vectorises by itself, once the instruction set is switched on.
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

/// Runs loops with the best instruction set; `work` calls `#[inline(always)]` functions only.
///
/// AVX2 and no higher: with AVX-512 the compiler turns the transposition of a block into gathers and scatters, which cost more than they save.
#[inline(always)]
fn fast(work: impl FnOnce()) {
    Isa::detect(Level::Avx2).run(Loops(work));
}
