//! R@1 against the number of tokens kept of each caption: how much of a text a model makes use of.
//!
//! The figure of Long-CLIP's paper on CLIP's effective length (arXiv 2403.15378, section 3.1). A caption is cut as the tower
//! cuts it: its first tokens and the end token, the start and the end counted.

use std::collections::HashMap;

use super::ranks::{Belonging, rank};
use super::recall::{Recall, recalls};
use crate::error::Result;
use crate::kernels::Threads;
use crate::model::{ImageEmbeddings, TextEmbeddings};
use crate::text::{ContextLength, Tokenizer};

/// What encodes texts given as token ids.
pub type Encode<'a> = dyn FnMut(&[Vec<u32>]) -> Result<TextEmbeddings> + 'a;

/// What was found with so many tokens of each caption.
#[derive(Debug, Clone, PartialEq)]
pub struct AtLength {
    /// Tokens kept at most, the start and the end token among them.
    pub tokens: ContextLength,
    /// How many captions were longer.
    pub n_cut: usize,
    /// R@1, both ways.
    pub recalls: Vec<Recall>,
}

/// Lets captions, cut to each of `lengths`, look for pictures. A length beyond `context` is measured as `context`.
///
/// # Errors
/// Those of `encode`.
pub fn at_lengths(
    lengths: &[ContextLength],
    context: ContextLength,
    captions: &[&str],
    images: &ImageEmbeddings,
    belonging: &Belonging,
    threads: &Threads,
    encode: &mut Encode<'_>,
) -> Result<Vec<AtLength>> {
    let mut found = Vec::with_capacity(lengths.len());
    for &tokens in lengths {
        let read = tokens.min(context);
        let encoded: Vec<_> = captions
            .iter()
            .map(|caption| Tokenizer::clip().encode(caption, read))
            .collect();
        let ids: Vec<Vec<u32>> = encoded.iter().map(|tokens| tokens.ids().to_vec()).collect();
        let texts = encode(&ids)?;
        let ranks = rank(images, &texts, belonging, threads);
        found.push(AtLength {
            tokens,
            n_cut: encoded.iter().filter(|tokens| tokens.truncated()).count(),
            recalls: recalls(&ranks, belonging, &[1]),
        });
    }
    Ok(found)
}

/// Texts without repetitions, and which of them each one is.
#[derive(Debug, Default)]
pub struct Distinct {
    /// Each once, in the order of their first places.
    pub ids: Vec<Vec<u32>>,
    /// For each text its place among these.
    pub places: Vec<usize>,
}

impl Distinct {
    /// Of texts as token ids.
    pub fn of(texts: &[Vec<u32>]) -> Self {
        let mut known: HashMap<&[u32], usize> = HashMap::new();
        let mut distinct = Distinct::default();
        for text in texts {
            let next = distinct.ids.len();
            let place = *known.entry(text).or_insert(next);
            if place == next {
                distinct.ids.push(text.clone());
            }
            distinct.places.push(place);
        }
        distinct
    }
}
