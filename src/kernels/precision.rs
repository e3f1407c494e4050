//! The number types of linear layers.

use super::buffer::LINE;

/// The number type of a linear layer's products. Sums are f32 (i32 for bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// f32 weights and activations.
    F32,
    /// bf16 weights. Activations are bf16 too, or f32 if the instruction set has no products of bf16.
    Bf16,
    /// Signed bytes: weights with one scale per output, activations with one scale per row, computed at run time.
    Int8,
}

impl Precision {
    /// Bytes per value.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::Bf16 => 2,
            Precision::Int8 => 1,
        }
    }

    /// Values per cache line.
    pub(crate) fn line_values(self) -> usize {
        LINE / self.bytes()
    }
}
