//! Packs the weights of a layer into panels, on all workers: row-major `(n_out, n_in)` to `[panel][step][32
//! outputs][word]`.
//!
//! The 32 rows of a panel are rounded into cache lines like activations, then transposed word by word. Each weight is
//! read once, in the type it is stored in, and only the packed form is kept.

use super::Linear;
use crate::kernels::activations::{byte_scale, encode, encode_plain, scale_plain};
use crate::kernels::all_finite;
use crate::kernels::buffer::{LINE, Shared};
use crate::kernels::precision::Precision;
use crate::kernels::simd::tile::{LINE_STEPS, PANEL, STEP};
use crate::kernels::simd::{Kernel, Simd, Vector};
use crate::kernels::threads::{Threads, share};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Weights in the type they are stored in.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// IEEE half precision.
    F16(&'a [f16]),
    /// The upper half of an f32.
    Bf16(&'a [bf16]),
}

impl<'a> Weights<'a> {
    /// The number of weights.
    pub(super) fn len(&self) -> usize {
        match self {
            Weights::F32(w) => w.len(),
            Weights::F16(w) => w.len(),
            Weights::Bf16(w) => w.len(),
        }
    }

    /// The weights in `range` as f32. Those of other types are converted into `room`.
    fn row<'b>(&self, range: Range<usize>, room: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Weights::F32(w) => return &w[range],
            Weights::F16(w) => w[range].convert_to_f32_slice(room),
            Weights::Bf16(w) => w[range].convert_to_f32_slice(room),
        }
        room
    }
}

/// A weight is infinite or NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFinite;

/// Fills the panels of `linear`, and for bytes also its scales and offsets.
pub(super) fn pack(linear: &mut Linear, weights: Weights<'_>, threads: &Threads) -> Result<(), NotFinite> {
    let (n_panels, shape) = (linear.n_panels(), (linear.n_out, linear.n_in));
    let (precision, lines) = (linear.precision, linear.lines);
    let panels = Shared::new(linear.panels.bytes_mut());
    let scales = Shared::new(&mut linear.scales);
    let offsets = Shared::new(&mut linear.offsets);
    let found_not_finite = AtomicBool::new(false);
    threads.run(|worker, scratch| {
        scratch.reserve(PANEL * lines * LINE);
        threads.isa().run(Pack {
            weights,
            shape,
            precision,
            lines,
            part: share(n_panels, threads.count(), worker),
            rows: &mut scratch.bytes_mut()[..PANEL * lines * LINE],
            panels,
            scales,
            offsets,
            found_not_finite: &found_not_finite,
        });
    });
    match found_not_finite.into_inner() {
        true => Err(NotFinite),
        false => Ok(()),
    }
}

/// The panels that one worker packs.
struct Pack<'a> {
    weights: Weights<'a>,
    shape: (usize, usize),
    precision: Precision,
    lines: usize,
    part: Range<usize>,
    /// The 32 rows of a panel, rounded: `[row][line][64 bytes]`.
    rows: &'a mut [u8],
    panels: Shared<u8>,
    scales: Shared<f32>,
    offsets: Shared<i32>,
    found_not_finite: &'a AtomicBool,
}

impl Pack<'_> {
    /// Rounds the rows of panel `p` with `round(row, destination) -> scale`, and stores scales and offsets. `added` is
    /// [`Simd::ADDED`].
    #[inline(always)]
    fn round_rows(&mut self, p: usize, added: u8, round: impl Fn(&[f32], &mut [u8]) -> f32) {
        let (n_out, n_in) = self.shape;
        let mut room = vec![0.0; n_in];
        self.rows.fill(0);
        for (i, to) in self.rows.chunks_exact_mut(self.lines * LINE).enumerate() {
            let output = p * PANEL + i;
            if output >= n_out {
                return;
            }
            let row = self.weights.row(output * n_in..(output + 1) * n_in, &mut room);
            // Checked here because the row is in the first-level cache.
            if !all_finite(row) {
                self.found_not_finite.store(true, Ordering::Relaxed);
            }
            let scale = round(row, to);
            if self.precision == Precision::Int8 {
                let sum: i32 = to.iter().map(|byte| i32::from(byte.cast_signed())).sum();
                // SAFETY: `output` is less than `n_out`, and panel `p` belongs to this worker alone.
                unsafe {
                    self.scales.get().add(output).write(scale);
                    self.offsets.get().add(output).write(-i32::from(added) * sum);
                }
            }
        }
    }

    /// The address of panel `p`.
    fn panel(&self, p: usize) -> *mut u8 {
        self.panels.get().wrapping_add(p * self.lines * LINE_STEPS * STEP)
    }
}

impl Vector for Pack<'_> {
    #[inline(always)]
    fn vector<S: Simd>(mut self, s: S) {
        for p in self.part.clone() {
            let precision = self.precision;
            // SAFETY: `to` has room for all lines of a row.
            self.round_rows(p, S::ADDED, |row, to| unsafe {
                let scale = match precision {
                    Precision::Int8 => byte_scale(s, row).max(s.least_weight_scale(row)),
                    Precision::F32 | Precision::Bf16 => 1.0,
                };
                encode(s, (precision, scale), row, to.as_mut_ptr(), LINE);
                scale
            });
            let row_bytes = self.lines * LINE;
            for step in (0..self.lines * LINE_STEPS).step_by(S::LANES) {
                for output in (0..PANEL).step_by(S::LANES) {
                    // SAFETY: `LANES` divides 16 and 32, so the block is inside 32 rows of `row_bytes` and inside the
                    // panel, which belongs to this worker alone.
                    unsafe {
                        let from = self.rows.as_ptr().add(output * row_bytes + step * 4);
                        s.transpose(from, row_bytes, self.panel(p).add(step * STEP + output * 4), STEP);
                    }
                }
            }
            for step in (0..self.lines * LINE_STEPS).step_by(2) {
                // SAFETY: as above; the number of steps is even.
                unsafe { s.arrange(precision, self.panel(p).add(step * STEP)) };
            }
        }
    }
}

impl Kernel for Pack<'_> {
    fn plain(mut self) {
        for p in self.part.clone() {
            let precision = self.precision;
            self.round_rows(p, 128, |row, to| {
                let scale = scale_plain(precision, row);
                let (lines, _) = to.as_chunks_mut::<LINE>();
                for (values, line) in row.chunks(precision.line_values()).zip(lines) {
                    encode_plain(precision, values, scale, line);
                }
                scale
            });
            let steps = self.lines * LINE_STEPS;
            for (i, word) in self.rows.chunks_exact(4).enumerate() {
                let (output, step) = (i / steps, i % steps);
                // SAFETY: the word is inside the panel, which belongs to this worker alone.
                unsafe { self.panel(p).add(step * STEP + output * 4).copy_from(word.as_ptr(), 4) };
            }
        }
    }
}
