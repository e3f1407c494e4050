//! Why a `.pt` file is refused, and text from such a file in messages.

use std::path::Path;

use crate::error::Error;

/// Why a file is refused; [`Refusal::of_file`] adds its name.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is not what it should be; says what it is instead.
    Damaged(String),
    /// Its pickle names this function or class.
    Foreign(String),
}

/// A result of the readers.
pub(super) type Outcome<T> = Result<T, Refusal>;

/// A refusal for a damaged file.
pub(super) fn damaged<T>(found: impl Into<String>) -> Outcome<T> {
    Err(Refusal::Damaged(found.into()))
}

impl Refusal {
    pub(super) fn of_file(self, path: &Path) -> Error {
        match self {
            Refusal::Damaged(found) => Error::NotWeights {
                path: path.to_owned(),
                expected: "a PyTorch weights file (a state dict saved by `torch.save`, or TorchScript)".into(),
                found,
            },
            Refusal::Foreign(global) => Error::ForeignPickle {
                path: path.to_owned(),
                global,
            },
        }
    }
}

/// Text from the file as a message may show it: short, on one line, without control characters.
pub(super) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let escaped: String = text.chars().take(MAX_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_CHARS).is_some() {
        escaped + "…"
    } else {
        escaped
    }
}
