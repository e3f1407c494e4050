//! Text: from a label as typed to the ids that the text tower reads.
//!
//! `labels` and `cli tokens` call [`Tokenizer::encode`]; the others here are its steps. They equal OpenAI's
//! `simple_tokenizer.py` on any text: `ftfy.fix_text` (`mojibake`), `html.unescape` twice (`entities`), white
//! space, lower case ([`clean()`]), the word pattern (`words`), byte-pair encoding (`bpe`), the cut (`tokens`).
//!
//! Merging is done here on a 196 kB table, and not by the `tokenizers` crate, which is the oracle in the tests: its
//! builder wants 49,406 strings and 48,894 pairs of them hashed first, which is more than a whole run on a small model.

mod bpe;
mod clean;
mod context;
mod entities;
mod mojibake;
mod sentences;
mod start;
mod tokens;
mod words;

pub use clean::clean;
pub use context::ContextLength;
pub use sentences::{first_sentence, sentences};
pub use start::start_of;
pub use tokens::{Tokenizer, Tokens};

#[cfg(test)]
mod tests;
