//! The towers' operations on this crate's kernels: packed weights, fused passes, reused buffers.
//!
//! All CPU inference runs here, in f32, bf16 and int8. The result of a row does not depend on its batch or on the
//! number of threads. See `docs/PERFORMANCE.md` for measurements.

use std::ops::Range;
use std::sync::Arc;

use super::layers::{CpuLinear, Packed};
use super::pool::{Pool, Pooled};
use super::{Engine, LinearNames, Mask, Sequence, Sequences};
use crate::error::Result;
use crate::kernels::{self, Activations, Heads, LayerNorm, Linear, Precision, Projected, Threads};
use crate::recipe::Activation;
use crate::weights::Checkpoint;

/// The engine on this crate's kernels.
pub struct CpuEngine {
    checkpoint: Arc<Checkpoint>,
    precision: Precision,
    threads: Threads,
    buffers: Arc<Pool<Vec<f32>>>,
    operands: Arc<Pool<Activations>>,
    /// Buffers for layers that are packed for one use.
    layers: Arc<Pool<Linear>>,
}

impl CpuEngine {
    /// An engine for a number type, with this many threads (`None`: one per physical core) and the instruction sets up
    /// to a level (`None`: the best available).
    pub fn new(
        checkpoint: Arc<Checkpoint>,
        precision: Precision,
        threads: Option<usize>,
        level: Option<kernels::cpu::Level>,
    ) -> Self {
        let count = threads.unwrap_or_else(kernels::physical_cores);
        CpuEngine {
            checkpoint,
            precision,
            threads: Threads::with_level(count, level.unwrap_or_else(kernels::cpu::Level::best)),
            buffers: Arc::default(),
            operands: Arc::default(),
            layers: Arc::default(),
        }
    }

    /// How many rows of the image tower to compute at once; at least one image is. The activations of one image stay in
    /// the second-level cache, but each pass reads all weights. Two images of a ViT-B at once are 5% faster in bf16
    /// than one at a time, equal in f32 and 4% slower in int8; two of a ViT-L are 2% slower in bf16 (alternating
    /// `longclip bench` runs).
    pub(crate) fn rows_per_pass(&self) -> usize {
        match self.precision {
            Precision::Bf16 => 400,
            Precision::F32 | Precision::Int8 => 288,
        }
    }

    /// The number type of a layer. With int8, the layers outside the blocks (next to pixels or embeddings) stay in
    /// bf16: they are about 1% of the work, and their inputs have outliers that one scale per row represents badly.
    fn precision_of(&self, name: &str) -> Precision {
        match self.precision {
            Precision::Int8 if !name.contains("resblocks.") => Precision::Bf16,
            precision => precision,
        }
    }

    fn new_rows(&self, n_rows: usize, width: usize) -> CpuRows {
        let len = n_rows * width;
        let mut values = self.buffers.take(|buffer| buffer.len() >= len).unwrap_or_default();
        if values.len() < len {
            values.resize(len, 0.0);
        }
        CpuRows {
            values: Pooled::new(values, &self.buffers),
            len,
            width,
        }
    }

    fn new_operand(&self, precision: Precision) -> Pooled<Activations> {
        let kept = self.operands.take(|operand| operand.precision() == precision);
        Pooled::new(kept.unwrap_or_else(|| Activations::new(precision)), &self.operands)
    }

    /// Converts rows to the operand of `linear`, normalised first if a norm is given.
    fn operand(&self, x: &CpuRows, norm: Option<&LayerNorm>, linear: &CpuLinear) -> Pooled<Activations> {
        let mut operand = self.new_operand(linear.precision());
        match norm {
            Some(norm) => norm.run_into(x.values(), &mut operand, &self.threads),
            None => operand.fill(x.values(), x.width, &self.threads),
        }
        operand
    }

    /// The packed layer, kept or for one use.
    fn packed<'a>(&self, linear: &'a CpuLinear) -> Result<Packed<'a>> {
        let buffer = || {
            let kept = self.layers.take(|kept| kept.precision() == linear.precision());
            Pooled::new(kept.unwrap_or_else(|| Linear::empty(linear.precision())), &self.layers)
        };
        linear.packed(&self.checkpoint, buffer, &self.threads)
    }

    fn product(&self, operand: &Activations, linear: &CpuLinear) -> Result<CpuRows> {
        let linear = self.packed(linear)?;
        let mut out = self.new_rows(operand.rows(), linear.n_out());
        linear.run(operand, kernels::Activation::Identity, out.values_mut(), &self.threads);
        Ok(out)
    }

    fn attention(
        &self,
        projected: Projected<'_>,
        sequences: &[kernels::Sequence],
        heads: Heads,
        mask: kernels::Mask,
    ) -> Pooled<Activations> {
        let mut out = self.new_operand(self.precision);
        kernels::attention(projected, sequences, heads, mask, &mut out, &self.threads);
        out
    }
}

