//! A batch of tokenized texts, in which a common prefix is stored and computed once.
//!
//! In a causal tower a row depends only on the rows before it. So texts of one template can share the rows of their
//! common prefix without changing the result: "a photo of a dog" and "a photo of a cat" differ only from the fifth
//! token on.

use std::ops::Range;

use super::engine::{Sequence, Sequences};
use crate::error::{Error, Result};
use crate::recipe::{TextAttention, TextPooling, TextRecipe};

/// Token ids of at least one text, each truncated after the token that it is read at, or padded to the whole context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<u32>,
    positions: Vec<u32>,
    /// For each text, in the order given, the row that its embedding is read from.
    read_rows: Vec<usize>,
    /// Shared prefixes and texts, in the order of their rows.
    sequences: Sequences,
    /// For each text, in the order given, the index of its sequence.
    texts: Vec<usize>,
}

impl TokenBatch {
    /// Takes one slice of token ids per text, with or without padding, as CLIP reads them: at the first occurrence of the
    /// largest id of a text; what follows it is ignored.
    ///
    /// # Errors
    /// [`Error::Usage`] for an empty batch, or for a text without ids.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Result<Self> {
        TokenBatch::causal(texts, TextPooling::LargestId)
    }

    /// As [`TokenBatch::new`], for a text tower with this recipe and context length. Where padding has an effect, texts
    /// are padded with the id 0, as open_clip's tokenizer does.
    ///
    /// # Errors
    /// As [`TokenBatch::new`].
    pub fn for_recipe<'a>(
        texts: impl IntoIterator<Item = &'a [u32]>,
        recipe: &TextRecipe,
        context_length: usize,
    ) -> Result<Self> {
        if recipe.ignores_padding() {
            return TokenBatch::causal(texts, recipe.pooling);
        }
        let padded = |text: &[u32]| {
            let mut ids = text.to_vec();
            ids.resize(context_length.max(text.len()), 0);
            ids
        };
        let padded: Vec<Vec<u32>> = texts.into_iter().map(padded).collect();
        match recipe.attention {
            TextAttention::Causal => TokenBatch::causal(padded.iter().map(Vec::as_slice), recipe.pooling),
            TextAttention::Full => TokenBatch::side_by_side(&padded, recipe.pooling),
        }
    }

    /// Whole texts of which no two share a row.
    fn side_by_side(texts: &[Vec<u32>], pooling: TextPooling) -> Result<Self> {
        if texts.is_empty() {
            return Err(no_texts());
        }
        let mut rows = BatchRows::default();
        let mut read_rows = Vec::new();
        for text in texts {
            let own = rows.push(text, 0..0);
            read_rows.push(own.start + read_at(text, pooling)?);
        }
        Ok(TokenBatch {
            ids: rows.ids,
            positions: rows.positions,
            read_rows,
            sequences: Sequences::of(rows.list),
            texts: (0..texts.len()).collect(),
        })
    }

    /// Texts of a causal tower, which end with the token that they are read at.
    fn causal<'a>(texts: impl IntoIterator<Item = &'a [u32]>, pooling: TextPooling) -> Result<Self> {
        let truncated = |text: &'a [u32]| Ok(&text[..=read_at(text, pooling)?]);
        let texts: Vec<&[u32]> = texts.into_iter().map(truncated).collect::<Result<_>>()?;
        if texts.is_empty() {
            return Err(no_texts());
        }
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|text_idx| texts[*text_idx]);
        let sorted: Vec<&[u32]> = order.iter().map(|text_idx| texts[*text_idx]).collect();
        let mut rows = BatchRows::default();
        let mut sequence_of = vec![0; texts.len()];
        for group in groups(&sorted) {
            let prefix = match group.members.len() {
                1 => 0..0,
                _ => rows.push(&sorted[group.members.start][..group.prefix_tokens], 0..0),
            };
            for member in group.members {
                sequence_of[order[member]] = rows.list.len();
                rows.push(&sorted[member][prefix.len()..], prefix.clone());
            }
        }
        Ok(TokenBatch {
            ids: rows.ids,
            positions: rows.positions,
            read_rows: sequence_of.iter().map(|i| rows.list[*i].rows.end - 1).collect(),
            sequences: Sequences::of(rows.list),
            texts: sequence_of,
        })
    }

    /// A batch of one text that keeps everything after the end token, because every position will be read.
    ///
    /// # Errors
    /// [`Error::Usage`] if `ids` is empty.
    pub(super) fn whole(ids: &[u32]) -> Result<Self> {
        if ids.is_empty() {
            return Err(no_ids());
        }
        Ok(TokenBatch {
            ids: ids.to_vec(),
            positions: (0..ids.len() as u32).collect(),
            read_rows: vec![ids.len() - 1],
            sequences: Sequences::new([ids.len()]),
            texts: vec![0],
        })
    }

    /// Token ids of all rows.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The position of each row in its text.
    pub(super) fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// The rows of the shared prefixes and of the texts.
    pub(super) fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// The rows of the texts, in the order given.
    pub(super) fn texts(&self) -> Sequences {
        Sequences::of(self.texts.iter().map(|i| self.sequences.list()[*i].clone()).collect())
    }

    /// For each text, in the order given, the row that its embedding is read from.
    pub(super) fn read_rows(&self) -> &[usize] {
        &self.read_rows
    }

    /// The number of tokens of the longest text.
    pub fn longest(&self) -> usize {
        self.sequences.list().iter().map(Sequence::len).max().unwrap_or(0)
    }
}

