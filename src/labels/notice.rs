//! Warnings about labels, as values. The command line prints them.

use std::fmt;

use crate::error::{Control, Hint, hint};
use crate::text::start_of;

/// A warning about labels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A name was given more than once.
    Merged {
        /// The name.
        label: String,
    },
    /// The model reads a label like one that was given before.
    SameTokens {
        /// Its name.
        label: String,
        /// The name that it counts under.
        first: String,
    },
    /// There is only one label, and probabilities are shared among the labels.
    OnlyLabel {
        /// Its name.
        label: String,
    },
    /// A label has a negation, which CLIP models mostly ignore.
    Negation {
        /// The label's text.
        text: String,
        /// The word.
        word: String,
    },
    /// A text was longer than the model's context and was truncated.
    Cut {
        /// The text.
        text: String,
        /// Its number of tokens, including the start and the end token.
        n_tokens: usize,
        /// The number of tokens that the model reads.
        context_length: usize,
        /// The part that is not read.
        lost: String,
    },
    /// A text was longer than the model's context and was encoded in chunks.
    Chunked {
        /// The text.
        text: String,
        /// Its number of tokens.
        n_tokens: usize,
        /// The number of chunks.
        n_parts: usize,
    },
    /// Templates were given, but every label has its own prompts.
    TemplatesUnused,
    /// Prompts were to be combined, but no label has several.
    CombineUnused,
    /// Embeddings could not be cached for the next run.
    NotKept {
        /// Why.
        reason: String,
    },
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// Results may not be what the user wants.
    Warning,
    /// How results were made.
    Note,
    /// Advice.
    Hint,
}

impl Notice {
    /// How much it matters.
    pub fn kind(&self) -> NoticeKind {
        match self {
            Notice::Merged { .. }
            | Notice::SameTokens { .. }
            | Notice::OnlyLabel { .. }
            | Notice::Cut { .. }
            | Notice::TemplatesUnused
            | Notice::CombineUnused => NoticeKind::Warning,
            Notice::Chunked { .. } | Notice::NotKept { .. } => NoticeKind::Note,
            Notice::Negation { .. } => NoticeKind::Hint,
        }
    }

    /// What to do about it, in addition to what it says.
    pub fn advice(&self) -> Option<Hint> {
        let is_only = matches!(self, Notice::OnlyLabel { .. });
        is_only.then(|| Hint::from("give others").or(hint!("use {} or {}", Control::Reject, Control::IndependentScore)))
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Merged { label } => {
                write!(f, "label `{}` is given more than once; it counts once", start_of(label))
            }
            Notice::SameTokens { label, first } => write!(
                f,
                "label `{}` has the same tokens as `{}`; it counts once",
                start_of(label),
                start_of(first)
            ),
            Notice::OnlyLabel { label } => write!(
                f,
                "label `{}` is the only one, so its probability is always 100%",
                start_of(label)
            ),
            Notice::Negation { text, word } => write!(
                f,
                "`{word}` in `{}` changes little: CLIP models mostly ignore negation, so say what the image shows instead",
                start_of(text)
            ),
            Notice::Cut {
                text,
                n_tokens,
                context_length,
                lost,
            } => write!(
                f,
                "label `{}` has {n_tokens} tokens; this model reads {context_length}: the last {} are cut off, from `{}`",
                start_of(text),
                n_tokens - context_length,
                start_of(lost),
            ),
            Notice::Chunked {
                text,
                n_tokens,
                n_parts,
            } => write!(
                f,
                "label `{}` has {n_tokens} tokens; it is encoded in {n_parts} parts, whose embeddings are averaged",
                start_of(text),
            ),
            Notice::TemplatesUnused => write!(f, "the templates have no effect: every label has its own prompts"),
            Notice::CombineUnused => write!(f, "combining prompts has no effect: no label has more than one"),
            Notice::NotKept { reason } => write!(
                f,
                "the embeddings of the labels could not be cached for the next run: {reason}"
            ),
        }
    }
}
