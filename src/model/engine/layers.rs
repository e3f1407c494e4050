//! Linear layers of the CPU engine: read from the checkpoint when they are needed, kept from their second use on.
//!
//! A process that classifies one picture passes each layer once. Packing all of them beforehand would write a tower into
//! fresh memory to read it again from there; so the first use packs a layer into room that the next layer takes over,
//! and that is still in the last cache when the product reads it. Who uses a layer again will do so for many
//! pictures: then it is packed once more, and stays.

use std::ops::{Deref, Range};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::LinearNames;
use super::shelf::Lent;
use crate::error::{Error, Result};
use crate::kernels::{Linear, NotFinite, Precision, Threads, Weights};
use crate::weights::Checkpoint;

/// A linear layer by the names of its parameters.
pub struct CpuLinear {
    weight: String,
    bias: Option<String>,
    /// Rows of the stored weight that are its outputs.
    outputs: Range<usize>,
    n_in: usize,
    precision: Precision,
    stored: Stored,
    was_used: AtomicBool,
    kept: OnceLock<Linear>,
}

/// Which axis of the stored weight comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    OutputsFirst,
    InputsFirst,
}

/// A layer, packed.
pub(super) enum Packed<'a> {
    Kept(&'a Linear),
    ForNow(Lent<Linear>),
}

impl Deref for Packed<'_> {
    type Target = Linear;

    fn deref(&self) -> &Linear {
        match self {
            Packed::Kept(linear) => linear,
            Packed::ForNow(linear) => linear,
        }
    }
}

impl CpuLinear {
    /// A layer stored `(n_out, n_in)`, or of more axes that flatten to it.
    pub(super) fn new(checkpoint: &Checkpoint, names: &LinearNames<'_>, precision: Precision) -> Self {
        let shape = checkpoint.shape(names.weight);
        let outputs = names.outputs.clone().unwrap_or(0..shape[0]);
        let n_in = shape[1..].iter().product();
        CpuLinear {
            bias: names.bias.map(str::to_owned),
            ..CpuLinear::without_bias(names.weight, (outputs, n_in), precision, Stored::OutputsFirst)
        }
    }

    /// A layer without bias, stored `(n_in, n_out)`.
    pub(super) fn projection(checkpoint: &Checkpoint, name: &str, precision: Precision) -> Self {
        let shape = checkpoint.shape(name);
        CpuLinear::without_bias(name, (0..shape[1], shape[0]), precision, Stored::InputsFirst)
    }

    fn without_bias(
        weight: &str,
        (outputs, n_in): (Range<usize>, usize),
        precision: Precision,
        stored: Stored,
    ) -> Self {
        CpuLinear {
            weight: weight.to_owned(),
            bias: None,
            outputs,
            n_in,
            precision,
            stored,
            was_used: AtomicBool::new(false),
            kept: OnceLock::new(),
        }
    }

    /// The number type of its products.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// The layer, packed: for this use in `room`, which is asked for once; from the second use on for good.
    ///
    /// # Errors
    /// [`Error::BadTensors`] if a weight isn't finite; else as [`Checkpoint::values`].
    pub(super) fn packed(
        &self,
        checkpoint: &Checkpoint,
        room: impl FnOnce() -> Lent<Linear>,
        threads: &Threads,
    ) -> Result<Packed<'_>> {
        if let Some(kept) = self.kept.get() {
            return Ok(Packed::Kept(kept));
        }
        if self.was_used.swap(true, Ordering::Relaxed) {
            let mut linear = Linear::room(self.precision);
            self.pack(checkpoint, &mut linear, threads)?;
            return Ok(Packed::Kept(self.kept.get_or_init(|| linear)));
        }
        let mut linear = room();
        self.pack(checkpoint, &mut linear, threads)?;
        Ok(Packed::ForNow(linear))
    }

    fn pack(&self, checkpoint: &Checkpoint, linear: &mut Linear, threads: &Threads) -> Result<()> {
        let weight = checkpoint.unchecked(&self.weight)?;
        let bias = self.bias.as_ref().map(|bias| checkpoint.unchecked(bias)).transpose()?;
        let bias = bias.as_ref().map(|bias| &bias[self.outputs.clone()]);
        let shape = (self.outputs.len(), self.n_in);
        let packed = match self.stored {
            Stored::OutputsFirst => {
                let rows = &weight[self.outputs.start * self.n_in..self.outputs.end * self.n_in];
                linear.pack_again(Weights::F32(rows), bias, shape, threads)
            }
            Stored::InputsFirst => {
                let turned = turned(&weight, shape);
                linear.pack_again(Weights::F32(&turned), bias, shape, threads)
            }
        };
        checkpoint.release(&self.weight);
        packed.map_err(|NotFinite| not_finite(checkpoint, &self.weight))
    }
}

/// `(n_in, n_out)` to `(n_out, n_in)`.
fn turned(values: &[f32], (n_out, n_in): (usize, usize)) -> Vec<f32> {
    let places = (0..n_out).flat_map(|out| (0..n_in).map(move |i| i * n_out + out));
    places.map(|place| values[place]).collect()
}

/// The error that says which value isn't finite.
fn not_finite(checkpoint: &Checkpoint, name: &str) -> Error {
    checkpoint.values(name).err().unwrap_or_else(|| Error::BadTensors {
        path: checkpoint.path().to_owned(),
        layout: checkpoint.layout().into(),
        problems: vec![format!(
            "`{name}` had a value that isn't finite, and changed while it was read"
        )],
        hint: Some("don't write to a weights file that is in use; run again".into()),
    })
}