/// The token that a text is read at.
fn read_at(text: &[u32], pooling: TextPooling) -> Result<usize> {
    let largest = text.iter().max().ok_or_else(no_ids)?;
    let first = |wanted: &u32| text.iter().position(|id| id == wanted);
    Ok(match pooling {
        TextPooling::LargestId => first(largest).unwrap_or(0),
        TextPooling::Id(id) => first(&id).unwrap_or(0),
        TextPooling::First => 0,
        TextPooling::Last => text.len() - 1,
    })
}

fn no_texts() -> Error {
    Error::usage("no texts to encode", "give at least one")
}

fn no_ids() -> Error {
    Error::usage(
        "a text without token ids",
        "an empty text has two: the start and the end token",
    )
}

/// The rows of a batch while it is being built.
#[derive(Default)]
struct BatchRows {
    ids: Vec<u32>,
    positions: Vec<u32>,
    list: Vec<Sequence>,
}

impl BatchRows {
    /// Appends a sequence of these ids after the rows `prefix`, and returns its own rows.
    fn push(&mut self, ids: &[u32], prefix: Range<usize>) -> Range<usize> {
        let rows = self.ids.len()..self.ids.len() + ids.len();
        self.ids.extend_from_slice(ids);
        self.positions.extend((prefix.len() as u32..).take(ids.len()));
        self.list.push(Sequence {
            rows: rows.clone(),
            prefix,
        });
        rows
    }
}

/// Texts with a common prefix.
#[derive(Debug, PartialEq, Eq)]
struct PrefixGroup {
    /// Indices into the sorted texts.
    members: Range<usize>,
    /// The length of their common prefix. The last token of a text is never part of it.
    prefix_tokens: usize,
}

/// Divides sorted texts into groups. A text joins the group before it if that saves at least as many rows as the group
/// saves without it, unless it shares more than twice as many tokens with the next text.
fn groups(sorted: &[&[u32]]) -> Vec<PrefixGroup> {
    let mut groups: Vec<PrefixGroup> = Vec::new();
    for (i, text) in sorted.iter().enumerate() {
        if let Some(group) = groups.last_mut() {
            let shared = shared_tokens(sorted[i - 1], text).min(group.prefix_tokens);
            let saved_now = (group.members.len() - 1) * group.prefix_tokens;
            let shared_later = sorted.get(i + 1).map_or(0, |next| shared_tokens(text, next));
            if shared > 0 && group.members.len() * shared >= saved_now && shared_later <= 2 * shared {
                group.members.end += 1;
                group.prefix_tokens = shared;
                continue;
            }
        }
        groups.push(PrefixGroup {
            members: i..i + 1,
            prefix_tokens: text.len() - 1,
        });
    }
    groups
}

