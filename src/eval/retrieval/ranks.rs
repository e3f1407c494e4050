//! The rank at which each image and each caption finds the other, among all of a set.
//!
//! Similarities are cosines in f32, computed in blocks of rows by the model's own matrix product. Equal embeddings have
//! bit-identical similarities, wherever they are in the set. Equal similarities are ordered as in the data; the published
//! scripts use PyTorch's `topk` and `argsort`, which don't define an order.

use crate::kernels::{Activation, Activations, Linear, Precision, Threads, Weights};
use crate::model::{ImageEmbeddings, TextEmbeddings};

/// Similarities in memory: 64 MiB.
const BLOCK_SIMILARITIES: usize = 16 << 20;

/// Which captions belong to which image. The captions of an image are consecutive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belonging {
    /// The first caption of each image, followed by the number of captions.
    begins: Vec<usize>,
}

impl Belonging {
    /// From the number of captions of each image, at least one.
    ///
    /// # Panics
    /// If an image has no caption.
    pub fn new(n_captions: impl IntoIterator<Item = usize>) -> Self {
        let mut begins = vec![0];
        for n in n_captions {
            assert!(n > 0, "image {} has no caption", begins.len() - 1);
            begins.push(begins.last().unwrap_or(&0) + n);
        }
        Belonging { begins }
    }

    /// The number of images.
    pub fn n_images(&self) -> usize {
        self.begins.len() - 1
    }

    /// The number of captions.
    pub fn n_captions(&self) -> usize {
        self.begins.last().copied().unwrap_or(0)
    }

    /// The captions of an image.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn captions(&self, image_idx: usize) -> std::ops::Range<usize> {
        self.begins[image_idx]..self.begins[image_idx + 1]
    }

    /// The image of a caption.
    pub fn picture(&self, caption_idx: usize) -> usize {
        self.begins.partition_point(|begin| *begin <= caption_idx) - 1
    }
}

/// The result of one query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryRank {
    /// The number of candidates before the first right one; 0 is best.
    pub rank: usize,
    /// The first candidate.
    pub first: usize,
    /// The similarity of the first candidate.
    pub first_similarity: f32,
    /// The similarity of the first right candidate.
    pub own_similarity: f32,
}

/// The results of all queries in both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// One query per caption, among images.
    pub text_to_image: Vec<QueryRank>,
    /// One query per image, among captions.
    pub image_to_text: Vec<QueryRank>,
}

impl Ranks {
    /// The images with the worst ranks, at most `n`, the worst first. Images with rank 0 are left out.
    pub fn worst_images(&self, n: usize) -> Vec<usize> {
        let queries = &self.image_to_text;
        let mut worst: Vec<usize> = (0..queries.len()).filter(|i| queries[*i].rank > 0).collect();
        worst.sort_by_key(|i| std::cmp::Reverse(queries[*i].rank));
        worst.truncate(n);
        worst
    }
}

/// Searches for each caption's image and for each image's captions.
///
/// # Panics
/// If there isn't one row per image and per caption.
pub fn rank(images: &ImageEmbeddings, texts: &TextEmbeddings, belonging: &Belonging, threads: &Threads) -> Ranks {
    let (images, texts) = (images.0.normalized(), texts.0.normalized());
    assert_eq!(images.len(), belonging.n_images(), "one row per image");
    assert_eq!(texts.len(), belonging.n_captions(), "one row per caption");
    let dim = images.embed_dim();
    let text_to_image = query_ranks(texts.values(), images.values(), dim, threads, |caption_idx| {
        let picture = belonging.picture(caption_idx);
        picture..picture + 1
    });
    let image_to_text = query_ranks(images.values(), texts.values(), dim, threads, |image_idx| {
        belonging.captions(image_idx)
    });
    Ranks {
        text_to_image,
        image_to_text,
    }
}

/// The rank of each query among `candidates`, both row-major with unit rows. `right` returns the right candidates of a query.
fn query_ranks(
    queries: &[f32],
    candidates: &[f32],
    dim: usize,
    threads: &Threads,
    right: impl Fn(usize) -> std::ops::Range<usize>,
) -> Vec<QueryRank> {
    let n_candidates = candidates.len() / dim;
    let packed = Linear::pack(
        Weights::F32(candidates),
        None,
        (n_candidates, dim),
        Precision::F32,
        threads,
    );
    let rows_at_once = (BLOCK_SIMILARITIES / n_candidates.max(1)).clamp(1, 1024);
    let mut activations = Activations::new(Precision::F32);
    let mut similarities = Vec::new();
    let mut found = Vec::with_capacity(queries.len() / dim);
    for block in queries.chunks(rows_at_once * dim) {
        activations.fill(block, dim, threads);
        similarities.resize(block.len() / dim * n_candidates, 0.0);
        packed.run(&activations, Activation::Identity, &mut similarities, threads);
        for row in similarities.chunks_exact(n_candidates) {
            found.push(query_rank(row, right(found.len())));
        }
    }
    found
}

