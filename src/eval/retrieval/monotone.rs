//! Whether true sentences raise the score: the similarity of an image with the beginnings of its caption, sentence by
//! sentence.
//!
//! A caption with sentences s1 ... sn has the beginnings s1, s1 s2, ..., s1 ... sn. Only those that fit into the model's
//! context count, and only captions with two or more. Measured are the share of captions whose similarity rises with every
//! sentence, the share of sentences that raise it, and the mean over captions of Spearman's rank correlation between the
//! number of sentences and the similarity (1: always rising, -1: always falling). HiMo-CLIP (arXiv 2511.06653) calls a
//! similar measure HiMo@K and reports -0.55 for Long-CLIP.

use super::lengths::Encode;
use super::ranks::Belonging;
use crate::model::{ImageEmbeddings, TextEmbeddings};
use crate::text::{Reading, sentences};

/// How similarities change as captions grow.
#[derive(Debug, Clone, PartialEq)]
pub struct Monotonicity {
    /// The captions with two or more beginnings.
    pub captions: Vec<Growing>,
    /// Captions with fewer.
    pub n_left_out: usize,
}

/// How the similarity of one caption changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growing {
    /// The image it belongs to.
    pub image_idx: usize,
    /// Sentences after the first.
    pub n_added: usize,
    /// How many of them raised the similarity.
    pub n_rises: usize,
    /// Spearman's rank correlation; 0 if all similarities are equal.
    pub correlation: f64,
}

impl Monotonicity {
    /// The share of captions whose similarity rises with every sentence.
    pub fn rising_share(&self) -> f64 {
        self.mean(|growing| f64::from(u8::from(growing.n_rises == growing.n_added)))
    }

    /// The share of added sentences that raise the similarity.
    pub fn raising_share(&self) -> f64 {
        let sum = |count: fn(&Growing) -> usize| self.captions.iter().map(count).sum::<usize>() as f64;
        sum(|growing| growing.n_rises) / sum(|growing| growing.n_added)
    }

    /// The mean rank correlation.
    pub fn correlation(&self) -> f64 {
        self.mean(|growing| growing.correlation)
    }

    fn mean(&self, of: impl Fn(&Growing) -> f64) -> f64 {
        self.captions.iter().map(of).sum::<f64>() / self.captions.len() as f64
    }
}

/// Measures all captions.
///
/// # Errors
/// The error of `encode`.
pub fn monotonicity<E>(
    reading: Reading<'_>,
    captions: &[&str],
    images: &ImageEmbeddings,
    belonging: &Belonging,
    encode: &mut Encode<'_, E>,
) -> Result<Monotonicity, E> {
    let beginnings: Vec<Vec<Vec<u32>>> = captions.iter().map(|caption| beginnings(caption, reading)).collect();
    let all: Vec<Vec<u32>> = beginnings
        .iter()
        .filter(|ids| ids.len() > 1)
        .flatten()
        .cloned()
        .collect();
    if all.is_empty() {
        return Ok(Monotonicity {
            captions: Vec::new(),
            n_left_out: captions.len(),
        });
    }
    let TextEmbeddings(texts) = encode(&all)?;
    let (images, texts) = (images.0.normalized(), texts.normalized());
    let mut rows = texts.rows();
    let mut found = Vec::new();
    for (caption_idx, beginnings) in beginnings.iter().enumerate().filter(|(_, ids)| ids.len() > 1) {
        let image_idx = belonging.picture(caption_idx);
        let similarities: Vec<f64> = rows
            .by_ref()
            .take(beginnings.len())
            .map(|text| cosine(images.row(image_idx), text))
            .collect();
        found.push(growing(image_idx, &similarities));
    }
    Ok(Monotonicity {
        n_left_out: captions.len() - found.len(),
        captions: found,
    })
}

/// The token ids of a caption's beginnings that fit into the context.
fn beginnings(caption: &str, reading: Reading<'_>) -> Vec<Vec<u32>> {
    let ends = sentences(caption).into_iter().map(|sentence| {
        let start = sentence.as_ptr() as usize - caption.as_ptr() as usize;
        start + sentence.len()
    });
    ends.map(|end| reading.tokens(&caption[..end]))
        .take_while(|tokens| !tokens.truncated())
        .map(|tokens| tokens.ids().to_vec())
        .collect()
}

