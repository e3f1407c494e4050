//! What a person should know about their labels: warnings as values, printed by the command line.

use std::fmt;

use crate::text::start_of;

/// Something about the labels that is worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A name came more than once.
    Merged {
        /// The name.
        label: String,
    },
    /// A text was longer than the model reads, and was cut.
    Cut {
        /// The text.
        text: String,
        /// Its tokens, start and end token among them.
        n_tokens: usize,
        /// How many the model reads.
        context_length: usize,
        /// What is not read.
        lost: String,
    },
    /// A text was longer than the model reads, and was read in parts.
    Chunked {
        /// The text.
        text: String,
        /// Its tokens.
        n_tokens: usize,
        /// How many parts it was read in.
        n_parts: usize,
    },
    /// Templates were given, but every label has prompts of its own.
    TemplatesUnused,
    /// Prompts were to be combined, but no label has several.
    CombineUnused,
    /// Vectors could not be kept for the next run.
    NotKept {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Merged { label } => {
                write!(f, "label `{}` is given more than once; it counts once", start_of(label))
            }
            Notice::Cut {
                text,
                n_tokens,
                context_length,
                lost,
            } => write!(
                f,
                "label `{}` has {n_tokens} tokens; this model reads {context_length}: {} are lost, from `{}`",
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
                "label `{}` has {n_tokens} tokens; it is read in {n_parts} parts, whose embeddings are averaged",
                start_of(text),
            ),
            Notice::TemplatesUnused => write!(
                f,
                "the templates change nothing: every label has prompts of its own, which are read as they stand"
            ),
            Notice::CombineUnused => write!(f, "combining prompts changes nothing: no label has more than one"),
            Notice::NotKept { reason } => write!(f, "the labels' vectors are not kept for the next run: {reason}"),
        }
    }
}
