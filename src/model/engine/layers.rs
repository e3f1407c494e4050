//! Linear layers of the CPU engine. They are read from the checkpoint when needed and kept from their second use on.
//!
//! A process that classifies one image uses each layer once. Packing all layers in advance would write a whole tower to
//! fresh memory and read it back. So on its first use a layer is packed into a buffer that the next layer reuses, and
//! the product finds it in the last-level cache. A layer that is used a second time will probably be used many more
//! times; then it is packed once more and kept.

use std::ops::{Deref, Range};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::LinearNames;
use super::pool::Pooled;
use crate::error::{Error, Result};
use crate::kernels::gradients::linear::WeightOrder;
use crate::kernels::{Linear, NotFinite, Precision, Threads, Weights};
use crate::weights::{Checkpoint, transposed};

/// A linear layer, given by the names of its parameters.
pub struct CpuLinear {
    weight: String,
    bias: Option<String>,
    /// The rows of the stored weight that this layer computes.
    outputs: Range<usize>,
    n_in: usize,
    precision: Precision,
    order: WeightOrder,
    was_used: AtomicBool,
    kept: OnceLock<Linear>,
}

/// A packed layer.
pub(super) enum Packed<'a> {
    /// Kept for later uses.
    Kept(&'a Linear),
    /// In a buffer that is reused after this use.
    OneUse(Pooled<Linear>),
}

impl Deref for Packed<'_> {
    type Target = Linear;

    fn deref(&self) -> &Linear {
        match self {
            Packed::Kept(linear) => linear,
            Packed::OneUse(linear) => linear,
        }
    }
}

impl CpuLinear {
    /// A layer stored as `(n_out, n_in)`, or with more axes that flatten to it.
    pub(super) fn new(checkpoint: &Checkpoint, names: &LinearNames<'_>, precision: Precision) -> Self {
        let shape = checkpoint.shape(names.weight);
        let outputs = names.outputs.clone().unwrap_or(0..shape[0]);
        let n_in = shape[1..].iter().product();
        CpuLinear::of(names.weight, names.bias, (outputs, n_in), precision, WeightOrder::OutIn)
    }

    /// A layer stored as `(n_in, n_out)`.
    pub(super) fn projection(checkpoint: &Checkpoint, name: &str, bias: Option<&str>, precision: Precision) -> Self {
        let shape = checkpoint.shape(name);
        CpuLinear::of(name, bias, (0..shape[1], shape[0]), precision, WeightOrder::InOut)
    }

    fn of(
        weight: &str,
        bias: Option<&str>,
        (outputs, n_in): (Range<usize>, usize),
        precision: Precision,
        order: WeightOrder,
    ) -> Self {
        CpuLinear {
            weight: weight.to_owned(),
            bias: bias.map(str::to_owned),
            outputs,
            n_in,
            precision,
            order,
            was_used: AtomicBool::new(false),
            kept: OnceLock::new(),
        }
    }

    /// The number type of its products.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// The packed layer: on first use in the buffer that `buffer` returns, later in memory of its own that is kept.
    ///
    /// # Errors
    /// [`Error::BadTensors`] if a weight isn't finite; otherwise as [`Checkpoint::values`].
    pub(super) fn packed(
        &self,
        checkpoint: &Checkpoint,
        buffer: impl FnOnce() -> Pooled<Linear>,
        threads: &Threads,
    ) -> Result<Packed<'_>> {
        if let Some(kept) = self.kept.get() {
            return Ok(Packed::Kept(kept));
        }
        if self.was_used.swap(true, Ordering::Relaxed) {
            let mut linear = Linear::empty(self.precision);
            self.pack(checkpoint, &mut linear, threads)?;
            return Ok(Packed::Kept(self.kept.get_or_init(|| linear)));
        }
        let mut linear = buffer();
        self.pack(checkpoint, &mut linear, threads)?;
        Ok(Packed::OneUse(linear))
    }

    fn pack(&self, checkpoint: &Checkpoint, linear: &mut Linear, threads: &Threads) -> Result<()> {
        let weight = checkpoint.unchecked(&self.weight)?;
        let bias = self.bias.as_ref().map(|bias| checkpoint.unchecked(bias)).transpose()?;
        let bias = bias.as_ref().map(|bias| &bias[self.outputs.clone()]);
        let shape = (self.outputs.len(), self.n_in);
        let packed = match self.order {
            WeightOrder::OutIn => {
                let rows = &weight[self.outputs.start * self.n_in..self.outputs.end * self.n_in];
                linear.pack_again(Weights::F32(rows), bias, shape, threads)
            }
            WeightOrder::InOut => {
                let weight = transposed(&weight, self.n_in, shape.0);
                linear.pack_again(Weights::F32(&weight), bias, shape, threads)
            }
        };
        checkpoint.release(&self.weight);
        packed.map_err(|NotFinite| not_finite(checkpoint, &self.weight))
    }
}

/// An error that says which value isn't finite.
fn not_finite(checkpoint: &Checkpoint, name: &str) -> Error {
    checkpoint.values(name).err().unwrap_or_else(|| Error::BadTensors {
        path: checkpoint.path().to_owned(),
        layout: checkpoint.layout().into(),
        problems: vec![format!(
            "`{name}` had a value that isn't finite, and the file changed while it was read"
        )],
        hint: Some("do not write to a weights file that is in use; run again".into()),
    })
}
