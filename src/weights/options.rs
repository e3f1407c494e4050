//! How a checkpoint is read: surplus tensors, tables of text positions, rounding as upstream's loader does.

use super::positions::Stretching;
use crate::named::named;

/// Which text positions to use of a file with several tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPositions {
    /// Two tables joined as Long-CLIP's: the first 20 rows of one, the others of the second.
    Joined,
    /// The first table alone.
    First,
    /// FG-CLIP's table of 77 rows, with the projection of short texts.
    Short,
}

named!(TextPositions, "choice of text positions": Joined = "joined", First = "first", Short = "short");

/// How to read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether tensors that a CLIP doesn't have are ignored. Without it, the file is refused: it is probably another model.
    pub ignores_surplus: bool,
    /// How to stretch a 77-row position table; `None` leaves it unchanged.
    pub stretching: Option<Stretching>,
    /// Whether linear, convolution and projection weights are rounded to f16, as upstream's loader does, and not used as stored.
    pub rounds_as_upstream: bool,
    /// Which text positions to use; `None` for those that the model's own code uses.
    pub positions: Option<TextPositions>,
}

impl LoadOptions {
    /// What identities of models on disk were made from before there was a choice of text positions, which is added by
    /// [`Checkpoint::content_digest`](super::Checkpoint::content_digest).
    pub(super) fn description(&self) -> String {
        let LoadOptions {
            ignores_surplus,
            stretching,
            rounds_as_upstream,
            positions: _,
        } = self;
        let surplus = if *ignores_surplus { "Ignore" } else { "Refuse" };
        let rounding = if *rounds_as_upstream { "Upstream" } else { "None" };
        format!("LoadOptions {{ surplus: {surplus}, stretching: {stretching:?}, rounding: {rounding} }}")
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            ignores_surplus: false,
            stretching: Some(Stretching::default()),
            rounds_as_upstream: false,
            positions: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Identities of models that are on disk depend on it.
    #[test]
    fn the_description_of_older_options_stays() {
        assert_eq!(
            LoadOptions::default().description(),
            "LoadOptions { surplus: Refuse, stretching: Some(Stretching { keep: 20, ratio: 4 }), rounding: None }"
        );
    }
}
