//! R@k: how often a right answer is among the first k, as the papers on CLIP count it.
//!
//! Text to image: each caption is a query, and its image is right. Image to text: each image is a query, and any of its
//! captions is right. This is how upstream's `eval/retrieval/` counts, and CLIP_benchmark's `zeroshot_retrieval.py`, whose
//! keys are used here (`image_retrieval_recall@k` is text to image). The captions of an image are not independent, so the
//! intervals treat an image with its captions as one draw.

use super::ranks::{Belonging, QueryRank, Ranks};
use crate::eval::interval::{Estimate, clustered};

/// What is searched with, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Captions search for their image.
    TextToImage,
    /// Images search for any of their captions.
    ImageToText,
}

impl Direction {
    /// Both directions.
    pub const BOTH: [Direction; 2] = [Direction::TextToImage, Direction::ImageToText];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Direction::TextToImage => "text to image",
            Direction::ImageToText => "image to text",
        }
    }

    /// CLIP_benchmark's key, which names what is retrieved.
    pub fn key(self, k: usize) -> String {
        let retrieved = match self {
            Direction::TextToImage => "image",
            Direction::ImageToText => "text",
        };
        format!("{retrieved}_retrieval_recall@{k}")
    }
}

/// R@k in one direction.
#[derive(Debug, Clone, PartialEq)]
pub struct Recall {
    /// The direction.
    pub direction: Direction,
    /// The number of first results that count.
    pub k: usize,
    /// The share of successful queries, 0 to 1.
    pub share: Estimate,
    /// The queries of each image, or of its captions.
    pub hits: Vec<Hits>,
}

/// The queries of one image, or of its captions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// Successful queries.
    pub n_found: u32,
    /// All queries.
    pub n_asked: u32,
}

fn hits(ranks: &Ranks, belonging: &Belonging, direction: Direction, k: usize) -> Vec<Hits> {
    let count = |queries: &[QueryRank]| Hits {
        n_found: queries.iter().filter(|query| query.rank < k).count() as u32,
        n_asked: queries.len() as u32,
    };
    let of_image = |image_idx: usize| match direction {
        Direction::TextToImage => count(&ranks.text_to_image[belonging.captions(image_idx)]),
        Direction::ImageToText => count(&ranks.image_to_text[image_idx..=image_idx]),
    };
    (0..belonging.n_images()).map(of_image).collect()
}

/// R@k for all `ks` in both directions, text to image first.
pub fn recalls(ranks: &Ranks, belonging: &Belonging, ks: &[usize]) -> Vec<Recall> {
    let pairs = Direction::BOTH
        .iter()
        .flat_map(|direction| ks.iter().map(|k| (*direction, *k)));
    pairs
        .map(|(direction, k)| {
            let hits = hits(ranks, belonging, direction, k);
            let clusters: Vec<(u32, u32)> = hits.iter().map(|hits| (hits.n_found, hits.n_asked)).collect();
            Recall {
                direction,
                k,
                share: clustered(&clusters),
                hits,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ranks(ranks: &[usize]) -> Vec<QueryRank> {
        let query = |rank: &usize| QueryRank {
            rank: *rank,
            first: 0,
            first_similarity: 0.0,
            own_similarity: 0.0,
        };
        ranks.iter().map(query).collect()
    }

    #[test]
    fn both_directions_are_counted_under_clip_benchmarks_keys() {
        let belonging = Belonging::new([2, 1]);
        let ranks = Ranks {
            text_to_image: with_ranks(&[0, 7, 4]),
            image_to_text: with_ranks(&[9, 10]),
        };
        let found = recalls(&ranks, &belonging, &[1, 5, 10]);
        let sum = |recall: &Recall, of: fn(&Hits) -> u32| recall.hits.iter().map(of).sum::<u32>();
        let counts: Vec<(String, u32, u32)> = found
            .iter()
            .map(|recall| {
                (
                    recall.direction.key(recall.k),
                    sum(recall, |hits| hits.n_found),
                    sum(recall, |hits| hits.n_asked),
                )
            })
            .collect();
        let expected = [
            ("image_retrieval_recall@1", 1, 3),
            ("image_retrieval_recall@5", 2, 3),
            ("image_retrieval_recall@10", 3, 3),
            ("text_retrieval_recall@1", 0, 2),
            ("text_retrieval_recall@5", 0, 2),
            ("text_retrieval_recall@10", 1, 2),
        ];
        assert_eq!(
            counts,
            expected.map(|(key, found, asked)| (key.to_owned(), found, asked))
        );
        let shares: Vec<f64> = found.iter().map(|recall| recall.share.value).collect();
        assert_eq!(shares, [1.0 / 3.0, 2.0 / 3.0, 1.0, 0.0, 0.0, 0.5]);
    }
}
