//! The activation function of the MLPs.

use serde::Deserialize;

use crate::named::{Named, named};

/// The activation function of the MLPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`: OpenAI's models and Long-CLIP.
    #[default]
    QuickGelu,
    /// `x * Φ(x)`: most of open_clip's own models.
    Gelu,
    /// GELU's tanh form, `x/2 * (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    GeluTanh,
}

named!(Activation, "activation": QuickGelu = "quick-gelu", Gelu = "gelu", GeluTanh = "gelu-tanh");

impl<'de> Deserialize<'de> for Activation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Activation::from_name(&name).map_err(serde::de::Error::custom)
    }
}
