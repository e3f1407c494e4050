//! Reads the sizes and the recipe of a new model from a config of open_clip or transformers.
//!
//! Used by trainings that start from random weights. There are no tensors to compare the config with, so it is checked to
//! describe a model that can be computed.

use std::path::Path;

use serde_json::Value;

use super::config::{self, Described, What};
use super::notice::Notice;
use super::sizes::{Sizes, TOKENIZER_IDS};
use crate::error::{Error, Result};
use crate::plain_text::utf8;
use crate::recipe::Recipe;

/// Limits above the sizes of any CLIP.
const LAYERS_MAX: usize = 256;
const WEIGHTS_MAX: usize = 20_000_000_000;
/// The context length of both libraries if a config states none.
const CONTEXT_LENGTH: usize = 77;

/// Sizes and recipe of a new model.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Widths, depths and lengths.
    pub sizes: Sizes,
    /// What decides its numbers besides its tensors.
    pub recipe: Recipe,
    /// What was decided for the caller, to be shown to a person.
    pub notices: Vec<Notice>,
}

impl Architecture {
    /// Reads a config: open_clip's `model_configs/*.json` or `open_clip_config.json`, or transformers' `config.json`.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Unsupported`] if longclip does not compute such a model; [`Error::Usage`] if it isn't
    /// such a config, or no model can have its sizes.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(Error::read(path))?;
        let config = serde_json::from_slice(&utf8(&text))
            .map_err(|error| Error::usage(format!("`{name}` is not JSON: {error}"), EXPECTED))?;
        Architecture::from_json(&config, &name)
    }

    /// As [`Architecture::read`], for a config in memory; `name` is for messages.
    ///
    /// # Errors
    /// As [`Architecture::read`].
    pub fn from_json(config: &Value, name: &str) -> Result<Self> {
        let Some(described) = config::of_new_model(Path::new(name), config)? else {
            let problem = format!("`{name}` has neither `vision_cfg` nor `vision_config`");
            return Err(Error::usage(problem, EXPECTED));
        };
        if described.brings_tokenizer {
            let problem = format!("`{name}` is the config of a model with a tokenizer of its own");
            return Err(Error::usage(problem, EXPECTED));
        }
        let sizes = NewModel {
            name,
            described: &described,
        }
        .sizes()?;
        Ok(Architecture {
            sizes,
            recipe: described.recipe,
            notices: described.notices,
        })
    }

    /// All of it in words, by which a training knows that it is resumed with the same model.
    pub fn description(&self) -> String {
        let Architecture { sizes, recipe, .. } = self;
        let activation = recipe.text.activation;
        let mut text = format!("Architecture {{ sizes: {sizes:?}, activation: {activation:?} }}");
        if *recipe != Recipe::clip(activation) {
            text += &format!(" {recipe:?}");
        }
        text
    }
}

const EXPECTED: &str = "give a config of open_clip (`embed_dim`, `vision_cfg`, `text_cfg`) or of transformers \
                        (`projection_dim`, `vision_config`, `text_config`)";

/// A config whose sizes have no tensors yet.
struct NewModel<'a> {
    name: &'a str,
    described: &'a Described,
}

