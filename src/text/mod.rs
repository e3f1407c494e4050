//! Text: from a label as typed to the ids that the text tower reads.
//!
//! `labels` and `cli tokens` call [`Tokenizer::encode`]; the other modules are its steps. For any text they give the
//! same result as OpenAI's `simple_tokenizer.py`: `ftfy.fix_text` (`mojibake`), `html.unescape` twice (`entities`),
//! white space and lower case ([`clean()`]), the word pattern (`words`), byte-pair encoding (`bpe`), truncation
//! (`tokenizer`).
//!
//! We merge with our own 196 kB table. For CLIP's vocabulary the `tokenizers` crate is only the oracle in the tests: its
//! builder first hashes 49,406 strings and 48,894 pairs of strings, which takes longer than a whole run of a small model.
//! It encodes for models with a vocabulary of their own (`tokenizer_file`).

mod bpe;
mod clean;
mod context;
mod entities;
mod mojibake;
mod printable;
mod reading;
mod sentences;
mod start;
mod tokenizer;
mod tokenizer_file;
mod tokens;
mod words;

pub use clean::clean;
pub use context::ContextLength;
pub use printable::{printable, printable_lines, printable_results};
pub use reading::Reading;
pub use sentences::{first_sentence, sentences};
pub use start::start_of;
pub use tokenizer::Tokenizer;
pub use tokens::Tokens;

#[cfg(test)]
mod tests;
