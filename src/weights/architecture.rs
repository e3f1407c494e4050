//! Reads the sizes and activation of a new model from a config of open_clip or transformers.
//!
//! Used by trainings that start from random weights. There are no tensors to compare the config with, so it is checked to
//! describe a model that can be computed.

use std::path::Path;

use serde_json::Value;

use super::activation::Activation;
use super::sizes::{HEAD_WIDTH, Sizes};
use crate::error::{Error, Result};
use crate::plain_text::without_mark;

/// Limits above the sizes of any CLIP.
const LAYERS_MAX: usize = 256;
const SIZE_MAX: usize = 1 << 20;
const WEIGHTS_MAX: usize = 20_000_000_000;
/// The number of ids of CLIP's tokenizer.
const TOKENIZER_IDS: usize = 49408;

/// Sizes and activation of a new model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Widths, depths and lengths.
    pub sizes: Sizes,
    /// The activation of the MLPs.
    pub activation: Activation,
}

impl Architecture {
    /// Reads a config: open_clip's `model_configs/*.json` or `open_clip_config.json`, or transformers' `config.json`.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Usage`] if it isn't such a config, or no model can have its sizes.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read(path).map_err(Error::read(path))?;
        let config = serde_json::from_slice(without_mark(&text))
            .map_err(|error| Error::usage(format!("`{name}` is not JSON: {error}"), EXPECTED))?;
        Architecture::from_json(&config, &name)
    }

    /// As [`Architecture::read`], for a config in memory; `name` is for messages.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn from_json(config: &Value, name: &str) -> Result<Self> {
        let model = config.get("model_cfg").unwrap_or(config);
        let config = Config { name, json: model };
        let architecture = if model.get("vision_cfg").is_some() {
            config.openclip()?
        } else if model.get("vision_config").is_some() {
            config.huggingface()?
        } else {
            let problem = format!("`{name}` has neither `vision_cfg` nor `vision_config`");
            return Err(Error::usage(problem, EXPECTED));
        };
        config.check(&architecture.sizes)?;
        Ok(architecture)
    }
}

const EXPECTED: &str = "give a config of open_clip (`embed_dim`, `vision_cfg`, `text_cfg`) or of transformers \
                        (`projection_dim`, `vision_config`, `text_config`)";

struct Config<'a> {
    name: &'a str,
    json: &'a Value,
}