impl NewModel<'_> {
    fn sizes(&self) -> Result<Sizes> {
        let size = |what| self.described.stated(what).ok_or_else(|| self.incomplete(what));
        let (vision_width, text_width) = (size(What::VisionWidth)?, size(What::TextWidth)?);
        let [vision_mlp_dim, text_mlp_dim] = self.described.mlp_dims([vision_width, text_width]);
        let [vision_heads, text_heads] = self.described.heads([vision_width, text_width])?;
        let context_length = self.described.stated(What::Context).unwrap_or(CONTEXT_LENGTH);
        let sizes = Sizes {
            image_resolution_px: size(What::Image)?,
            patch_px: size(What::Patch)?,
            vision_width,
            vision_layers: size(What::VisionLayers)?,
            vision_heads,
            vision_mlp_dim,
            text_width,
            text_layers: size(What::TextLayers)?,
            text_heads,
            text_mlp_dim,
            embed_dim: size(What::Embedding)?,
            vocab_size: self.described.stated(What::Vocabulary).unwrap_or(TOKENIZER_IDS),
            context_length,
            stored_context_length: context_length,
        };
        self.check(&sizes)?;
        Ok(sizes)
    }

    fn check(&self, sizes: &Sizes) -> Result<()> {
        if sizes.grid() == 0 {
            let (image, patch) = (sizes.image_resolution_px, sizes.patch_px);
            return Err(self.refused(&format!("describes images of {image} pixels in patches of {patch}")));
        }
        let layers = sizes.vision_layers.max(sizes.text_layers);
        if layers > LAYERS_MAX {
            return Err(self.refused(&format!("has {layers} layers; at most {LAYERS_MAX} are supported")));
        }
        let n_weights = sizes
            .tensors()
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .fold(0usize, usize::saturating_add);
        if n_weights > WEIGHTS_MAX {
            return Err(self.refused(&format!("describes {n_weights} weights, more than any CLIP has")));
        }
        if sizes.vocab_size != TOKENIZER_IDS {
            let found = sizes.vocab_size;
            return Err(self.refused(&format!(
                "has a vocabulary of {found}; CLIP's tokenizer needs {TOKENIZER_IDS}"
            )));
        }
        if sizes.context_length < 2 {
            return Err(self.refused("has no room for the start and the end token of a text"));
        }
        Ok(())
    }

    fn incomplete(&self, what: What) -> Error {
        self.refused(&format!("does not say {}", what.in_words()))
    }

    fn refused(&self, problem: &str) -> Error {
        Error::usage(format!("`{}` {problem}", self.name), EXPECTED)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recipe::Activation;

    fn openclip() -> Value {
        json!({
            "embed_dim": 64, "quick_gelu": true,
            "vision_cfg": { "image_size": 64, "layers": 3, "width": 192, "patch_size": 8 },
            "text_cfg": { "context_length": 248, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 2 },
        })
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut Value), said: &str) {
        let mut config = openclip();
        change(&mut config);
        let error = Architecture::from_json(&config, "c.json").unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn open_clips_and_transformers_words_mean_the_same() {
        let first = Architecture::from_json(&openclip(), "c.json").unwrap();
        let other = json!({
            "projection_dim": 64,
            "vision_config": {
                "hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 3, "num_attention_heads": 3,
                "image_size": 64, "patch_size": 8, "hidden_act": "quick_gelu",
            },
            "text_config": {
                "hidden_size": 128, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 2,
                "max_position_embeddings": 248,
            },
        });
        assert_eq!(first, Architecture::from_json(&other, "c.json").unwrap());
        assert_eq!((first.sizes.vision_heads, first.sizes.text_mlp_dim), (3, 512));
        assert_eq!(
            first,
            Architecture::from_json(&json!({ "model_cfg": openclip() }), "c.json").unwrap()
        );
    }

    #[test]
    fn an_activation_that_no_clip_has_is_refused() {
        let with = |name: &str| {
            json!({
                "projection_dim": 64,
                "vision_config": {
                    "hidden_size": 192, "num_hidden_layers": 3, "image_size": 64, "patch_size": 8, "hidden_act": name,
                },
                "text_config": { "hidden_size": 128, "num_hidden_layers": 2 },
            })
        };
        let gelu = Architecture::from_json(&with("gelu"), "c.json").unwrap();
        assert_eq!(gelu.recipe.vision.activation, Activation::Gelu);
        assert_eq!(gelu.recipe.text.activation, Activation::QuickGelu);
        let error = Architecture::from_json(&with("relu"), "c.json")
            .unwrap_err()
            .to_string();
        assert!(error.contains("`vision_config.hidden_act` is \"relu\""), "{error}");
    }

    #[test]
    fn what_no_model_can_be_is_refused() {
        check_refused(|c| c["vision_cfg"]["patch_size"] = json!(65), "patches of 65");
        check_refused(|c| c["text_cfg"]["heads"] = json!(0), "`text_cfg.heads` is 0");
        check_refused(
            |c| c["text_cfg"]["heads"] = json!(3),
            "`text_cfg.heads` is 3, but the tower is 128 wide",
        );
        check_refused(|c| c["vision_cfg"]["layers"] = json!(5000), "5000 layers");
        check_refused(|c| c["vision_cfg"]["width"] = json!(u64::MAX), "`vision_cfg.width`");
        check_refused(|c| c["vision_cfg"]["width"] = json!(1 << 20), "more than any CLIP");
        check_refused(|c| c["text_cfg"]["vocab_size"] = json!(1000), "needs 49408");
        check_refused(|c| c["embed_dim"] = json!("wide"), "`embed_dim`");
        check_refused(|c| c["text_cfg"]["vocab_size"] = json!(60_000), "needs 49408");
        check_refused(|c| c["vision_cfg"]["patch_size"] = Value::Null, "the side of a patch");
        check_refused(|c| *c = json!([1]), "neither");
    }
}