/// Rows of f32, `(n_rows, width)`, row-major.
pub struct CpuRows {
    values: Pooled<Vec<f32>>,
    /// The number of values of the buffer that are in use.
    len: usize,
    width: usize,
}

impl CpuRows {
    fn values(&self) -> &[f32] {
        &self.values[..self.len]
    }

    fn values_mut(&mut self) -> &mut [f32] {
        let len = self.len;
        &mut self.values[..len]
    }

    fn n_rows(&self) -> usize {
        self.len / self.width
    }
}

/// A table of rows.
pub enum CpuTable {
    /// In memory.
    Values {
        /// `(n, width)`.
        values: Vec<f32>,
        /// Columns.
        width: usize,
    },
    /// In the checkpoint. Of a vocabulary, only the rows of the texts' tokens are ever read.
    Stored(String),
}

impl CpuEngine {
    fn table_rows(&self, table: &CpuTable, rows: &[u32]) -> Result<Vec<f32>> {
        match table {
            CpuTable::Stored(name) => self.checkpoint.rows(name, rows),
            CpuTable::Values { values, width } => Ok(rows
                .iter()
                .flat_map(|row| &values[*row as usize * width..][..*width])
                .copied()
                .collect()),
        }
    }
}

impl Engine for CpuEngine {
    type Source = Checkpoint;
    type Rows = CpuRows;
    type Operand = Pooled<Activations>;
    type Linear = CpuLinear;
    type Norm = LayerNorm;
    type Table = CpuTable;

    fn linear(&self, source: &Checkpoint, names: &LinearNames<'_>) -> Result<CpuLinear> {
        Ok(CpuLinear::new(source, names, self.precision_of(names.weight)))
    }

    fn projection(&self, source: &Checkpoint, name: &str, bias: Option<&str>) -> Result<CpuLinear> {
        Ok(CpuLinear::projection(source, name, bias, self.precision_of(name)))
    }

    fn norm(&self, source: &Checkpoint, prefix: &str, epsilon: f32) -> Result<LayerNorm> {
        let weight = source.values(&format!("{prefix}.weight"))?.into_owned();
        let bias = source.values(&format!("{prefix}.bias"))?.into_owned();
        Ok(LayerNorm::new(weight, bias, epsilon))
    }

    fn table(&self, source: &Checkpoint, name: &str) -> Result<CpuTable> {
        if name == "token_embedding.weight" {
            return Ok(CpuTable::Stored(name.to_owned()));
        }
        let width = source.shape(name).last().copied().unwrap_or(1);
        let values = source.values(name)?.into_owned();
        Ok(CpuTable::Values { values, width })
    }

    fn text_positions(&self, source: &Checkpoint) -> Result<CpuTable> {
        let values = source.text_positions()?;
        let width = source.sizes().text_width;
        Ok(CpuTable::Values { values, width })
    }

    fn rows(&self, values: Vec<f32>, width: usize) -> Result<CpuRows> {
        let len = values.len();
        Ok(CpuRows {
            values: Pooled::unpooled(values),
            len,
            width,
        })
    }

    fn values(&self, rows: CpuRows) -> Result<Vec<f32>> {
        Ok(rows.values().to_vec())
    }

    fn embed_tokens(
        &self,
        token_table: &CpuTable,
        ids: &[u32],
        position_table: &CpuTable,
        positions: &[u32],
    ) -> Result<CpuRows> {
        let mut values = self.table_rows(token_table, ids)?;
        let position_rows = self.table_rows(position_table, positions)?;
        values
            .iter_mut()
            .zip(position_rows)
            .for_each(|(value, position)| *value += position);
        let width = values.len() / ids.len();
        self.rows(values, width)
    }

    fn embed_patches(&self, patches: CpuRows, class: &CpuTable, positions: &CpuTable) -> Result<CpuRows> {
        let (
            CpuTable::Values { values: class, .. },
            CpuTable::Values {
                values: positions,
                width,
            },
        ) = (class, positions)
        else {
            unreachable!("only the token embedding is read row by row");
        };
        let n_tokens = positions.len() / width;
        let n_images = patches.n_rows() / (n_tokens - 1);
        let mut out = self.new_rows(n_images * n_tokens, *width);
        let images = out.values_mut().chunks_exact_mut(n_tokens * width);
        for (image, patches) in images.zip(patches.values().chunks_exact((n_tokens - 1) * width)) {
            let (class_row, patch_rows) = image.split_at_mut(*width);
            let tokens = [
                (class_row, &class[..], &positions[..*width]),
                (patch_rows, patches, &positions[*width..]),
            ];
            for (out, token, position) in tokens {
                out.iter_mut()
                    .zip(token.iter().zip(position))
                    .for_each(|(out, (t, p))| *out = t + p);
            }
        }
        Ok(out)
    }

