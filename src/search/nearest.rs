//! Finds the nearest images of an index by the cosine similarity with every one of them.
//!
//! Each thread scans its part of the index and keeps its best hits in a heap. Hits with equal cosines are ordered by
//! their rows, so the answer doesn't depend on the number of threads.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::num::NonZeroUsize;

use super::index::Index;
use super::page::stored_embedding;
use crate::kernels::{StoredRows, Threads};
use crate::model::normalize;

/// What to search for. Embeddings need not be normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The embedding of a text or an image.
    pub wanted: Vec<f32>,
    /// What found images must not be too near to.
    pub excluded: Vec<Excluded>,
}

/// Something that found images must not be too near to.
#[derive(Debug, Clone, PartialEq)]
pub struct Excluded {
    /// Its embedding.
    pub embedding: Vec<f32>,
    /// Which images are too near.
    pub rule: ExclusionRule,
}

/// Which images are too near to an excluded embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExclusionRule {
    /// Images that are nearer to the excluded than to the wanted embedding. For a wanted text.
    NearerThanToWanted,
    /// Images that are nearer to the excluded embedding than the wanted one is. For a wanted image: the cosine of two
    /// images can't be compared with that of an image and a text.
    NearerThanWantedIs,
}

/// The size of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerLimits {
    /// The largest number of images.
    pub top_k: NonZeroUsize,
    /// The smallest cosine.
    pub threshold: Option<f32>,
}

/// An image that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its row in the index.
    pub row: usize,
    /// Its cosine similarity with the wanted embedding, -1 to 1.
    pub cosine: f32,
}

impl Index {
    /// The nearest images for each question, nearest first; equally near ones in the order of the index.
    ///
    /// # Panics
    /// If an embedding doesn't have the index's `embed_dim`.
    pub fn nearest(&self, questions: &[Question], limits: AnswerLimits, threads: &Threads) -> Vec<Vec<Hit>> {
        let dim = self.origin().embed_dim;
        let columns = product_columns(questions, dim, threads);
        let queries: Vec<f32> = questions.iter().flat_map(|question| unit_rows(question, dim)).collect();
        let n_queries = queries.len() / dim;
        let fresh = || vec![TopHits::new(limits); questions.len()];
        let take = |best: &mut Vec<TopHits>, first: usize, products: &[f32]| {
            for (row, products) in (first..).zip(products.chunks_exact(n_queries.max(1))) {
                for (columns, best) in columns.iter().zip(best.iter_mut()) {
                    let cosine = products[columns.wanted];
                    if best.has_room_for(cosine) && !columns.exclude(products) {
                        best.add(Hit { row, cosine });
                    }
                }
            }
        };
        let mut workers = self.embeddings().fold(&queries, threads, fresh, take).into_iter();
        let mut all = workers.next().unwrap_or_default();
        for other in workers {
            for (best, other) in all.iter_mut().zip(other) {
                other.heap.into_iter().for_each(|WorstFirst(hit)| best.add(hit));
            }
        }
        all.into_iter().map(TopHits::sorted).collect()
    }
}

/// Which of a row's products with all queries belong to one question.
struct ProductColumns {
    wanted: usize,
    /// The product with each excluded embedding, and what it must not exceed; `None` is the product with the wanted one.
    excluded: Vec<(usize, Option<f32>)>,
}

impl ProductColumns {
    fn exclude(&self, products: &[f32]) -> bool {
        let bound = |limit: Option<f32>| limit.unwrap_or(products[self.wanted]);
        self.excluded
            .iter()
            .any(|(query, limit)| products[*query] > bound(*limit))
    }
}

fn product_columns(questions: &[Question], dim: usize, threads: &Threads) -> Vec<ProductColumns> {
    let mut next = 0;
    let columns = |question: &Question| {
        let wanted = next;
        next += 1 + question.excluded.len();
        let excluded = (wanted + 1..).zip(&question.excluded);
        let excluded = excluded.map(|(query, excluded)| match excluded.rule {
            ExclusionRule::NearerThanToWanted => (query, None),
            ExclusionRule::NearerThanWantedIs => (query, cosine_of_wanted(question, excluded, dim, threads)),
        });
        ProductColumns {
            wanted,
            excluded: excluded.collect(),
        }
    };
    questions.iter().map(columns).collect()
}

/// The cosine of the wanted and the excluded embedding, computed like that of an index's row: if the index has the wanted
/// image, that row must not come out nearer by rounding.
fn cosine_of_wanted(question: &Question, excluded: &Excluded, dim: usize, threads: &Threads) -> Option<f32> {
    let row = stored_embedding(&question.wanted)?;
    let mut query = excluded.embedding.clone();
    normalize(&mut query);
    let take = |cosine: &mut Option<f32>, _: usize, products: &[f32]| *cosine = products.first().copied();
    let cosines = StoredRows::new(vec![&row], dim).fold(&query, threads, || None, take);
    cosines.into_iter().flatten().next()
}

/// The wanted and the excluded embeddings, normalised.
fn unit_rows(question: &Question, dim: usize) -> Vec<f32> {
    let excluded = question.excluded.iter().map(|excluded| &excluded.embedding);
    let mut rows = Vec::new();
    for embedding in std::iter::once(&question.wanted).chain(excluded) {
        assert_eq!(embedding.len(), dim, "the length of a query");
        let mut unit = embedding.clone();
        normalize(&mut unit);
        rows.extend(unit);
    }
    rows
}

/// The best hits so far.
#[derive(Debug, Clone)]
struct TopHits {
    limits: AnswerLimits,
    heap: BinaryHeap<WorstFirst>,
}

/// Orders hits for the heap: the largest is the farthest; of equally far ones, the one with the last row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct WorstFirst(Hit);

impl Eq for WorstFirst {}

impl PartialOrd for WorstFirst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WorstFirst {
    fn cmp(&self, other: &Self) -> Ordering {
        let nearer = other.0.cosine.total_cmp(&self.0.cosine);
        nearer.then(self.0.row.cmp(&other.0.row))
    }
}

impl TopHits {
    fn new(limits: AnswerLimits) -> Self {
        TopHits {
            limits,
            heap: BinaryHeap::new(),
        }
    }

    /// Whether a row after all those before would be among the best. NaN never is.
    fn has_room_for(&self, cosine: f32) -> bool {
        if self.heap.len() == self.limits.top_k.get() {
            return self.heap.peek().is_some_and(|worst| cosine > worst.0.cosine);
        }
        cosine >= self.limits.threshold.unwrap_or(f32::NEG_INFINITY)
    }

    fn add(&mut self, hit: Hit) {
        self.heap.push(WorstFirst(hit));
        if self.heap.len() > self.limits.top_k.get() {
            self.heap.pop();
        }
    }

    fn sorted(self) -> Vec<Hit> {
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|WorstFirst(hit)| hit)
            .collect()
    }
}