impl Config<'_> {
    fn openclip(&self) -> Result<Architecture> {
        let vision_width = self.number("/vision_cfg/width")?;
        let text_width = self.number("/text_cfg/width")?;
        let head_width = self.number_or("/vision_cfg/head_width", HEAD_WIDTH)?;
        let context_length = self.number_or("/text_cfg/context_length", 77)?;
        Ok(Architecture {
            sizes: Sizes {
                image_resolution_px: self.number("/vision_cfg/image_size")?,
                patch_px: self.number("/vision_cfg/patch_size")?,
                vision_width,
                vision_layers: self.number("/vision_cfg/layers")?,
                vision_heads: vision_width / head_width.max(1),
                vision_mlp_dim: self.mlp_dim("/vision_cfg/mlp_ratio", vision_width)?,
                text_width,
                text_layers: self.number("/text_cfg/layers")?,
                text_heads: self.number_or("/text_cfg/heads", text_width / HEAD_WIDTH)?,
                text_mlp_dim: self.mlp_dim("/text_cfg/mlp_ratio", text_width)?,
                embed_dim: self.number("/embed_dim")?,
                vocab_size: self.number_or("/text_cfg/vocab_size", TOKENIZER_IDS)?,
                context_length,
                stored_context_length: context_length,
            },
            activation: Activation::in_openclip_config(self.json),
        })
    }

    fn huggingface(&self) -> Result<Architecture> {
        let vision_width = self.number("/vision_config/hidden_size")?;
        let text_width = self.number("/text_config/hidden_size")?;
        let context_length = self.number_or("/text_config/max_position_embeddings", 77)?;
        let activation = Activation::in_transformers_config(self.json);
        let activation = activation.map_err(|problem| self.refused(&format!("has {problem}")))?;
        Ok(Architecture {
            sizes: Sizes {
                image_resolution_px: self.number("/vision_config/image_size")?,
                patch_px: self.number("/vision_config/patch_size")?,
                vision_width,
                vision_layers: self.number("/vision_config/num_hidden_layers")?,
                vision_heads: self.number_or("/vision_config/num_attention_heads", vision_width / HEAD_WIDTH)?,
                vision_mlp_dim: self.number_or("/vision_config/intermediate_size", 4 * vision_width)?,
                text_width,
                text_layers: self.number("/text_config/num_hidden_layers")?,
                text_heads: self.number_or("/text_config/num_attention_heads", text_width / HEAD_WIDTH)?,
                text_mlp_dim: self.number_or("/text_config/intermediate_size", 4 * text_width)?,
                embed_dim: self.number("/projection_dim")?,
                vocab_size: self.number_or("/text_config/vocab_size", TOKENIZER_IDS)?,
                context_length,
                stored_context_length: context_length,
            },
            activation: activation.unwrap_or_default(),
        })
    }

    fn number(&self, pointer: &str) -> Result<usize> {
        match self.json.pointer(pointer) {
            Some(value) => self.size(pointer, value),
            None => Err(self.refused(&format!("has no `{}`", dotted(pointer)))),
        }
    }

    fn number_or(&self, pointer: &str, default: usize) -> Result<usize> {
        match self.json.pointer(pointer) {
            Some(value) => self.size(pointer, value),
            None => Ok(default),
        }
    }

    fn size(&self, pointer: &str, value: &Value) -> Result<usize> {
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        number
            .filter(|number| (1..=SIZE_MAX).contains(number))
            .ok_or_else(|| self.refused(&format!("says `{}`: {value}; a size is expected", dotted(pointer))))
    }

    fn mlp_dim(&self, pointer: &str, width: usize) -> Result<usize> {
        let ratio = match self.json.pointer(pointer) {
            None => 4.0,
            Some(value) => value
                .as_f64()
                .filter(|ratio| (0.01..=100.0).contains(ratio))
                .ok_or_else(|| self.refused(&format!("says `{}`: {value}", dotted(pointer))))?,
        };
        Ok(((width as f64 * ratio) as usize).max(1))
    }

    fn check(&self, sizes: &Sizes) -> Result<()> {
        let divides = |what: &str, whole: usize, part: usize| match part > 0 && whole.is_multiple_of(part) {
            true => Ok(()),
            false => Err(self.refused(&format!("describes {what}: {whole} is not a multiple of {part}"))),
        };
        divides(
            "an image of incomplete patches",
            sizes.image_resolution_px,
            sizes.patch_px,
        )?;
        divides(
            "incomplete heads of the image tower",
            sizes.vision_width,
            sizes.vision_heads,
        )?;
        divides("incomplete heads of the text tower", sizes.text_width, sizes.text_heads)?;
        let layers = sizes.vision_layers.max(sizes.text_layers);
        if layers > LAYERS_MAX {
            return Err(self.refused(&format!("has {layers} layers; at most {LAYERS_MAX} are supported")));
        }
        let n_weights: usize = sizes
            .tensors()
            .iter()
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        if n_weights > WEIGHTS_MAX {
            return Err(self.refused(&format!("describes {n_weights} weights, more than any CLIP has")));
        }
        if sizes.vocab_size < TOKENIZER_IDS {
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

    fn refused(&self, problem: &str) -> Error {
        Error::usage(format!("`{}` {problem}", self.name), EXPECTED)
    }
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
                "hidden_size": 192, "num_hidden_layers": 3, "image_size": 64, "patch_size": 8, "hidden_act": "quick_gelu",
            },
            "text_config": {
                "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 248,
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
        assert_eq!(gelu.activation, Activation::Gelu);
        let error = Architecture::from_json(&with("relu"), "c.json")
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"relu\" for `vision_config.hidden_act`"), "{error}");
    }

    #[test]
    fn what_no_model_can_be_is_refused() {
        check_refused(
            |c| c["vision_cfg"]["patch_size"] = json!(7),
            "64 is not a multiple of 7",
        );
        check_refused(|c| c["text_cfg"]["heads"] = json!(0), "`text_cfg.heads`: 0");
        check_refused(|c| c["text_cfg"]["heads"] = json!(3), "128 is not a multiple of 3");
        check_refused(|c| c["vision_cfg"]["layers"] = json!(5000), "5000 layers");
        check_refused(|c| c["vision_cfg"]["width"] = json!(u64::MAX), "`vision_cfg.width`");
        check_refused(|c| c["vision_cfg"]["width"] = json!(1 << 20), "more than any CLIP");
        check_refused(|c| c["text_cfg"]["vocab_size"] = json!(1000), "needs 49408");
        check_refused(|c| c["embed_dim"] = json!("wide"), "`embed_dim`");
        check_refused(|c| *c = json!([1]), "neither");
    }
}
