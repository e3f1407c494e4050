//! What a tower's layers are computed on: the operations of a transformer block, and two ways to carry them out.
//!
//! [`CandleEngine`] works on candle tensors: any device and number type, with gradients for training.
//! [`CpuEngine`] works on this crate's kernels: packed weights, fused passes, reused buffers. Both compute the same
//! equations, and tests hold one against the other. Activations are rows, `(n_rows, width)`: all sequences of a batch
//! stand end to end, so a short label never pays for a long one.

mod candle;
mod cpu;
mod layers;
mod shelf;
mod trained;

use std::ops::Range;

pub use self::candle::{CandleEngine, Gradients, Table, TensorSource, Watch};
pub use self::cpu::CpuEngine;
use crate::error::Result;
use crate::weights::Activation;

/// Added to a variance before its root; all CLIPs (upstream `LayerNorm`, torch's default).
const LAYER_NORM_EPSILON: f32 = 1e-5;

/// Which keys a query may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All of its sequence: the image tower.
    None,
    /// Itself and what stands before it: the text tower.
    Causal,
}

/// One sequence of a batch: its own rows, and rows before them that it shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Its own rows, at least one.
    pub rows: Range<usize>,
    /// Rows of another sequence that stand before its own, at its first positions; empty where it shares none. In a
    /// causal tower a row depends only on what stands before it, so a common beginning is computed once.
    pub prefix: Range<usize>,
}

impl Sequence {
    /// Tokens of the whole sequence.
    pub fn len(&self) -> usize {
        self.prefix.len() + self.rows.len()
    }

    /// Never: a sequence has at least one row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of its rows, in order.
    pub fn all_rows(&self) -> impl Iterator<Item = usize> {
        self.prefix.clone().chain(self.rows.clone())
    }
}

/// Where the sequences of a batch lie among its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    list: Vec<Sequence>,
}

impl Sequences {
    /// Sequences of these lengths, one behind the other, sharing nothing.
    ///
    /// # Panics
    /// If a length is 0.
    pub fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut start = 0;
        let list = lengths.into_iter().map(|length| {
            let rows = start..start + length;
            start = rows.end;
            Sequence { rows, prefix: 0..0 }
        });
        Sequences::of(list.collect())
    }

    /// These sequences.
    ///
    /// # Panics
    /// If one has no rows of its own.
    pub fn of(list: Vec<Sequence>) -> Self {
        assert!(
            list.iter().all(|sequence| !sequence.is_empty()),
            "a sequence has at least one row"
        );
        Sequences { list }
    }

    /// The sequences in order.
    pub fn list(&self) -> &[Sequence] {
        &self.list
    }

    /// The first own row of each sequence: the image tower's class token.
    pub fn first_rows(&self) -> Vec<usize> {
        self.list.iter().map(|sequence| sequence.rows.start).collect()
    }

    /// The last row of each sequence: the text tower's end token.
    pub fn last_rows(&self) -> Vec<usize> {
        self.list.iter().map(|sequence| sequence.rows.end - 1).collect()
    }
}

/// The names of a linear layer's parameters in upstream's layout, and which of its outputs are wanted.
#[derive(Debug, Clone)]
pub struct LinearNames<'a> {
    /// `(n_out, n_in)`, or of more axes that flatten to it (the patch convolution).
    pub weight: &'a str,
    /// `(n_out,)`.
    pub bias: Option<&'a str>,
    /// These rows of the weight only; all if `None`. The last block takes queries apart from keys and values.
    pub outputs: Option<Range<usize>>,
}

/// The operations that the towers are made of. Every function keeps the order of rows.
pub trait Engine: Sized {
    /// Where parameters come from, by upstream's names.
    type Source: ?Sized;
    /// Activations, `(n_rows, width)`.
    type Rows;
    /// Activations that only the next linear layer reads, in whatever form it likes best.
    type Operand;
    /// A linear layer, made ready.
    type Linear;
    /// A layer norm's gain and bias.
    type Norm;
    /// A table whose rows are looked up or added, `(n, width)`.
    type Table;

    /// Takes a linear layer from its source.
    fn linear(&self, source: &Self::Source, names: &LinearNames<'_>) -> Result<Self::Linear>;
    /// Takes a projection, stored `(n_in, n_out)` and applied as `x @ projection`.
    fn projection(&self, source: &Self::Source, name: &str) -> Result<Self::Linear>;
    /// Takes the gain and bias of a layer norm: `{prefix}.weight` and `{prefix}.bias`.
    fn norm(&self, source: &Self::Source, prefix: &str) -> Result<Self::Norm>;
    /// Takes a table; one of one axis counts as one row.
    fn table(&self, source: &Self::Source, name: &str) -> Result<Self::Table>;
    /// Takes the text tower's positions: merged from two tables, or stretched.
    fn text_positions(&self, source: &Self::Source) -> Result<Self::Table>;

    /// Puts row-major values `(n, width)` onto the engine.
    fn rows(&self, values: Vec<f32>, width: usize) -> Result<Self::Rows>;
    /// The values, row-major f32.
    fn values(&self, rows: Self::Rows) -> Result<Vec<f32>>;
    /// Row `positions[i]` of `position_table` added to row `ids[i]` of `token_table`, for each i.
    fn embed_tokens(
        &self,
        token_table: &Self::Table,
        ids: &[u32],
        position_table: &Self::Table,
        positions: &[u32],
    ) -> Result<Self::Rows>;
    /// Puts the class token before each picture's patches and adds the positions:
    /// `(n_images * n_patches, width)` to `(n_images * (n_patches + 1), width)`.
    fn embed_patches(&self, patches: Self::Rows, class: &Self::Table, positions: &Self::Table) -> Result<Self::Rows>;

    /// `linear(x)`.
    fn apply(&self, x: &Self::Rows, linear: &Self::Linear) -> Result<Self::Rows>;
    /// `norm(x)`.
    fn normalise(&self, x: Self::Rows, norm: &Self::Norm) -> Result<Self::Rows>;
    /// `linear(norm(x))`.
    fn norm_linear(&self, x: &Self::Rows, norm: &Self::Norm, linear: &Self::Linear) -> Result<Self::Rows>;
    /// `activation(linear(norm(x)))`.
    fn norm_linear_activate(
        &self,
        x: &Self::Rows,
        norm: &Self::Norm,
        linear: &Self::Linear,
        activation: Activation,
    ) -> Result<Self::Operand>;
    /// `x + linear(a)`.
    fn add_linear(&self, x: Self::Rows, a: Self::Operand, linear: &Self::Linear) -> Result<Self::Rows>;
    /// These rows of `x`, in this order.
    fn select(&self, x: &Self::Rows, rows: &[usize]) -> Result<Self::Rows>;
    /// Columns of `a`, then columns of `b`, row by row.
    fn beside(&self, a: &Self::Rows, b: &Self::Rows) -> Result<Self::Rows>;
    /// Attention of every row, where the sequences' own rows stand one behind the other: `qkv (n_rows, 3 * width)` to `(n_rows, width)`.
    fn attend(&self, qkv: &Self::Rows, sequences: &Sequences, heads: usize, mask: Mask) -> Result<Self::Operand>;
    /// Attention of one query a sequence over all of its keys: `q (n_sequences, width)`, `kv (n_rows, 2 * width)`
    /// to `(n_sequences, width)`.
    fn attend_one(&self, q: &Self::Rows, kv: &Self::Rows, sequences: &Sequences, heads: usize)
    -> Result<Self::Operand>;
}
