//! Multi-head attention, `softmax(q · kᵀ / √d) · v` (Vaswani et al. 2017), over contiguous sequences of any length.
//!
//! Both towers call it between the q/k/v layer and the output projection. Sequences are not padded to a common length,
//! and no matrix of scores is stored. A worker takes one head of one sequence and packs its keys and values as panels
//! (see `simd/tile.rs`). Then, for a few rows at a time, it keeps the scores in the first-level cache, finds the
//! largest and takes the weighted mean of the values. Sequences may share a prefix of keys, and a sequence may have
//! fewer queries than keys.

mod portable;
#[cfg(test)]
mod tests;
mod vector;

use super::activations::{Activations, RowWriter, Writer};
use super::buffer::{Buffer, LINE, Shared};
use super::cpu::Isa;
use super::precision::Precision;
use super::simd::{Kernel, Simd, Vector};
use super::threads::Threads;
use std::ops::Range;

/// Rows with the columns of all heads, as part of a matrix that may have other columns.
#[derive(Clone, Copy)]
pub struct HeadRows<'a> {
    data: &'a [f32],
    stride: usize,
    offset: usize,
}

impl<'a> HeadRows<'a> {
    /// The columns from `offset` on of `data`, which is row-major with `stride` columns.
    pub fn new(data: &'a [f32], stride: usize, offset: usize) -> Self {
        assert!(
            offset < stride && data.len().is_multiple_of(stride),
            "{} values in rows of {stride}",
            data.len()
        );
        HeadRows { data, stride, offset }
    }

    /// The number of rows.
    fn len(&self) -> usize {
        self.data.len() / self.stride
    }

    /// The values of a row in `columns`.
    fn get(&self, row: usize, columns: Range<usize>) -> &'a [f32] {
        &self.data[row * self.stride + self.offset..][columns]
    }
}

/// Queries, keys and values, `heads * head_dim` columns each.
#[derive(Clone, Copy)]
pub struct Projected<'a> {
    /// One row per query.
    pub queries: HeadRows<'a>,
    /// One row per token.
    pub keys: HeadRows<'a>,
    /// One row per token.
    pub values: HeadRows<'a>,
}

impl<'a> Projected<'a> {
    /// From rows of `3 * width` values: query, key, value.
    pub fn fused(qkv: &'a [f32], width: usize) -> Self {
        Projected {
            queries: HeadRows::new(qkv, 3 * width, 0),
            keys: HeadRows::new(qkv, 3 * width, width),
            values: HeadRows::new(qkv, 3 * width, 2 * width),
        }
    }

    /// From queries of `width` values and rows of `2 * width` values: key, value. For a block that returns only some
    /// rows.
    pub fn apart(queries: &'a [f32], kv: &'a [f32], width: usize) -> Self {
        Projected {
            queries: HeadRows::new(queries, width, 0),
            keys: HeadRows::new(kv, 2 * width, 0),
            values: HeadRows::new(kv, 2 * width, width),
        }
    }
}

/// How a row is divided into heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// The number of heads.
    pub count: usize,
    /// Columns per head. If it is not a multiple of 16, plain code is used.
    pub dim: usize,
}

impl Heads {
    /// The number of columns of all heads.
    pub fn width(&self) -> usize {
        self.count * self.dim
    }
}

/// One sequence: the rows of its queries, and of its keys and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Its queries. If there are fewer than `keys`, they belong to the last keys. The queries of successive sequences
    /// are contiguous.
    pub queries: Range<usize>,
    /// The keys and values before its own, which all of its queries attend to. May be empty, and may be shared with
    /// others.
    pub prefix: Range<usize>,
    /// Its own rows of keys and values.
    pub keys: Range<usize>,
}

impl Sequence {
    /// A sequence with one query per key.
    pub fn whole(rows: Range<usize>) -> Self {
        Sequence {
            queries: rows.clone(),
            prefix: 0..0,
            keys: rows,
        }
    }

    /// A sequence with the single query `query`. With [`Mask::Causal`] it belongs to the last key.
    pub fn one(query: usize, keys: Range<usize>) -> Self {
        Sequence {
            queries: query..query + 1,
            prefix: 0..0,
            keys,
        }
    }

    /// The number of keys, prefix included.
    pub(super) fn n_keys(&self) -> usize {
        self.prefix.len() + self.keys.len()
    }

    /// The row of key `i`.
    fn key_row(&self, i: usize) -> usize {
        if i < self.prefix.len() {
            self.prefix.start + i
        } else {
            self.keys.start + i - self.prefix.len()
        }
    }

    /// How many keys query `i` of this sequence attends to.
    pub(super) fn visible(&self, mask: Mask, i: usize) -> usize {
        match mask {
            Mask::None => self.n_keys(),
            Mask::Causal => self.n_keys() + i + 1 - self.queries.len(),
        }
    }
}

/// Which keys a query attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All of its sequence: the image tower.
    None,
    /// Those up to its own position; the last query belongs to the last key: the text tower.
    Causal,
}

