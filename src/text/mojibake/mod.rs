//! Undoes what went wrong with a text on its way: the behaviour of `ftfy.fix_text` 6.3 with its default settings.
//!
//! Robyn Speer, *ftfy* (2019), doi 10.5281/zenodo.2591652. What counts as wrong stands in [`badness`], the tables of
//! [`classes`] and [`charsets`] are ftfy's facts (`../data/README.md`), and each other file is one kind of repair.
//! A text is repaired line by line, each line over and over until nothing changes.

mod badness;
mod bytes;
mod characters;
mod charsets;
mod classes;
mod encoding;
mod references;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The longest stretch of text that is repaired as one, in characters (ftfy's `max_decode_length`).
const SEGMENT_LEN: usize = 1_000_000;

/// How many characters one segment may cost over all its rounds, beyond [`ROUNDS`] rounds of its own length.
///
/// Text that unwraps a layer a round, such as `&amp;amp;amp;…` a megabyte long, would take hours, in ftfy too. Here it
/// stays half unwrapped. What ftfy itself finishes within some minutes is far from this.
const WORK: usize = 4_000_000;
const ROUNDS: usize = 24;

/// Repairs a text.
pub(super) fn fix_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut resolve_references = true;
    while !rest.is_empty() {
        let (segment, after) = rest.split_at(segment_len(rest));
        // One `<` says that this is HTML from here on, where `&lt;` is meant as written.
        resolve_references &= !segment.contains('<');
        out.push_str(&fix_segment(segment, resolve_references.into()));
        rest = after;
    }
    out
}

/// The length in bytes of the first line with its line break, or of the longest stretch that is repaired as one.
fn segment_len(text: &str) -> usize {
    let line = text.find('\n').map_or(text.len(), |at| at + 1);
    // A character has one byte at least, so that a short line needs no counting.
    if line <= SEGMENT_LEN {
        return line;
    }
    text[..line].char_indices().nth(SEGMENT_LEN).map_or(line, |(at, _)| at)
}

/// Whether entities such as `&eacute;` are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum References {
    Resolve,
    Keep,
}

impl From<bool> for References {
    fn from(resolve: bool) -> Self {
        if resolve { Self::Resolve } else { Self::Keep }
    }
}

/// What a segment may still cost, in characters looked at.
struct Effort(usize);

impl Effort {
    fn for_text(text: &str) -> Self {
        Self(WORK + ROUNDS * text.len())
    }

    /// Whether one more round over `text` may be paid for; pays for it.
    fn allows(&mut self, text: &str) -> bool {
        let left = self.0.checked_sub(text.len());
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Repairs one segment until nothing changes.
fn fix_segment(segment: &str, references: References) -> String {
    let mut text = segment.to_owned();
    let mut effort = Effort::for_text(segment);
    while effort.allows(&text) {
        let before = text.clone();
        if references == References::Resolve {
            text = references::resolve(&text).into_owned();
        }
        text = encoding::fix(text, &mut effort);
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
