//! Byte-pair encoding with CLIP's merges: Sennrich et al. 2016, on bytes as in GPT-2, with an end-of-word mark.
//!
//! Ids are numbered as upstream numbers them: 0-255 are the bytes, 256-511 the bytes that end a word, then comes one id
//! per merge in rank order, then the start and the end token. `data/merges.u16` holds the two ids of each merge. Each
//! symbol comes from exactly one merge, so merging the lowest rank first, leftmost first, gives the same result as
//! upstream, which scans the word once per merge.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

/// The id of `<|startoftext|>`.
pub(super) const START: u32 = 49_406;
/// The id of `<|endoftext|>`.
pub(super) const END: u32 = 49_407;

/// Pairs of little-endian `u16`; see `data/README.md`.
static MERGES: &[u8] = include_bytes!("data/merges.u16");

/// Added to a byte's id if the byte ends a word.
const ENDS_WORD: u16 = 256;
/// The id of the symbol that the first merge makes.
const FIRST_MERGED: u16 = 512;

/// The left and the right id of the merge of `rank`.
fn sides(rank: usize) -> (u16, u16) {
    let at = |i: usize| u16::from_le_bytes([MERGES[i], MERGES[i + 1]]);
    (at(4 * rank), at(4 * rank + 2))
}

/// The number of merges.
fn merge_count() -> usize {
    MERGES.len() / 4
}

/// The merges, sorted for lookup by their two sides.
pub(super) struct Merges {
    /// `pairs[starts[left]..starts[left + 1]]` are the merges with this left side.
    starts: Vec<u32>,
    /// Right side and rank; sorted by right side among the merges with the same left side.
    pairs: Vec<(u16, u16)>,
}

impl Merges {
    /// Sorts the table with two stable counting sorts, first by right side, then by left side.
    pub(super) fn new() -> Self {
        let by_right = counting_sort(&(0..merge_count()).collect::<Vec<_>>(), |rank| sides(rank).1).0;
        let (order, starts) = counting_sort(&by_right, |rank| sides(rank).0);
        let pairs = order.iter().map(|&rank| (sides(rank).1, rank as u16)).collect();
        Self { starts, pairs }
    }

    /// The rank of the merge of `left` and `right`, if there is one.
    fn rank(&self, left: u16, right: u16) -> Option<u16> {
        let bucket = self.starts[usize::from(left)] as usize..self.starts[usize::from(left) + 1] as usize;
        let pairs = &self.pairs[bucket];
        let found = pairs.binary_search_by_key(&right, |pair| pair.0).ok()?;
        Some(pairs[found].1)
    }

    /// Appends the ids of one word to `ids`. Takes O(n log n) in the word's length in bytes.
    pub(super) fn encode(&self, word: &str, ids: &mut Vec<u16>) {
        let start = ids.len();
        ids.extend(word.bytes().map(byte_id));
        let Some(last) = ids[start..].last_mut() else { return };
        *last += ENDS_WORD;
        let kept = self.merge_all(&mut ids[start..]);
        ids.truncate(start + kept);
    }

    /// Merges `symbols` in place and returns how many are left at its front.
    fn merge_all(&self, symbols: &mut [u16]) -> usize {
        let mut chain = Chain::new(symbols.len());
        let mut queue = BinaryHeap::new();
        let offer = |queue: &mut BinaryHeap<_>, symbols: &[u16], at: usize, next: usize| {
            if let Some(rank) = self.rank(symbols[at], symbols[next]) {
                queue.push(Reverse((rank, at as u32)));
            }
        };
        for at in 1..symbols.len() {
            offer(&mut queue, symbols, at - 1, at);
        }
        while let Some(Reverse((rank, at))) = queue.pop() {
            let at = at as usize;
            let Some(next) = chain.next(at) else { continue };
            // One of the two symbols may have been merged into another since this pair was queued.
            if sides(usize::from(rank)) != (symbols[at], symbols[next]) {
                continue;
            }
            symbols[at] = FIRST_MERGED + rank;
            symbols[next] = GONE;
            chain.remove(next);
            if let Some(after) = chain.next(at) {
                offer(&mut queue, symbols, at, after);
            }
            if let Some(before) = chain.previous(at) {
                offer(&mut queue, symbols, before, at);
            }
        }
        let mut kept = 0;
        for at in 0..symbols.len() {
            if symbols[at] != GONE {
                symbols[kept] = symbols[at];
                kept += 1;
            }
        }
        kept
    }
}

/// Marks a symbol that was merged into its left neighbour. No merge has this id as a side.
const GONE: u16 = u16::MAX;

/// The remaining symbols of a word, as a doubly linked list over their positions.
struct Chain {
    next: Vec<u32>,
    previous: Vec<u32>,
}

/// Marks a missing neighbour.
const NONE: u32 = u32::MAX;

impl Chain {
    fn new(len: usize) -> Self {
        let next = (1..=len).map(|i| if i < len { i as u32 } else { NONE }).collect();
        let previous = (0..len).map(|i| if i > 0 { i as u32 - 1 } else { NONE }).collect();
        Self { next, previous }
    }

    fn next(&self, at: usize) -> Option<usize> {
        (self.next[at] != NONE).then_some(self.next[at] as usize)
    }

