//! Engines compute the layers of the towers: the operations of a transformer block, implemented in two ways.
//!
//! [`CandleEngine`] uses candle tensors: any device and number type, and gradients for training. [`CpuEngine`] uses
//! this crate's kernels: packed weights, fused passes, reused buffers. Both compute the same equations, and tests
//! compare them. Activations are rows, `(n_rows, width)`: the sequences of a batch are concatenated without padding, so
//! a short label costs no more because of a long one.

mod candle;
mod cpu;
mod layers;
mod pool;
mod sources;
mod trained;

use std::ops::Range;

pub use self::candle::{AttentionHook, CandleEngine, Gradients};
pub use self::cpu::CpuEngine;
pub use self::sources::{Table, TensorSource};
use crate::error::Result;
use crate::recipe::Activation;

/// Which keys a query attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All of its sequence: the image tower.
    None,
    /// Itself and those before it: the text tower.
    Causal,
}

/// One sequence of a batch: its own rows, and possibly a prefix that it shares with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Its own rows, at least one.
    pub rows: Range<usize>,
    /// The rows of the shared prefix, which come before its own; empty if there is none. In a causal tower a row
    /// depends only on those before it, so a common prefix is computed once.
    pub prefix: Range<usize>,
}

impl Sequence {
    /// The number of tokens of the whole sequence, prefix included.
    pub fn len(&self) -> usize {
        self.prefix.len() + self.rows.len()
    }

    /// Always false: a sequence has at least one row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of its rows in order, prefix included.
    pub fn all_rows(&self) -> impl Iterator<Item = usize> {
        self.prefix.clone().chain(self.rows.clone())
    }
}

/// The sequences of a batch, as ranges of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    list: Vec<Sequence>,
}

impl Sequences {
    /// Contiguous sequences of these lengths without shared prefixes.
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

    /// Takes a list of sequences.
    ///
    /// # Panics
    /// If a sequence has no rows of its own.
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
}

/// The names of a linear layer's parameters in upstream's layout, and which of its outputs to load.
#[derive(Debug, Clone)]
pub struct LinearNames<'a> {
    /// `(n_out, n_in)`, or with more axes that flatten to it (the patch convolution).
    pub weight: &'a str,
    /// `(n_out,)`.
    pub bias: Option<&'a str>,
    /// Only these rows of the weight; all if `None`. The last block loads queries separately from keys and values.
    pub outputs: Option<Range<usize>>,
}

/// The operations that the towers consist of. Every function keeps the order of rows.
pub trait Engine: Sized {
    /// Where parameters are read from, by upstream's names.
    type Source: ?Sized;
    /// Activations, `(n_rows, width)`.
    type Rows;
    /// Activations that only the next linear layer reads, in the form that suits it.
    type Operand;
    /// A linear layer, ready to use.
    type Linear;
    /// A layer norm's gain and bias.
    type Norm;
    /// A table whose rows are looked up or added, `(n, width)`.
    type Table;

    /// Loads a linear layer.
    fn linear(&self, source: &Self::Source, names: &LinearNames<'_>) -> Result<Self::Linear>;
    /// Loads a projection, which is stored `(n_in, n_out)` and applied as `x @ projection`, and its bias if it has one.
    fn projection(&self, source: &Self::Source, name: &str, bias: Option<&str>) -> Result<Self::Linear>;
    /// Loads the gain and bias of a layer norm, `{prefix}.weight` and `{prefix}.bias`; `epsilon` is added to a variance.
    fn norm(&self, source: &Self::Source, prefix: &str, epsilon: f32) -> Result<Self::Norm>;
    /// Loads a table. A tensor with one axis becomes one row.
    fn table(&self, source: &Self::Source, name: &str) -> Result<Self::Table>;
    /// Loads the position table of the text tower, which may be merged from two tables or stretched.
    fn text_positions(&self, source: &Self::Source) -> Result<Self::Table>;

    /// Makes rows from row-major values `(n, width)`.
    fn rows(&self, values: Vec<f32>, width: usize) -> Result<Self::Rows>;
    /// The values of rows, row-major f32.
    fn values(&self, rows: Self::Rows) -> Result<Vec<f32>>;
    /// For each i, row `ids[i]` of `token_table` plus row `positions[i]` of `position_table`.
    fn embed_tokens(
        &self,
        token_table: &Self::Table,
        ids: &[u32],
        position_table: &Self::Table,
        positions: &[u32],
    ) -> Result<Self::Rows>;
    /// Puts the class token before the patches of each image and adds the positions:
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
    /// The given rows of `x`, in the given order.
    fn select(&self, x: &Self::Rows, rows: &[usize]) -> Result<Self::Rows>;
    /// The mean of each sequence's own rows but the first, `(n_sequences, width)`.
    fn mean_after_first(&self, x: &Self::Rows, sequences: &Sequences) -> Result<Self::Rows>;
    /// The columns of `a` followed by the columns of `b`.
    fn concat_columns(&self, a: &Self::Rows, b: &Self::Rows) -> Result<Self::Rows>;
    /// Attention of every row, when the sequences' own rows are contiguous: `qkv (n_rows, 3 * width)` to `(n_rows,
    /// width)`.
    fn attend(&self, qkv: &Self::Rows, sequences: &Sequences, heads: usize, mask: Mask) -> Result<Self::Operand>;
    /// Attention of one query per sequence over all of its keys: `q (n_sequences, width)`, `kv (n_rows, 2 * width)`
    /// to `(n_sequences, width)`.
    fn attend_one(&self, q: &Self::Rows, kv: &Self::Rows, sequences: &Sequences, heads: usize)
    -> Result<Self::Operand>;
}
