//! Multi-head attention, `softmax(q · kᵀ / √d) · v` (Vaswani et al. 2017), over sequences packed end to end.
//!
//! Called by both towers of the model between the q/k/v layer and the projection. Nothing is padded to a common length and
//! no matrix of scores is kept: a worker takes a head of a sequence, packs its keys and values as panels (see
//! `linear/tile.rs`), and for some rows at a time holds their scores in the first cache, finds the largest, and weighs the
//! values. A sequence may share a prefix of keys with others, and may ask for some of its queries only.

mod portable;
#[cfg(test)]
mod tests;
mod vector;

use super::activations::{Activations, Precision, RowWriter, Writer};
use super::buffer::{Buffer, LINE, Shared};
use super::cpu::Isa;
use super::simd::{Kernel, Simd, Vector};
use super::threads::Threads;
use std::ops::Range;

/// Rows of all heads side by side, in a matrix that may hold other things beside them.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
    offset: usize,
}

impl<'a> Rows<'a> {
    /// Columns `offset..` of `data`, row-major with `stride` columns.
    pub fn new(data: &'a [f32], stride: usize, offset: usize) -> Self {
        assert!(
            offset < stride && data.len().is_multiple_of(stride),
            "{} values in rows of {stride}",
            data.len()
        );
        Rows { data, stride, offset }
    }

    /// Rows there are.
    fn len(&self) -> usize {
        self.data.len() / self.stride
    }

    /// Columns `columns` of a row.
    fn get(&self, row: usize, columns: Range<usize>) -> &'a [f32] {
        &self.data[row * self.stride + self.offset..][columns]
    }
}

/// Queries, keys and values, `heads * head_dim` columns each.
#[derive(Clone, Copy)]
pub struct Projected<'a> {
    /// A row a query.
    pub queries: Rows<'a>,
    /// A row a token.
    pub keys: Rows<'a>,
    /// A row a token.
    pub values: Rows<'a>,
}

impl<'a> Projected<'a> {
    /// From rows of `3 * width`: query, key, value.
    pub fn fused(qkv: &'a [f32], width: usize) -> Self {
        Projected {
            queries: Rows::new(qkv, 3 * width, 0),
            keys: Rows::new(qkv, 3 * width, width),
            values: Rows::new(qkv, 3 * width, 2 * width),
        }
    }

    /// From queries of `width` and rows of `2 * width`: key, value. For a block of which only some rows are wanted.
    pub fn apart(queries: &'a [f32], kv: &'a [f32], width: usize) -> Self {
        Projected {
            queries: Rows::new(queries, width, 0),
            keys: Rows::new(kv, 2 * width, 0),
            values: Rows::new(kv, 2 * width, width),
        }
    }
}

/// How a row of heads is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Heads side by side.
    pub count: usize,
    /// Columns of each; where it is no multiple of 16, plain code does the work.
    pub dim: usize,
}

impl Heads {
    /// Columns of all.
    pub fn width(&self) -> usize {
        self.count * self.dim
    }
}

/// One sequence: which rows ask, and which are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Rows of the queries, its last ones where they are fewer than `keys`. Sequences follow each other here without gap.
    pub queries: Range<usize>,
    /// Rows of keys and values before its own that all its queries see; may be empty, and may be shared.
    pub prefix: Range<usize>,
    /// Its own rows of keys and values.
    pub keys: Range<usize>,
}

impl Sequence {
    /// One whose every row asks.
    pub fn whole(rows: Range<usize>) -> Self {
        Sequence {
            queries: rows.clone(),
            prefix: 0..0,
            keys: rows,
        }
    }

    /// One of which a single row asks: `query` of the queries; with [`Mask::Causal`] it stands at the end.
    pub fn one(query: usize, keys: Range<usize>) -> Self {
        Sequence {
            queries: query..query + 1,
            prefix: 0..0,
            keys,
        }
    }

    /// Keys there are.
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

    /// Keys that query `i` of this sequence sees.
    pub(super) fn visible(&self, mask: Mask, i: usize) -> usize {
        match mask {
            Mask::None => self.n_keys(),
            Mask::Causal => self.n_keys() + i + 1 - self.queries.len(),
        }
    }
}

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All of its sequence: the image tower.
    None,
    /// Those up to itself; the last query stands at the last key: the text tower.
    Causal,
}

/// Attention of `sequences` into `out`, a row a query, `heads.width()` columns. Its products are made in `out`'s number
/// type, bf16 for bytes.
pub fn attention(
    projected: Projected<'_>,
    sequences: &[Sequence],
    heads: Heads,
    mask: Mask,
    out: &mut Activations,
    threads: &Threads,
) {
    check(&projected, sequences, heads);
    let n_queries = sequences.last().map_or(0, |last| last.queries.end);
    let width = heads.width();
    let mut job = Job {
        projected,
        sequences,
        heads,
        mask,
        precision: out.precision(),
        output: Output::Store(Shared::new(&mut [])),
    };
    if out.precision() == Precision::Int8 {
        // The scale of a row is known once all heads have written to it.
        let mut staging = out.take_staging(n_queries * width);
        job.precision = Precision::Bf16;
        job.output = Output::Store(Shared::new(&mut staging));
        job.run(threads);
        out.fill(&staging, width, threads);
        out.give_staging(staging);
    } else {
        job.output = Output::Pack(out.reset(n_queries, width, threads));
        job.run(threads);
    }
}

/// What the model promises about the shapes.
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
enum Output {
    Store(Shared<f32>),
    Pack(Writer),
}

impl Output {
    /// Where a row of `width` columns goes.
    #[inline(always)]
    fn row(self, row: usize, width: usize) -> RowWriter {
        match self {
            Output::Store(out) => RowWriter {
                precision: Precision::F32,
                start: out.get().wrapping_add(row * width).cast(),
                stride: LINE,
            },
            Output::Pack(writer) => writer.row(row),
        }
    }
}

/// All that a worker has to know.
#[derive(Clone, Copy)]
struct Job<'a> {
    projected: Projected<'a>,
    sequences: &'a [Sequence],
    heads: Heads,
    mask: Mask,
    precision: Precision,
    output: Output,
}

impl Job<'_> {
    /// Gives each worker consecutive heads of consecutive sequences, of about the same number of scores.
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
                    isa.run(Part {
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
struct Part<'a> {
    job: &'a Job<'a>,
    sequence: &'a Sequence,
    heads: Range<usize>,
    scratch: &'a mut Buffer,
}

impl Vector for Part<'_> {
    #[inline(always)]
    fn vector<S: Simd>(self, s: S) {
        for head in self.heads.clone() {
            vector::head(s, self.job, self.sequence, head, self.scratch);
        }
    }
}

impl Kernel for Part<'_> {
    fn plain(self) {
        for head in self.heads.clone() {
            portable::head(self.job, self.sequence, head);
        }
    }
}
