//! How many positions a text tower reads.

use crate::error::{Error, Result};

/// How many tokens a text tower reads, the start and the end token among them: at least 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContextLength(usize);

impl ContextLength {
    /// Long-CLIP's 248.
    pub const LONG: Self = Self(248);

    /// CLIP's 77.
    pub const SHORT: Self = Self(77);

    /// A tower's own length, which is the number of rows of its position table.
    ///
    /// # Errors
    /// If `tokens` leaves no room for the start and the end token.
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
    fn refuses_a_context_without_room_for_both_ends() {
        assert!(ContextLength::new(1).is_err());
        assert_eq!(ContextLength::new(2).unwrap().get(), 2);
    }
}
