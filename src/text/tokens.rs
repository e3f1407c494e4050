//! The tokenizer and the ids of one text.

use std::path::Path;
use std::sync::LazyLock;

use super::bpe::{self, Merges};
use super::tokenizer_file::FileTokenizer;
use super::{ContextLength, clean, words};
use crate::error::{Error, Result};

/// CLIP's tokenizer, which most of its models share, or the one of another model.
pub struct Tokenizer(Kind);

enum Kind {
    Clip(Merges),
    File(Box<FileTokenizer>),
}

impl Tokenizer {
    /// CLIP's tokenizer, built on first use from the table in the binary.
    pub fn clip() -> &'static Tokenizer {
        static CLIP: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer(Kind::Clip(Merges::new())));
        &CLIP
    }

    /// The tokenizer of a file `tokenizer.json`, which a model with another vocabulary brings along.
    ///
    /// # Errors
    /// [`Error::Read`] if it can't be read, [`Error::Unsupported`] if it is not the file of a tokenizer.
    pub fn from_file(path: &Path) -> Result<Self> {
        let json = std::fs::read(path).map_err(Error::read(path))?;
        let tokenizer = FileTokenizer::from_json(&json).map_err(|problem| Error::Unsupported {
            path: path.to_owned(),
            problem: format!("it is not a tokenizer: {problem}"),
            hint: None,
        })?;
        Ok(Tokenizer(Kind::File(Box::new(tokenizer))))
    }

    /// The most tokens per byte of a text. A token has at least one byte; CLIP's cleaning and lowercasing turn one byte into at
    /// most three, and NFKC, which a file may ask for, writes the three bytes of `\u{fdfa}` as 33.
    pub(crate) fn tokens_per_byte_max(&self) -> usize {
        match &self.0 {
            Kind::Clip(_) => 3,
            Kind::File(_) => 11,
        }
    }

    /// Cleans a text and turns it into ids. A long text is truncated as upstream does it: the first `context - 1`
    /// tokens and the end token.
    ///
    /// Accepts any text: whatever is not in CLIP's vocabulary becomes its bytes. Takes O(n log n) in the length of the
    /// text. The tokenizer of a file cleans as the file says, and gives no ids if it can't encode a text.
    ///
    /// ```
    /// use longclip::text::{ContextLength, Tokenizer};
    ///
    /// let tokens = Tokenizer::clip().encode("A cat sleeping.", ContextLength::LONG);
    /// assert_eq!(tokens.ids(), [49406, 320, 2368, 6982, 269, 49407]);
    /// assert_eq!(tokens.pieces()[1..3], ["a</w>", "cat</w>"]);
    /// assert!(!tokens.truncated());
    /// ```
    pub fn encode(&self, text: &str, context: ContextLength) -> Tokens {
        match &self.0 {
            Kind::Clip(merges) => encode(merges, text, context),
            Kind::File(file) => file.encode(text, context),
        }
    }
}

/// The ids of CLIP's tokenizer.
fn encode(merges: &Merges, text: &str, context: ContextLength) -> Tokens {
    let cleaned = clean(text);
    let room = context.get() - 2;
    let mut content = Vec::new();
    let mut cut = cleaned.len();
    let mut count = 0;
    let mut word_ids = Vec::new();
    for range in words::words(&cleaned) {
        word_ids.clear();
        match &cleaned[range.clone()] {
            words::START => word_ids.push(bpe::START as u16),
            words::END => word_ids.push(bpe::END as u16),
            word => merges.encode(word, &mut word_ids),
        }
        let kept = word_ids.len().min(room - content.len());
        if kept < word_ids.len() && cut == cleaned.len() {
            let bytes: usize = word_ids[..kept]
                .iter()
                .map(|&id| bpe::symbol(id.into()).bytes.len())
                .sum();
            cut = start_of_char(&cleaned, range.start + bytes);
        }
        content.extend(word_ids[..kept].iter().map(|&id| u32::from(id)));
        count += word_ids.len();
    }
    let mut ids = Vec::with_capacity(content.len() + 2);
    ids.push(bpe::START);
    ids.append(&mut content);
    ids.push(bpe::END);
    Tokens {
        ids,
        count: count + 2,
        lost: cleaned[cut..].to_owned(),
        pieces: None,
    }
}

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
