//! How a model reads texts.

use super::{ContextLength, Tokenizer, Tokens};

/// A model's tokenizer, and how many tokens the model reads.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    /// What turns texts into ids.
    pub tokenizer: &'a Tokenizer,
    /// The number of tokens that are read.
    pub context: ContextLength,
}

impl Reading<'_> {
    /// The tokens of a text, cut to those that are read.
    pub fn tokens(self, text: &str) -> Tokens {
        self.tokenizer.encode(text, self.context)
    }

    /// The same with at most this many tokens.
    #[must_use]
    pub fn at_most(self, tokens: ContextLength) -> Self {
        let context = self.context.min(tokens);
        Reading { context, ..self }
    }
}
