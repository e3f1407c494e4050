//! The number of positions that a text tower reads.

use crate::error::{Error, Result};

/// The number of tokens that a text tower reads, including the start and the end token; at least 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextLength(usize);

impl ContextLength {
    /// 248, the length of Long-CLIP.
    pub const LONG: Self = Self(248);

    /// More than any text has.
    pub(crate) const UNLIMITED: Self = Self(usize::MAX);

    /// 77, the length of CLIP.
    pub const SHORT: Self = Self(77);

    /// The context of a tower whose position table has this many rows.
    ///
    /// # Errors
    /// If `tokens` is less than 2, which leaves no room for the start and the end token.
    pub fn new(tokens: usize) -> Result<Self> {
        if tokens < 2 {
            return Err(Error::usage(
                format!("a context of {tokens} tokens has no room for the start and the end token"),
                "use weights whose position table has at least 2 rows; Long-CLIP has 248",
            ));
        }
        Ok(Self(tokens))
    }

    /// The number of tokens.
    pub fn get(self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_a_context_without_room_for_both_special_tokens() {
        assert!(ContextLength::new(1).is_err());
        assert_eq!(ContextLength::new(2).unwrap().get(), 2);
    }
}
