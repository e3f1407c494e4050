//! R@k: how often a right one is among the first k, as the papers on CLIP count it.
//!
//! Text to image: each caption looks for its picture. Image to text: each picture looks for captions, and any of its own
//! will do. So upstream's `eval/retrieval/` counts, and CLIP_benchmark's `zeroshot_retrieval.py`, whose keys are used here
//! (`image_retrieval_recall@k` is text to image). Captions of one picture are not independent of each other, so that the
//! intervals take a picture with its captions as one draw.

use super::ranks::{Belonging, Place, Ranks};
use crate::eval::interval::{Estimate, clustered};

/// Which way is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A caption looks for its picture.
    TextToImage,
    /// A picture looks for any of its captions.
    ImageToText,
}

impl Way {
    /// Both.
    pub const BOTH: [Way; 2] = [Way::TextToImage, Way::ImageToText];

    /// As a table says it.
    pub fn name(self) -> &'static str {
        match self {
            Way::TextToImage => "text to image",
            Way::ImageToText => "image to text",
        }
    }

    /// CLIP_benchmark's key, which says what is retrieved.
    pub fn key(self, k: usize) -> String {
        let retrieved = match self {
            Way::TextToImage => "image",
            Way::ImageToText => "text",
        };
        format!("{retrieved}_retrieval_recall@{k}")
    }
}

/// How often a right one was among the first k.
#[derive(Debug, Clone, PartialEq)]
pub struct Recall {
    /// Which way was looked.
    pub way: Way,
    /// How many of the first count.
    pub k: usize,
    /// The share, 0 to 1.
    pub share: Estimate,
    /// What each picture with its captions adds to it.
    pub hits: Vec<Hits>,
}

/// What one picture and its captions add to a recall.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// How often was found.
    pub n_found: u32,
    /// How often was looked.
    pub n_asked: u32,
}

/// What each picture with its captions adds to R@k.
fn hits(ranks: &Ranks, belonging: &Belonging, way: Way, k: usize) -> Vec<Hits> {
    let count = |places: &[Place]| Hits {
        n_found: places.iter().filter(|place| place.rank < k).count() as u32,
        n_asked: places.len() as u32,
    };
    let of_picture = |picture_idx: usize| match way {
        Way::TextToImage => count(&ranks.text_to_image[belonging.captions(picture_idx)]),
        Way::ImageToText => count(&ranks.image_to_text[picture_idx..=picture_idx]),
    };
    (0..belonging.n_pictures()).map(of_picture).collect()
}

/// R@k of all `ks`, text to image first.
pub fn recalls(ranks: &Ranks, belonging: &Belonging, ks: &[usize]) -> Vec<Recall> {
    let pairs = Way::BOTH.iter().flat_map(|way| ks.iter().map(|k| (*way, *k)));
    pairs
        .map(|(way, k)| {
            let hits = hits(ranks, belonging, way, k);
            let clusters: Vec<(u32, u32)> = hits.iter().map(|hits| (hits.n_found, hits.n_asked)).collect();
            Recall {
                way,
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

    fn places(ranks: &[usize]) -> Vec<Place> {
        let place = |rank: &usize| Place {
            rank: *rank,
            first: 0,
            first_similarity: 0.0,
            own_similarity: 0.0,
        };
        ranks.iter().map(place).collect()
    }

    #[test]
    fn each_way_has_its_own_count_and_clip_benchmarks_key() {
        let belonging = Belonging::new([2, 1]);
        let ranks = Ranks {
            text_to_image: places(&[0, 7, 4]),
            image_to_text: places(&[9, 10]),
        };
        let found = recalls(&ranks, &belonging, &[1, 5, 10]);
        let sum = |recall: &Recall, of: fn(&Hits) -> u32| recall.hits.iter().map(of).sum::<u32>();
        let counts: Vec<(String, u32, u32)> = found
            .iter()
            .map(|recall| {
                (
                    recall.way.key(recall.k),
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
