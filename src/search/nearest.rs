//! The question to an index: which pictures are nearest, by the cosine, computed with every one of them.
//!
//! Each worker goes through its stretch of the index with a heap of the best so far; equal cosines stand in the index's
//! order, so that an answer doesn't depend on the number of threads.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::num::NonZeroUsize;

use super::index::Index;
use super::writer::stored;
use crate::kernels::{StoredRows, Threads};
use crate::model::normalize;

/// What is searched for; embeddings may have any length.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// A text's or a picture's embedding.
    pub wanted: Vec<f32>,
    /// What pictures may not be too near to.
    pub excluded: Vec<Excluded>,
}

/// Something that pictures may not be too near to.
#[derive(Debug, Clone, PartialEq)]
pub struct Excluded {
    /// Its embedding.
    pub embedding: Vec<f32>,
    /// What is too near.
    pub limit: Limit,
}

/// Which pictures are too near to what is excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Those that are nearer to it than to what is wanted: both are texts.
    NearerThanToWanted,
    /// Those that are nearer to it than what is wanted is itself: that is a picture, and the cosine of two pictures can't be
    /// compared with that of a picture and a text.
    NearerThanWanted,
}

/// How much of an answer is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Pictures at most.
    pub top_k: NonZeroUsize,
    /// The least cosine.
    pub threshold: Option<f32>,
}

/// A picture that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its row in the index.
    pub row: usize,
    /// How near it is, -1 to 1.
    pub cosine: f32,
}

impl Index {
    /// The nearest pictures of each question, the nearest first; in the index's order where they are equally near.
    ///
    /// # Panics
    /// If an embedding has another number of numbers than the index's.
    pub fn nearest(&self, questions: &[Question], limits: Limits, threads: &Threads) -> Vec<Vec<Hit>> {
        let dim = self.origin().embed_dim;
        let asked: Vec<Asked> = asked(questions, dim, threads);
        let queries: Vec<f32> = questions.iter().flat_map(|question| unit_rows(question, dim)).collect();
        let n_queries = queries.len() / dim;
        let fresh = || vec![Best::new(limits); questions.len()];
        let take = |best: &mut Vec<Best>, first: usize, products: &[f32]| {
            for (row, products) in (first..).zip(products.chunks_exact(n_queries.max(1))) {
                for (asked, best) in asked.iter().zip(best.iter_mut()) {
                    let cosine = products[asked.wanted];
                    if best.has_room_for(cosine) && !asked.excludes(products) {
                        best.add(Hit { row, cosine });
                    }
                }
            }
        };
        let mut workers = self.embeddings().fold(&queries, threads, fresh, take).into_iter();
        let mut all = workers.next().unwrap_or_default();
        for other in workers {
            for (best, other) in all.iter_mut().zip(other) {
                other.heap.into_iter().for_each(|Worst(hit)| best.add(hit));
            }
        }
        all.into_iter().map(Best::sorted).collect()
    }
}

/// Where a question's products stand among a row's.
struct Asked {
    wanted: usize,
    /// The product of what is excluded, and the cosine that it may not exceed; the wanted's own where there is none.
    excluded: Vec<(usize, Option<f32>)>,
}

impl Asked {
    fn excludes(&self, products: &[f32]) -> bool {
        let bound = |limit: Option<f32>| limit.unwrap_or(products[self.wanted]);
        self.excluded
            .iter()
            .any(|(query, limit)| products[*query] > bound(*limit))
    }
}

fn asked(questions: &[Question], dim: usize, threads: &Threads) -> Vec<Asked> {
    let mut next = 0;
    let place = |question: &Question| {
        let wanted = next;
        next += 1 + question.excluded.len();
        let excluded = (wanted + 1..).zip(&question.excluded);
        let excluded = excluded.map(|(query, excluded)| match excluded.limit {
            Limit::NearerThanToWanted => (query, None),
            Limit::NearerThanWanted => (query, own_cosine(question, excluded, dim, threads)),
        });
        Asked {
            wanted,
            excluded: excluded.collect(),
        }
    };
    questions.iter().map(place).collect()
}

/// How near what is wanted is to what is excluded, computed as an index's row is: the picture itself, where the index
/// holds it, is not nearer than itself.
fn own_cosine(question: &Question, excluded: &Excluded, dim: usize, threads: &Threads) -> Option<f32> {
    let row = stored(&question.wanted)?;
    let mut query = excluded.embedding.clone();
    normalize(&mut query);
    let take = |cosine: &mut Option<f32>, _: usize, products: &[f32]| *cosine = products.first().copied();
    let cosines = StoredRows::new(vec![&row], dim).fold(&query, threads, || None, take);
    cosines.into_iter().flatten().next()
}

/// What is wanted and what is excluded, each of length one.
fn unit_rows(question: &Question, dim: usize) -> Vec<f32> {
    let excluded = question.excluded.iter().map(|excluded| &excluded.embedding);
    let mut rows = Vec::new();
    for embedding in std::iter::once(&question.wanted).chain(excluded) {
        assert_eq!(embedding.len(), dim, "numbers of a query");
        let mut unit = embedding.clone();
        normalize(&mut unit);
        rows.extend(unit);
    }
    rows
}

/// The best so far, at most so many.
#[derive(Debug, Clone)]
struct Best {
    limits: Limits,
    heap: BinaryHeap<Worst>,
}

/// A hit in the order in which hits are let go: the farthest first, of equally far ones the last.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Worst(Hit);

impl Eq for Worst {}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        let nearer = other.0.cosine.total_cmp(&self.0.cosine);
        nearer.then(self.0.row.cmp(&other.0.row))
    }
}

impl Best {
    fn new(limits: Limits) -> Self {
        Best {
            limits,
            heap: BinaryHeap::new(),
        }
    }

    /// Whether a row behind all those before would be among the best; never one whose cosine is no number.
    fn has_room_for(&self, cosine: f32) -> bool {
        if self.heap.len() == self.limits.top_k.get() {
            return self.heap.peek().is_some_and(|worst| cosine > worst.0.cosine);
        }
        cosine >= self.limits.threshold.unwrap_or(f32::NEG_INFINITY)
    }

    fn add(&mut self, hit: Hit) {
        self.heap.push(Worst(hit));
        if self.heap.len() > self.limits.top_k.get() {
            self.heap.pop();
        }
    }

    fn sorted(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|Worst(hit)| hit).collect()
    }
}