    fn apply(&self, x: &CpuRows, linear: &CpuLinear) -> Result<CpuRows> {
        self.product(&self.operand(x, None, linear), linear)
    }

    fn normalise(&self, mut x: CpuRows, norm: &LayerNorm) -> Result<CpuRows> {
        norm.run(x.values_mut(), &self.threads);
        Ok(x)
    }

    fn norm_linear(&self, x: &CpuRows, norm: &LayerNorm, linear: &CpuLinear) -> Result<CpuRows> {
        self.product(&self.operand(x, Some(norm), linear), linear)
    }

    fn norm_linear_activate(
        &self,
        x: &CpuRows,
        norm: &LayerNorm,
        linear: &CpuLinear,
        activation: Activation,
    ) -> Result<Pooled<Activations>> {
        let activation = match activation {
            Activation::QuickGelu => kernels::Activation::QuickGelu,
            Activation::Gelu => kernels::Activation::Gelu,
            Activation::GeluTanh => kernels::Activation::GeluTanh,
        };
        let mut hidden = self.new_operand(self.precision);
        self.packed(linear)?.run_into(
            &self.operand(x, Some(norm), linear),
            activation,
            &mut hidden,
            &self.threads,
        );
        Ok(hidden)
    }

    fn add_linear(&self, mut x: CpuRows, a: Pooled<Activations>, linear: &CpuLinear) -> Result<CpuRows> {
        self.packed(linear)?.run_add(&a, x.values_mut(), &self.threads);
        Ok(x)
    }

    fn select(&self, x: &CpuRows, rows: &[usize]) -> Result<CpuRows> {
        let mut out = self.new_rows(rows.len(), x.width);
        for (out, row) in out.values_mut().chunks_exact_mut(x.width).zip(rows) {
            out.copy_from_slice(&x.values()[row * x.width..(row + 1) * x.width]);
        }
        Ok(out)
    }

    fn mean_after_first(&self, x: &CpuRows, sequences: &Sequences) -> Result<CpuRows> {
        let mut out = self.new_rows(sequences.list().len(), x.width);
        for (out, sequence) in out.values_mut().chunks_exact_mut(x.width).zip(sequences.list()) {
            let rows = &x.values()[(sequence.rows.start + 1) * x.width..sequence.rows.end * x.width];
            let mut sums = vec![0.0; x.width];
            for row in rows.chunks_exact(x.width) {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
            }
            let n_rows = (sequence.rows.len() - 1) as f64;
            out.iter_mut()
                .zip(sums)
                .for_each(|(out, sum)| *out = (sum / n_rows) as f32);
        }
        Ok(out)
    }

    fn concat_columns(&self, a: &CpuRows, b: &CpuRows) -> Result<CpuRows> {
        let width = a.width + b.width;
        let mut out = self.new_rows(a.n_rows(), width);
        let pairs = a.values().chunks_exact(a.width).zip(b.values().chunks_exact(b.width));
        for (out, (a, b)) in out.values_mut().chunks_exact_mut(width).zip(pairs) {
            out[..a.len()].copy_from_slice(a);
            out[a.len()..].copy_from_slice(b);
        }
        Ok(out)
    }

    fn attend(&self, qkv: &CpuRows, sequences: &Sequences, heads: usize, mask: Mask) -> Result<Pooled<Activations>> {
        let width = qkv.width / 3;
        let mask = match mask {
            Mask::None => kernels::Mask::None,
            Mask::Causal => kernels::Mask::Causal,
        };
        let sequences: Vec<kernels::Sequence> = sequences
            .list()
            .iter()
            .map(|sequence| kernel_sequence(sequence, sequence.rows.clone()))
            .collect();
        let heads = Heads {
            count: heads,
            dim: width / heads,
        };
        Ok(self.attention(Projected::fused(qkv.values(), width), &sequences, heads, mask))
    }

    fn attend_one(
        &self,
        q: &CpuRows,
        kv: &CpuRows,
        sequences: &Sequences,
        heads: usize,
    ) -> Result<Pooled<Activations>> {
        let sequences: Vec<kernels::Sequence> = sequences
            .list()
            .iter()
            .enumerate()
            .map(|(i, sequence)| kernel_sequence(sequence, i..i + 1))
            .collect();
        let heads = Heads {
            count: heads,
            dim: q.width / heads,
        };
        let projected = Projected::apart(q.values(), kv.values(), q.width);
        Ok(self.attention(projected, &sequences, heads, kernels::Mask::None))
    }
}

/// The kernel's form of a sequence, with these rows of the query matrix as its queries.
fn kernel_sequence(sequence: &Sequence, queries: Range<usize>) -> kernels::Sequence {
    kernels::Sequence {
        queries,
        prefix: sequence.prefix.clone(),
        keys: sequence.rows.clone(),
    }
}
