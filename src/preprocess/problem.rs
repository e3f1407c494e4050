//! Problems with an image, before its name is known, and the two most common ones.

use crate::error::Hint;
use crate::kernels::OutOfMemory;

/// What is wrong with an image. [`super::decode()`] adds its name.
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) hint: Option<Hint>,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<Hint>) -> Self {
        Self {
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}

impl From<OutOfMemory> for Problem {
    fn from(lack: OutOfMemory) -> Self {
        Problem::new(
            format!(
                "there is no memory for {} MiB of its pixels",
                lack.bytes.div_ceil(1 << 20)
            ),
            "scale it down first",
        )
    }
}

pub(super) fn cut_short() -> Problem {
    Problem::new("the file is cut short: its end is missing", "copy or fetch it again")
}

pub(super) fn damaged(why: &str) -> Problem {
    Problem::new(
        format!("it is damaged: {why}"),
        "copy or fetch it again, or open it in a viewer and save it again",
    )
}