/// Computes the attention of `sequences` and writes it to `out`, one row per query with `heads.width()` columns.
/// Products are computed in the type that `out` is stored in, or, if that is bytes, in that of activations in bf16.
pub fn attention(
    projected: Projected<'_>,
    sequences: &[Sequence],
    heads: Heads,
    mask: Mask,
    out: &mut Activations,
    threads: &Threads,
) {
    check(&projected, sequences, heads);
    let products = match out.precision() {
        Precision::Int8 => Precision::Bf16,
        precision => precision,
    };
    let n_queries = sequences.last().map_or(0, |last| last.queries.end);
    let width = heads.width();
    let mut job = AttentionJob {
        projected,
        sequences,
        heads,
        mask,
        precision: products.of_activations(threads.isa()),
        output: AttentionOutput::Store(Shared::new(&mut [])),
    };
    if out.precision() == Precision::Int8 {
        // The scale of a row is known only after all heads have written to it.
        out.fill_by((n_queries, width), threads, |rows| {
            job.output = AttentionOutput::Store(Shared::new(rows));
            job.run(threads);
        });
    } else {
        job.output = AttentionOutput::Pack(out.reset(n_queries, width, threads));
        job.run(threads);
    }
}

/// Checks the shapes.
fn check(projected: &Projected<'_>, sequences: &[Sequence], heads: Heads) {
    let Projected { queries, keys, values } = projected;
    assert!(
        heads.count > 0 && heads.dim > 0,
        "{} heads of {} columns",
        heads.count,
        heads.dim
    );
    for rows in [queries, keys, values] {
        assert!(
            rows.offset + heads.width() <= rows.stride,
            "{} columns in {}",
            heads.width(),
            rows.stride
        );
    }
    let mut next = 0;
    for sequence in sequences {
        assert!(
            sequence.queries.start == next && sequence.queries.end >= next,
            "queries follow each other at row {next}"
        );
        next = sequence.queries.end;
        let tokens = keys.len().min(values.len());
        let (own, prefix) = (&sequence.keys, &sequence.prefix);
        assert!(
            own.start <= own.end && own.end <= tokens && prefix.start <= prefix.end && prefix.end <= tokens,
            "keys {own:?} and {prefix:?} of {tokens}"
        );
        assert!(
            sequence.queries.len() <= own.len(),
            "{} queries for {} keys",
            sequence.queries.len(),
            own.len()
        );
    }
    assert!(next <= queries.len(), "{next} queries of {}", queries.len());
}

/// Where results go: row-major f32 `(queries, width)`, or the next layer's activations.
#[derive(Clone, Copy)]
enum AttentionOutput {
    Store(Shared<f32>),
    Pack(Writer),
}

impl AttentionOutput {
    /// The destination of a row of `width` columns.
    #[inline(always)]
    fn row(self, row: usize, width: usize) -> RowWriter {
        match self {
            AttentionOutput::Store(out) => RowWriter {
                precision: Precision::F32,
                start: out.get().wrapping_add(row * width).cast(),
                stride: LINE,
            },
            AttentionOutput::Pack(writer) => writer.row(row),
        }
    }
}

/// Everything that a worker needs to know.
#[derive(Clone, Copy)]
struct AttentionJob<'a> {
    projected: Projected<'a>,
    sequences: &'a [Sequence],
    heads: Heads,
    mask: Mask,
    precision: Precision,
    output: AttentionOutput,
}

impl AttentionJob<'_> {
    /// Assigns to each worker consecutive heads of consecutive sequences with about the same number of scores.
    fn run(&self, threads: &Threads) {
        let costs = self.sequences.iter().map(|s| s.queries.len() * s.n_keys());
        let total = costs.clone().sum::<usize>() * self.heads.count;
        let whole_vectors = self.heads.dim.is_multiple_of(16);
        let isa = if whole_vectors { threads.isa() } else { Isa::Portable };
        threads.run(|worker, scratch| {
            let mine = |done: usize| done * threads.count() / total.max(1) == worker;
            let mut done = 0;
            for (sequence, cost) in self.sequences.iter().zip(costs.clone()) {
                let first = (0..self.heads.count).position(|head| cost > 0 && mine(done + head * cost));
                if let Some(first) = first {
                    let n = (first..self.heads.count)
                        .take_while(|head| mine(done + head * cost))
                        .count();
                    let heads = first..first + n;
                    isa.run(HeadRange {
                        job: self,
                        sequence,
                        heads,
                        scratch: &mut *scratch,
                    });
                }
                done += cost * self.heads.count;
            }
        });
    }
}

/// Some heads of one sequence.
struct HeadRange<'a> {
    job: &'a AttentionJob<'a>,
    sequence: &'a Sequence,
    heads: Range<usize>,
    scratch: &'a mut Buffer,
}

impl Vector for HeadRange<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        for head in self.heads.clone() {
            vector::head(s, self.job, self.sequence, head, self.scratch);
        }
    }
}

impl Kernel for HeadRange<'_> {
    fn plain(self) {
        for head in self.heads.clone() {
            portable::head(self.job, self.sequence, head);
        }
    }
}