    fn previous(&self, at: usize) -> Option<usize> {
        (self.previous[at] != NONE).then_some(self.previous[at] as usize)
    }

    /// Removes the symbol at `at`, which must have a predecessor.
    fn remove(&mut self, at: usize) {
        let (before, after) = (self.previous[at], self.next[at]);
        self.next[before as usize] = after;
        if after != NONE {
            self.previous[after as usize] = before;
        }
        self.next[at] = NONE;
    }
}

/// Sorts `ranks` stably by one side of their merge. Also returns the start of each side's run.
fn counting_sort(ranks: &[usize], side: impl Fn(usize) -> u16) -> (Vec<usize>, Vec<u32>) {
    let symbols = usize::from(FIRST_MERGED) + merge_count();
    let mut starts = vec![0u32; symbols + 1];
    for &rank in ranks {
        starts[usize::from(side(rank)) + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    let mut free = starts.clone();
    let mut sorted = vec![0; ranks.len()];
    for &rank in ranks {
        let place = &mut free[usize::from(side(rank))];
        sorted[*place as usize] = rank;
        *place += 1;
    }
    (sorted, starts)
}

/// GPT-2's order of the bytes: first those that are printable in Latin-1, then the others.
const PRINTED: [Range<u16>; 3] = [0x21..0x7f, 0xa1..0xad, 0xae..0x100];
const UNPRINTED: [Range<u16>; 3] = [0x00..0x21, 0x7f..0xa1, 0xad..0xae];

/// The id of a byte that does not end a word.
pub(super) fn byte_id(byte: u8) -> u16 {
    const IDS: [u16; 256] = {
        let mut ids = [0; 256];
        let bytes = byte_order();
        let mut id = 0;
        while id < 256 {
            ids[bytes[id] as usize] = id as u16;
            id += 1;
        }
        ids
    };
    IDS[usize::from(byte)]
}

/// The byte of each id below 256.
const fn byte_order() -> [u8; 256] {
    let mut bytes = [0; 256];
    let mut id = 0;
    let mut group = 0;
    while group < 6 {
        let range = if group < 3 {
            &PRINTED[group]
        } else {
            &UNPRINTED[group - 3]
        };
        let mut byte = range.start;
        while byte < range.end {
            bytes[id] = byte as u8;
            id += 1;
            byte += 1;
        }
        group += 1;
    }
    bytes
}

/// The bytes that an id stands for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Symbol {
    /// The bytes, joined over all merges.
    pub(super) bytes: Vec<u8>,
    /// Whether the symbol ends a word.
    pub(super) ends_word: bool,
}

/// Looks up the symbol `id`. The start and the end token have no bytes.
pub(super) fn symbol(id: u32) -> Symbol {
    const BYTES: [u8; 256] = byte_order();
    let mut out = Symbol::default();
    let mut open: Vec<u32> = if id < START { vec![id] } else { Vec::new() };
    while let Some(id) = open.pop() {
        if let Some(rank) = id.checked_sub(FIRST_MERGED.into()) {
            let (left, right) = sides(rank as usize);
            open.extend([right, left].map(u32::from));
        } else {
            out.bytes.push(BYTES[id as usize % 256]);
            out.ends_word = id >= ENDS_WORD.into();
        }
    }
    out
}

/// A symbol as the published table writes it: GPT-2's printable characters for bytes, then `</w>` if it ends a word.
#[cfg(test)]
pub(super) fn as_published(id: u32) -> String {
    let shown = symbol(id);
    let mut text: String = (shown.bytes.iter())
        .map(|&byte| {
            let id = u32::from(byte_id(byte));
            // Unprintable bytes are written as the characters from U+0100 on.
            let printed = PRINTED
                .iter()
                .map(|range| u32::from(range.end - range.start))
                .sum::<u32>();
            let code = if id < printed { byte.into() } else { 256 + id - printed };
            char::from_u32(code).unwrap()
        })
        .collect();
    if shown.ends_word {
        text.push_str("</w>");
    }
    text
}

/// The two sides of every merge, in rank order.
#[cfg(test)]
pub(super) fn merges() -> impl Iterator<Item = (usize, usize)> {
    (0..merge_count())
        .map(sides)
        .map(|(left, right)| (left.into(), right.into()))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn merges_match_the_published_table() {
        let mut lines = String::new();
        for (left, right) in merges() {
            writeln!(lines, "{} {}", as_published(left as u32), as_published(right as u32)).unwrap();
        }
        let digest = Sha256::digest(lines.as_bytes())
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert_eq!(
            digest,
            "d308b7377a8ceaa9707a21614fe8c831b9196e197b7aeb69833359362907af02"
        );
    }

    #[test]
    fn special_tokens_follow_the_last_merge() {
        assert_eq!(usize::from(FIRST_MERGED) + merge_count(), START as usize);
    }

    #[test]
    fn merges_a_megabyte_of_one_letter_in_good_time() {
        let word = "a".repeat(1 << 20);
        let mut ids = Vec::new();
        Merges::new().encode(&word, &mut ids);
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| symbol(id.into()).bytes).collect();
        assert_eq!(bytes, word.as_bytes());
        assert!(ids.len() < word.len() / 4);
    }
}