/// The rank of the first right candidate in a row of similarities. NaN comes last.
fn query_rank(similarities: &[f32], right: std::ops::Range<usize>) -> QueryRank {
    let key = |i: usize| {
        if similarities[i].is_nan() {
            f32::NEG_INFINITY
        } else {
            similarities[i]
        }
    };
    let best = |mut range: std::ops::Range<usize>| {
        let start = range.next().unwrap_or(0);
        range.fold(start, |best, i| if key(i) > key(best) { i } else { best })
    };
    let own = best(right);
    let own_key = key(own);
    let before = |i: &usize| key(*i) > own_key || (key(*i) == own_key && *i < own);
    let first = best(0..similarities.len());
    QueryRank {
        rank: (0..similarities.len()).filter(before).count(),
        first,
        first_similarity: similarities[first],
        own_similarity: similarities[own],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Embeddings;
    use crate::random::Random;

    fn ranks(images: &[f32], texts: &[f32], dim: usize, n_captions: &[usize]) -> Ranks {
        rank(
            &ImageEmbeddings(Embeddings::new(images.to_vec(), dim)),
            &TextEmbeddings(Embeddings::new(texts.to_vec(), dim)),
            &Belonging::new(n_captions.iter().copied()),
            &Threads::new(2),
        )
    }

    fn only_ranks(queries: &[QueryRank]) -> Vec<usize> {
        queries.iter().map(|query| query.rank).collect()
    }

    #[test]
    fn any_caption_of_an_image_is_right() {
        // Image 0 points right, image 1 up. Of the captions of image 0, one points right and the other left.
        let found = ranks(&[1.0, 0.0, 0.0, 2.0], &[-1.0, 0.1, 3.0, 0.1, 0.1, 1.0], 2, &[2, 1]);
        assert_eq!(only_ranks(&found.image_to_text), [0, 0]);
        assert_eq!(only_ranks(&found.text_to_image), [1, 0, 0]);
        assert_eq!(found.image_to_text[0].first, 1);
    }

    #[test]
    fn equal_similarities_are_in_the_order_of_the_data() {
        // All captions are equal, so the rank of each image's caption is its position.
        let found = ranks(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], &[1.0; 6], 2, &[1, 1, 1]);
        assert_eq!(only_ranks(&found.image_to_text), [0, 1, 2]);
        assert_eq!(only_ranks(&found.text_to_image), [0, 1, 2]);
        // Equal captions of the same image don't make its rank worse.
        let found = ranks(&[1.0, 0.0, 1.0, 0.0], &[1.0; 8], 2, &[2, 2]);
        assert_eq!(only_ranks(&found.image_to_text), [0, 2]);
    }

    #[test]
    fn nan_is_ranked_last() {
        let found = ranks(
            &[f32::NAN, 1.0, 1.0, 0.0, 0.0, 1.0],
            &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0],
            2,
            &[1, 1, 1],
        );
        assert_eq!(only_ranks(&found.text_to_image), [2, 0, 0]);
    }

    #[test]
    fn ranks_equal_those_of_a_plain_loop_even_with_copies() {
        let dim = 37;
        let mut random = Random::new(1, 0);
        let mut noise = |n: usize| -> Vec<f32> { (0..n).map(|_| random.signed_unit()).collect() };
        let counts: Vec<usize> = (0..83).map(|i| 1 + i % 3).collect();
        let n_captions: usize = counts.iter().sum();
        let images = noise(83 * dim);
        let mut texts = noise(n_captions * dim);
        // Copies of one caption, far from each other.
        let copy = texts[5 * dim..6 * dim].to_vec();
        for i in [40, 77, n_captions - 1] {
            texts[i * dim..][..dim].copy_from_slice(&copy);
        }
        let found = ranks(&images, &texts, dim, &counts);

        let images = Embeddings::new(images, dim).normalized();
        let texts = Embeddings::new(texts, dim).normalized();
        let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let belonging = Belonging::new(counts);
        for (i, image) in images.rows().enumerate() {
            let mut order: Vec<usize> = (0..n_captions).collect();
            // A stable sort keeps the order of equal similarities.
            order.sort_by(|a, b| cosine(image, texts.row(*b)).total_cmp(&cosine(image, texts.row(*a))));
            let own = belonging.captions(i);
            let rank = order.iter().position(|caption| own.contains(caption)).unwrap();
            assert_eq!(found.image_to_text[i].rank, rank, "image {i}");
            assert_eq!(found.image_to_text[i].first, order[0]);
        }
        for (t, text) in texts.rows().enumerate() {
            let own = belonging.picture(t);
            let before = images.rows().enumerate().filter(|(i, image)| {
                let (other, mine) = (cosine(image, text), cosine(images.row(own), text));
                other > mine || (other == mine && *i < own)
            });
            assert_eq!(found.text_to_image[t].rank, before.count(), "caption {t}");
        }
    }
}