/// The cosine of unit rows, in f64.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn growing(image_idx: usize, similarities: &[f64]) -> Growing {
    Growing {
        image_idx,
        n_added: similarities.len() - 1,
        n_rises: similarities.windows(2).filter(|pair| pair[1] > pair[0]).count(),
        correlation: rank_correlation(similarities),
    }
}

/// Spearman's correlation between values and their order. Equal values have the mean of their ranks; 0 if all are equal.
fn rank_correlation(values: &[f64]) -> f64 {
    let ranks: Vec<f64> = values
        .iter()
        .map(|value| {
            let below = values.iter().filter(|other| *other < value).count() as f64;
            let equal = values.iter().filter(|other| *other == value).count() as f64;
            below + (equal - 1.0) / 2.0
        })
        .collect();
    let mean = (values.len() as f64 - 1.0) / 2.0;
    let (mut product, mut of_order, mut of_ranks) = (0.0, 0.0, 0.0);
    for (i, rank) in ranks.iter().enumerate() {
        let (order, rank) = (i as f64 - mean, rank - mean);
        product += order * rank;
        of_order += order * order;
        of_ranks += rank * rank;
    }
    match of_ranks > 0.0 {
        true => product / (of_order * of_ranks).sqrt(),
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Embeddings;
    use crate::text::{ContextLength, Tokenizer};

    fn long() -> Reading<'static> {
        Reading {
            tokenizer: Tokenizer::clip(),
            context: ContextLength::LONG,
        }
    }

    #[test]
    fn correlations_equal_scipy() {
        // scipy.stats.spearmanr([0, 1, 2, ...], values).statistic
        for (values, expected) in [
            (vec![0.1, 0.2, 0.3, 0.4], 1.0),
            (vec![0.4, 0.3, 0.2], -1.0),
            (vec![0.3, 0.1, 0.2, 0.5, 0.4], 0.6),
            (vec![0.2, 0.2, 0.3], 0.866_025_403_784_438_6),
            (vec![0.1, 0.3, 0.3, 0.2, 0.5], 0.666_885_928_855_350_3),
            (vec![0.2, 0.2], 0.0),
        ] {
            let found = rank_correlation(&values);
            assert!((found - expected).abs() < 1e-12, "{values:?}: {found}");
        }
    }

    #[test]
    fn a_beginning_is_unchanged_text_that_fits_into_the_context() {
        let caption = "A cat.  It sleeps. \"Quiet!\" And a dog";
        let encode = |text: &str| long().tokens(text).ids().to_vec();
        let expected = ["A cat.", "A cat.  It sleeps.", "A cat.  It sleeps. \"Quiet!\"", caption];
        assert_eq!(beginnings(caption, long()), expected.map(encode));
        let short = ContextLength::new(encode(expected[1]).len()).unwrap();
        assert_eq!(
            beginnings(caption, long().at_most(short)),
            [encode(expected[0]), encode(expected[1])]
        );
    }

    #[test]
    fn captions_of_one_sentence_are_left_out() {
        // A text points up by its number of tokens. Image 0 points up, image 1 right.
        let mut encode = |ids: &[Vec<u32>]| -> Result<TextEmbeddings, ()> {
            let rows = ids.iter().flat_map(|ids| [1.0, ids.len() as f32]);
            Ok(TextEmbeddings(Embeddings::new(rows.collect(), 2)))
        };
        let images = ImageEmbeddings(Embeddings::new(vec![0.0, 1.0, 1.0, 0.0], 2));
        let captions = ["A cat. It sleeps.", "One.", "A dog. It runs. It barks."];
        let belonging = Belonging::new([2, 1]);
        let found = monotonicity(long(), &captions, &images, &belonging, &mut encode).unwrap();
        assert_eq!((found.captions.len(), found.n_left_out), (2, 1));
        assert_eq!(
            (found.rising_share(), found.raising_share(), found.correlation()),
            (0.5, 1.0 / 3.0, 0.0)
        );
        assert_eq!(found.captions[1].image_idx, 1);
    }
}
