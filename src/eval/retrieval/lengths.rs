//! R@1 against the number of tokens kept of each caption: how much of a text a model makes use of.
//!
//! The figure of Long-CLIP's paper on CLIP's effective length (arXiv 2403.15378, section 3.1). A caption is cut as the tower
//! cuts it: its first tokens and the end token, the start and the end counted.

use super::recall::Recall;
use crate::model::TextEmbeddings;
use crate::text::{ContextLength, Tokenizer};

/// What encodes texts given as token ids.
pub type Encode<'a, E> = dyn FnMut(&[Vec<u32>]) -> Result<TextEmbeddings, E> + 'a;

/// What was found with so many tokens of each caption.
#[derive(Debug, Clone, PartialEq)]
pub struct AtLength {
    /// Tokens kept at most, the start and the end token among them.
    pub tokens: ContextLength,
    /// How many captions were longer.
    pub n_cut: usize,
    /// What was measured.
    pub recalls: Vec<Recall>,
}

/// Measures captions cut to each of `lengths`. A length beyond `context` is measured as `context`.
///
/// # Errors
/// Those of `encode`.
pub fn at_lengths<E>(
    lengths: &[ContextLength],
    context: ContextLength,
    captions: &[&str],
    encode: &mut Encode<'_, E>,
    measure: impl Fn(&TextEmbeddings) -> Vec<Recall>,
) -> Result<Vec<AtLength>, E> {
    let mut found = Vec::with_capacity(lengths.len());
    for &tokens in lengths {
        let cut = captions
            .iter()
            .map(|caption| Tokenizer::clip().encode(caption, tokens.min(context)));
        let cut: Vec<_> = cut.collect();
        let ids: Vec<Vec<u32>> = cut.iter().map(|tokens| tokens.ids().to_vec()).collect();
        found.push(AtLength {
            tokens,
            n_cut: cut.iter().filter(|tokens| tokens.truncated()).count(),
            recalls: measure(&encode(&ids)?),
        });
    }
    Ok(found)
}
