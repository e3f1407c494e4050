//! How a checkpoint is read: surplus tensors, the stretching of CLIP's position table, rounding as upstream's loader does.

use super::positions::Stretching;

/// What to do with tensors that a CLIP doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Surplus {
    /// Refuse the file: it is probably another model.
    #[default]
    Refuse,
    /// Ignore them.
    Ignore,
}

/// Whether weights are used as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    /// As stored.
    #[default]
    None,
    /// Linear, convolution and projection weights are rounded to f16, as upstream's loader does.
    Upstream,
}

/// How to read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadOptions {
    /// What to do with tensors that a CLIP doesn't have.
    pub surplus: Surplus,
    /// How to stretch a 77-row position table; `None` leaves it unchanged.
    pub stretching: Option<Stretching>,
    /// Whether weights are used as stored.
    pub rounding: Rounding,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            surplus: Surplus::Refuse,
            stretching: Some(Stretching::default()),
            rounding: Rounding::None,
        }
    }
}
