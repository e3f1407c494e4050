//! The ids of one text.

use super::{bpe, words};

/// The start of the character that the byte at `at` belongs to.
pub(super) fn start_of_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The ids of one text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    pub(super) ids: Vec<u32>,
    pub(super) count: usize,
    pub(super) lost: String,
    /// As the tokenizer of a file writes its tokens; `None` for CLIP's.
    pub(super) pieces: Option<Vec<String>>,
}

impl Tokens {
    /// The ids from the start token to the end token, not padded; at most the context length.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The number of tokens before truncation, including the start and the end token.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether the text was longer than the context.
    pub fn truncated(&self) -> bool {
        self.lost_count() > 0
    }

    /// How many of the text's tokens were cut off.
    pub fn lost_count(&self) -> usize {
        self.count - self.ids.len()
    }

    /// The part of the cleaned text that was cut off; empty if nothing was.
    pub fn lost(&self) -> &str {
        &self.lost
    }

    /// The ids in readable form: `</w>` marks the end of a word, and bytes that are not a whole character are written
    /// as `<0xf0>`. Joined, with `</w>` as a space, they are the cleaned text. Those of a file are as it writes them.
    pub fn pieces(&self) -> Vec<String> {
        match &self.pieces {
            Some(pieces) => pieces.clone(),
            None => self.ids.iter().map(|&id| piece(id)).collect(),
        }
    }
}

/// One id in readable form.
fn piece(id: u32) -> String {
    match id {
        bpe::START => return words::START.into(),
        bpe::END => return words::END.into(),
        _ => {}
    }
    let symbol = bpe::symbol(id);
    let mut text = String::new();
    for chunk in symbol.bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("<{byte:#04x}>")));
    }
    if symbol.ends_word {
        text.push_str("</w>");
    }
    text
}
