//! Which patches of an image made a label fit: relevance from gradients, propagated through the blocks' attention.
//!
//! Chefer, Gur and Wolf, *Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder
//! Transformers* (ICCV 2021, arXiv 2103.15679), equations 5 and 6 as used in their CLIP example. The relevance within a
//! block is `A = mean over heads of max(0, gradient * probability)`. It accumulates over the blocks as `R = R + A R`,
//! starting from the identity. At the end the class token's row of `R` is the relevance of each patch to the label.

use crate::model::BlockAttention;

/// Relevance of each patch, row by row from the top left: 0 or more, without a unit.
///
/// # Panics
/// If blocks have different numbers of tokens.
pub fn patch_relevance(blocks: &[BlockAttention]) -> Vec<f64> {
    let n_tokens = blocks.first().map_or(1, |block| block.n_keys);
    let mut relevance = vec![0.0; n_tokens * n_tokens]; // (n_tokens, n_tokens)
    (0..n_tokens).for_each(|token| relevance[token * n_tokens + token] = 1.0);
    for block in blocks {
        assert_eq!(block.n_keys, n_tokens, "all blocks must have the same tokens");
        let increase = product(&positive_mean(block), &relevance, n_tokens);
        // The last block has one query, the class token, whose row is the first one.
        relevance.iter_mut().zip(increase).for_each(|(sum, gain)| *sum += gain);
    }
    relevance[1..n_tokens].to_vec()
}

/// `mean over heads of max(0, gradient * probability)`, `(n_queries, n_keys)`.
fn positive_mean(block: &BlockAttention) -> Vec<f64> {
    let mut mean = vec![0.0; block.n_queries * block.n_keys];
    let heads = block.gradients.chunks_exact(mean.len());
    for (gradients, probabilities) in heads.zip(block.probabilities.chunks_exact(mean.len())) {
        for ((mean, gradient), probability) in mean.iter_mut().zip(gradients).zip(probabilities) {
            *mean += (f64::from(*gradient) * f64::from(*probability)).max(0.0) / block.heads as f64;
        }
    }
    mean
}

/// `a (m, n)` times `b (n, n)`.
fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![0.0; a.len()];
    for (row, out) in a.chunks_exact(n).zip(out.chunks_exact_mut(n)) {
        for (factor, b) in row.iter().zip(b.chunks_exact(n)) {
            out.iter_mut().zip(b).for_each(|(out, b)| *out += factor * b);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: usize = 2;
    const TOKENS: usize = 5;

    /// Pseudo-random numbers between -1 and 1.
    fn noise(seed: usize, n: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 37 + seed * 101) as f32 * 0.618).sin()).collect()
    }

    fn block(seed: usize, n_queries: usize) -> BlockAttention {
        let n = HEADS * n_queries * TOKENS;
        BlockAttention {
            heads: HEADS,
            n_queries,
            n_keys: TOKENS,
            probabilities: noise(seed, n).iter().map(|v| v.abs() / TOKENS as f32).collect(),
            gradients: noise(seed + 7, n),
        }
    }

    /// The paper's equations, element by element. Of the last block only the class token's row exists.
    fn element_by_element(blocks: &[BlockAttention]) -> Vec<f64> {
        let mut r = [[0.0; TOKENS]; TOKENS];
        (0..TOKENS).for_each(|i| r[i][i] = 1.0);
        for block in blocks {
            let before = r;
            for (query, row) in r.iter_mut().enumerate().take(block.n_queries) {
                for (key, of_key) in before.iter().enumerate() {
                    let at = |head: usize| (head * block.n_queries + query) * TOKENS + key;
                    let product =
                        |head| f64::from(block.gradients[at(head)]) * f64::from(block.probabilities[at(head)]);
                    let a = (0..HEADS).map(|head| product(head).max(0.0)).sum::<f64>() / HEADS as f64;
                    (0..TOKENS).for_each(|column| row[column] += a * of_key[column]);
                }
            }
        }
        r[0][1..].to_vec()
    }

    #[test]
    fn matches_the_papers_equations_element_by_element() {
        let blocks = [block(1, TOKENS), block(2, TOKENS), block(3, 1)];
        let found = patch_relevance(&blocks);
        assert_eq!(found.len(), TOKENS - 1);
        for (found, expected) in found.iter().zip(element_by_element(&blocks)) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn negative_gradients_give_no_relevance() {
        let mut last = block(4, 1);
        last.gradients.fill(-1.0);
        assert_eq!(patch_relevance(&[last]), [0.0; TOKENS - 1]);
    }
}