/// The length of the common prefix of two texts, not counting the last token of either.
fn shared_tokens(a: &[u32], b: &[u32]) -> usize {
    let comparable = a.len().min(b.len()) - 1;
    a.iter().zip(b).take(comparable).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncates_a_text_after_its_first_largest_id() {
        let batch = TokenBatch::new([&[998, 5, 999, 0, 0][..]]).unwrap();
        assert_eq!(batch.ids(), [998, 5, 999]);
        assert_eq!(batch.positions(), [0, 1, 2]);
    }

    #[test]
    fn rejects_an_empty_batch_and_a_text_without_ids() {
        assert!(TokenBatch::new([]).is_err());
        assert!(TokenBatch::new([&[][..]]).is_err());
        assert!(TokenBatch::whole(&[]).is_err());
    }

    #[test]
    fn stores_a_common_prefix_once_and_keeps_the_order_of_texts() {
        let batch = TokenBatch::new([&[8, 1, 2, 4, 9][..], &[8, 1, 2, 3, 9]]).unwrap();
        assert_eq!(batch.ids(), [8, 1, 2, 3, 9, 4, 9]);
        assert_eq!(batch.positions(), [0, 1, 2, 3, 4, 3, 4]);
        let texts = batch.texts();
        assert_eq!(batch.read_rows(), [6, 4]);
        assert_eq!(texts.list()[0].all_rows().collect::<Vec<_>>(), [0, 1, 2, 5, 6]);
        assert_eq!(batch.longest(), 5);
    }

    #[test]
    fn equal_texts_share_all_but_the_end_token() {
        let batch = TokenBatch::new([&[8, 1, 9][..], &[8, 1, 9]]).unwrap();
        assert_eq!(batch.ids(), [8, 1, 9, 9]);
        assert_eq!(batch.read_rows(), [2, 3]);
    }

    #[test]
    fn a_recipe_decides_where_a_text_is_read_and_whether_it_is_padded() {
        let text = &[8, 3, 9, 2][..];
        let batch = |attention, pooling| {
            let recipe = TextRecipe {
                attention,
                pooling,
                ..TextRecipe::default()
            };
            TokenBatch::for_recipe([text], &recipe, 6).unwrap()
        };
        let check = |attention, pooling, ids: &[u32], row: usize| {
            let batch = batch(attention, pooling);
            assert_eq!(
                (batch.ids(), batch.read_rows()),
                (ids, &[row][..]),
                "{attention:?} {pooling:?}"
            );
        };
        let padded = &[8, 3, 9, 2, 0, 0][..];
        check(TextAttention::Causal, TextPooling::LargestId, &[8, 3, 9], 2);
        check(TextAttention::Causal, TextPooling::Id(3), &[8, 3], 1);
        check(TextAttention::Causal, TextPooling::Id(7), &[8], 0);
        check(TextAttention::Causal, TextPooling::First, &[8], 0);
        check(TextAttention::Causal, TextPooling::Last, padded, 5);
        check(TextAttention::Full, TextPooling::LargestId, padded, 2);
        check(TextAttention::Full, TextPooling::First, padded, 0);
        check(TextAttention::Full, TextPooling::Last, padded, 5);
    }

    #[test]
    fn a_short_common_prefix_does_not_split_a_long_one() {
        let long = [8, 1, 2, 3, 4, 5];
        let texts = [
            [&long[..], &[6, 9]].concat(),
            [&long[..], &[7, 9]].concat(),
            [8, 2, 2, 9].to_vec(),
        ];
        let sorted: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let found = groups(&sorted);
        assert_eq!(
            found[0],
            PrefixGroup {
                members: 0..2,
                prefix_tokens: 6
            }
        );
        assert_eq!(found.len(), 2);
        let backwards = [[8, 0, 9].to_vec(), texts[0].clone(), texts[1].clone()];
        let sorted: Vec<&[u32]> = backwards.iter().map(Vec::as_slice).collect();
        assert_eq!(
            groups(&sorted)[1],
            PrefixGroup {
                members: 1..3,
                prefix_tokens: 6
            }
        );
    }
}
