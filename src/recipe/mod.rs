//! The recipe of a model: everything that decides its numbers besides its tensors.
//!
//! `weights` reads it from the config files next to the weights and from the weights file itself; `preprocess` and
//! `model` carry it out. All types are plain data. [`Recipe::default`] is OpenAI's CLIP and Long-CLIP.

mod activation;
mod pixels;

use serde::{Deserialize, Serialize};

pub use activation::Activation;
pub use pixels::{Centre, Colours, Filter, MEAN, PixelRecipe, Rescale, Resize, STD};

/// Everything that decides a model's numbers besides its tensors and [`Sizes`](crate::weights::Sizes).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// How the image tower is computed.
    pub vision: VisionRecipe,
    /// How the text tower is computed.
    pub text: TextRecipe,
    /// How images become the pixels that the image tower reads.
    pub pixels: PixelRecipe,
}

/// Added to a variance before taking its root, unless a config says otherwise (torch's default).
pub const EPSILON: f32 = 1e-5;

/// How the image tower is computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisionRecipe {
    /// The activation of the MLPs.
    pub activation: Activation,
    /// What layer norms add to a variance.
    pub epsilon: f32,
    /// Which rows the embedding is computed from.
    pub pooling: VisionPooling,
    /// Whether the layer norm before the first block is left out.
    #[serde(default, skip_serializing_if = "is_off")]
    pub without_first_norm: bool,
    /// Whether the projection adds a bias.
    #[serde(default, skip_serializing_if = "is_off")]
    pub biased_projection: bool,
}

/// Whether a setting that few models have is off, so that it isn't written.
fn is_off(setting: &bool) -> bool {
    !setting
}

/// Which rows of the last block the embedding of an image is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VisionPooling {
    /// The class token.
    #[default]
    ClassToken,
    /// The mean of all patches, each normalised first.
    MeanOfNormalised,
    /// The mean of all patches, normalised afterwards.
    NormalisedMean,
}

/// How the text tower is computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRecipe {
    /// The activation of the MLPs.
    pub activation: Activation,
    /// What layer norms add to a variance.
    pub epsilon: f32,
    /// Which tokens a token attends to.
    pub attention: TextAttention,
    /// Which token the embedding is read at.
    pub pooling: TextPooling,
    /// Whether the projection adds a bias.
    #[serde(default, skip_serializing_if = "is_off")]
    pub biased_projection: bool,
}

impl TextRecipe {
    /// Whether a text's embedding does not depend on how far it is padded.
    pub fn ignores_padding(&self) -> bool {
        self.attention == TextAttention::Causal && self.pooling != TextPooling::Last
    }
}

/// Which tokens of a text a token attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextAttention {
    /// Itself and those before it.
    #[default]
    Causal,
    /// All of the context, padding included.
    Full,
}

/// Which token the embedding of a text is read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextPooling {
    /// The first of the largest ids, which is CLIP's end token.
    #[default]
    LargestId,
    /// The first token with this id; the first token of the text if it has none.
    Id(u32),
    /// The first token.
    First,
    /// The last position of the context, after the padding.
    Last,
}

impl TextPooling {
    /// At the first token with this id, which a text need not have.
    pub fn of_id(id: u64) -> Self {
        u32::try_from(id).map_or(TextPooling::First, TextPooling::Id)
    }
}

impl Default for VisionRecipe {
    fn default() -> Self {
        VisionRecipe {
            activation: Activation::default(),
            epsilon: EPSILON,
            pooling: VisionPooling::default(),
            without_first_norm: false,
            biased_projection: false,
        }
    }
}

impl Default for TextRecipe {
    fn default() -> Self {
        TextRecipe {
            activation: Activation::default(),
            epsilon: EPSILON,
            attention: TextAttention::default(),
            pooling: TextPooling::default(),
            biased_projection: false,
        }
    }
}

impl Recipe {
    /// CLIP's own recipe, with this activation in both towers.
    pub fn clip(activation: Activation) -> Self {
        Recipe::default().with_activation(activation)
    }

    /// Whether a model of this recipe has one of upstream's tensors.
    pub fn has(&self, tensor: &str) -> bool {
        match tensor {
            "visual.proj_bias" => self.vision.biased_projection,
            "text_projection_bias" => self.text.biased_projection,
            _ => !(self.vision.without_first_norm && tensor.starts_with("visual.ln_pre.")),
        }
    }

    /// The same with this activation in both towers.
    #[must_use]
    pub fn with_activation(mut self, activation: Activation) -> Self {
        self.vision.activation = activation;
        self.text.activation = activation;
        self
    }
}
