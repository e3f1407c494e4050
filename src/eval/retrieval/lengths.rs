//! R@1 by the number of tokens kept of each caption, which shows how much of a text a model uses.
//!
//! The figure on CLIP's effective length in Long-CLIP (arXiv 2403.15378, section 3.1). A caption is cut as the tower cuts it:
//! the start token, the first tokens of the text, and the end token.

use super::recall::Recall;
use crate::model::TextEmbeddings;
use crate::text::{ContextLength, Reading};

/// Encodes texts given as token ids.
pub type Encode<'a, E> = dyn FnMut(&[Vec<u32>]) -> Result<TextEmbeddings, E> + 'a;

/// The result with captions of limited length.
#[derive(Debug, Clone, PartialEq)]
pub struct AtLength {
    /// The largest number of tokens, including the start and the end token.
    pub tokens: ContextLength,
    /// Captions that were longer.
    pub n_cut: usize,
    /// The recalls with these captions.
    pub recalls: Vec<Recall>,
}

/// Measures with captions cut to each of `lengths`, or to what the model reads if that is shorter.
///
/// # Errors
/// The error of `encode`.
pub fn at_lengths<E>(
    lengths: &[ContextLength],
    reading: Reading<'_>,
    captions: &[&str],
    encode: &mut Encode<'_, E>,
    measure: impl Fn(&TextEmbeddings) -> Vec<Recall>,
) -> Result<Vec<AtLength>, E> {
    let mut found = Vec::with_capacity(lengths.len());
    for &tokens in lengths {
        let cut = captions.iter().map(|caption| reading.at_most(tokens).tokens(caption));
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
