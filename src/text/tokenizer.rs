//! The tokenizer: CLIP's own, or that of a model with another vocabulary.

use std::path::Path;
use std::sync::LazyLock;

use super::bpe::{self, Merges};
use super::tokenizer_file::FileTokenizer;
use super::tokens::{Tokens, start_of_char};
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
