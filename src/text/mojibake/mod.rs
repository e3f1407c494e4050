//! Repairs text that was decoded in the wrong code page: the behaviour of `ftfy.fix_text` 6.3 with default settings.
//!
//! Robyn Speer, *ftfy* (2019), doi 10.5281/zenodo.2591652. [`badness`] decides what counts as wrong; the tables of
//! [`classes`] and [`charsets`] are ftfy's data (`../data/README.md`); every other file is one kind of repair.
//! Each line is repaired on its own, again and again until nothing changes.

mod badness;
mod bytes;
mod characters;
mod charsets;
mod classes;
mod encoding;
mod references;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The longest piece of text that is repaired at once, in characters (ftfy's `max_decode_length`).
const SEGMENT_LEN: usize = 1_000_000;

/// How many characters may be processed for one segment over all rounds, on top of [`ROUNDS`] times its own length.
///
/// Each round over `&amp;amp;amp;…` resolves one layer only. For a megabyte of it this would take hours, in ftfy too,
/// so we stop and leave the rest unresolved. Whatever ftfy itself finishes within minutes stays far below this limit.
const BASE_BUDGET: usize = 4_000_000;
const ROUNDS: usize = 24;

/// Repairs a text.
pub(super) fn fix_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut entities = Entities::Resolved;
    while !rest.is_empty() {
        let (segment, after) = rest.split_at(segment_len(rest));
        // A `<` means that the text is HTML from here on, where `&lt;` is intended.
        if segment.contains('<') {
            entities = Entities::Kept;
        }
        out.push_str(&fix_segment(segment, entities));
        rest = after;
    }
    out
}

/// The length in bytes of the next segment: a line with its line break, or [`SEGMENT_LEN`] characters of a longer line.
fn segment_len(text: &str) -> usize {
    let line = text.find('\n').map_or(text.len(), |at| at + 1);
    // A character takes at least one byte, so a short line needs no counting.
    if line <= SEGMENT_LEN {
        return line;
    }
    text[..line].char_indices().nth(SEGMENT_LEN).map_or(line, |(at, _)| at)
}

/// How many more characters may be processed for a segment.
struct Budget(usize);

impl Budget {
    fn for_text(text: &str) -> Self {
        Self(BASE_BUDGET + ROUNDS * text.len())
    }

    /// Takes the cost of one more round over `text`; false if too little is left.
    fn spend(&mut self, text: &str) -> bool {
        let left = self.0.checked_sub(text.len());
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// What happens to entities such as `&eacute;`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entities {
    Resolved,
    Kept,
}

/// Repairs one segment until nothing changes.
fn fix_segment(segment: &str, entities: Entities) -> String {
    let mut text = segment.to_owned();
    let mut budget = Budget::for_text(segment);
    while budget.spend(&text) {
        let before = text.clone();
        if entities == Entities::Resolved {
            text = references::resolve(&text).into_owned();
        }
        text = encoding::fix(text, &mut budget);
        text = characters::fix(text);
        if !is_nfc(&text) {
            text = text.nfc().collect();
        }
        if text == before {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests;
