//! Token ids of several texts as the rows of one batch, in which a common beginning stands once.
//!
//! In a causal tower a row depends on what stands before it only, so texts of one template share the rows of its
//! beginning, exactly: "a photo of a dog" and "a photo of a cat" differ from the fifth token on.

use std::ops::Range;

use super::engine::{Sequence, Sequences};
use crate::error::{Error, Result};

/// Token ids of at least one text, each cut behind its end token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    ids: Vec<u32>,
    positions: Vec<u32>,
    /// Beginnings and texts, in the order of their rows.
    sequences: Sequences,
    /// Which of the sequences is which text, in the order given.
    texts: Vec<usize>,
}

impl TokenBatch {
    /// Takes token ids, one slice a text, with or without padding behind the end token: the largest id of a text, at
    /// its first place.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no text, or one without ids.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Result<Self> {
        let texts: Vec<&[u32]> = texts.into_iter().map(cut_at_end).collect::<Result<_>>()?;
        if texts.is_empty() {
            return Err(Error::usage("no texts to encode", "give at least one"));
        }
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|text_idx| texts[*text_idx]);
        let sorted: Vec<&[u32]> = order.iter().map(|text_idx| texts[*text_idx]).collect();
        let mut rows = Rows::default();
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
            sequences: Sequences::of(rows.list),
            texts: sequence_of,
        })
    }

    /// One text whose every position is read, with what stands behind its end token.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are no ids.
    pub(super) fn whole(ids: &[u32]) -> Result<Self> {
        if ids.is_empty() {
            return Err(no_ids());
        }
        Ok(TokenBatch {
            ids: ids.to_vec(),
            positions: (0..ids.len() as u32).collect(),
            sequences: Sequences::new([ids.len()]),
            texts: vec![0],
        })
    }

    /// Ids of all rows.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Positions of all rows in their texts.
    pub(super) fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Where beginnings and texts lie among the rows.
    pub(super) fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// Where the texts lie, in the order given.
    pub(super) fn texts(&self) -> Sequences {
        Sequences::of(self.texts.iter().map(|i| self.sequences.list()[*i].clone()).collect())
    }

    /// How many tokens the longest text has.
    pub fn longest(&self) -> usize {
        self.sequences.list().iter().map(Sequence::len).max().unwrap_or(0)
    }
}

/// A text up to its end token.
fn cut_at_end(text: &[u32]) -> Result<&[u32]> {
    let largest = text.iter().max();
    let end = text.iter().position(|id| Some(id) == largest).ok_or_else(no_ids)?;
    Ok(&text[..=end])
}

fn no_ids() -> Error {
    Error::usage(
        "a text without token ids",
        "an empty text has two: the start and the end token",
    )
}

/// Rows of a batch as they are laid out.
#[derive(Default)]
struct Rows {
    ids: Vec<u32>,
    positions: Vec<u32>,
    list: Vec<Sequence>,
}

impl Rows {
    /// Appends a sequence of these ids behind `prefix`, and says where its rows lie.
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

/// Texts with a common beginning.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    /// Places among the sorted texts.
    members: Range<usize>,
    /// Tokens that they have in common; the last token of a text is always its own.
    prefix_tokens: usize,
}

/// Cuts sorted texts into groups: a text joins the group before it as long as the rows saved don't become fewer, and
/// unless it has more than twice as much in common with the text behind it.
fn groups(sorted: &[&[u32]]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
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
        groups.push(Group {
            members: i..i + 1,
            prefix_tokens: text.len() - 1,
        });
    }
    groups
}

/// Tokens at the beginning that two texts have in common, not counting the last of either.
fn shared_tokens(a: &[u32], b: &[u32]) -> usize {
    let comparable = a.len().min(b.len()) - 1;
    a.iter().zip(b).take(comparable).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_behind_the_first_place_of_its_largest_id() {
        let batch = TokenBatch::new([&[998, 5, 999, 0, 0][..]]).unwrap();
        assert_eq!(batch.ids(), [998, 5, 999]);
        assert_eq!(batch.positions(), [0, 1, 2]);
    }

    #[test]
    fn no_text_and_no_ids_are_refused() {
        assert!(TokenBatch::new([]).is_err());
        assert!(TokenBatch::new([&[][..]]).is_err());
        assert!(TokenBatch::whole(&[]).is_err());
    }

    #[test]
    fn a_common_beginning_stands_once_and_texts_keep_their_order() {
        let batch = TokenBatch::new([&[8, 1, 2, 4, 9][..], &[8, 1, 2, 3, 9]]).unwrap();
        assert_eq!(batch.ids(), [8, 1, 2, 3, 9, 4, 9]);
        assert_eq!(batch.positions(), [0, 1, 2, 3, 4, 3, 4]);
        let texts = batch.texts();
        assert_eq!(texts.last_rows(), [6, 4]);
        assert_eq!(texts.list()[0].all_rows().collect::<Vec<_>>(), [0, 1, 2, 5, 6]);
        assert_eq!(batch.longest(), 5);
    }

    #[test]
    fn equal_texts_keep_an_end_token_each() {
        let batch = TokenBatch::new([&[8, 1, 9][..], &[8, 1, 9]]).unwrap();
        assert_eq!(batch.ids(), [8, 1, 9, 9]);
        assert_eq!(batch.texts().last_rows(), [2, 3]);
    }

    #[test]
    fn a_short_beginning_does_not_break_up_a_long_one() {
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
            Group {
                members: 0..2,
                prefix_tokens: 6
            }
        );
        assert_eq!(found.len(), 2);
        let backwards = [[8, 0, 9].to_vec(), texts[0].clone(), texts[1].clone()];
        let sorted: Vec<&[u32]> = backwards.iter().map(Vec::as_slice).collect();
        assert_eq!(
            groups(&sorted)[1],
            Group {
                members: 1..3,
                prefix_tokens: 6
            }
        );
    }
}
