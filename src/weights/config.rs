//! What a config file next to the weights is asked for: heads and activation. All else follows from the tensors.
//!
//! Hugging Face's `config.json` (`text_config`, `vision_config`, `hidden_act`, `num_attention_heads`) and open_clip's
//! `open_clip_config.json` (`model_cfg`, `quick_gelu`, `heads`, `head_width`). A config whose widths differ from the
//! tensors' belongs to another model and is ignored.

use std::path::Path;

use serde_json::Value;

use super::activation::Activation;
use super::files::CONFIG_NAMES;
use super::sizes::Sizes;
use crate::error::{Error, Result};
use crate::plain_text::without_mark;

/// What a config says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) file_name: &'static str,
    pub(super) activation: Option<Activation>,
    pub(super) vision_heads: Option<usize>,
    pub(super) text_heads: Option<usize>,
}

/// Reads the config in a folder, if there is one and it describes a model of these sizes.
///
/// # Errors
/// [`Error::NotWeights`] if it names an activation that no CLIP has.
pub(super) fn read(folder: &Path, sizes: &Sizes) -> Result<Option<Config>> {
    for file_name in CONFIG_NAMES {
        let path = folder.join(file_name);
        let Some(json) = std::fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice(without_mark(&text)).ok())
        else {
            continue;
        };
        let refused = |found| Error::NotWeights {
            path: path.clone(),
            expected: "the config of a CLIP".into(),
            found,
        };
        if let Some(config) = from_huggingface(file_name, &json, sizes).transpose().map_err(refused)? {
            return Ok(Some(config));
        }
        if let Some(config) = from_openclip(file_name, &json, sizes) {
            return Ok(Some(config));
        }
    }
    Ok(None)
}

/// The kind of model that `config.json` in a folder names, for messages about a file that is refused.
pub(super) fn model_type(folder: &Path) -> Option<String> {
    let text = std::fs::read(folder.join(CONFIG_NAMES[0])).ok()?;
    let json: Value = serde_json::from_slice(&text).ok()?;
    json.get("model_type")?.as_str().map(str::to_owned)
}

fn number(json: &Value, key: &str) -> Option<usize> {
    json.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok())
}

/// A number of heads that divides the width.
fn heads(json: &Value, key: &str, width: usize) -> Option<usize> {
    number(json, key).filter(|heads| *heads > 0 && width.is_multiple_of(*heads))
}

fn from_huggingface(file_name: &'static str, json: &Value, sizes: &Sizes) -> Option<Result<Config, String>> {
    let (text, vision) = (json.get("text_config")?, json.get("vision_config")?);
    let fits = |tower: &Value, width: usize| number(tower, "hidden_size").is_none_or(|stated| stated == width);
    if !fits(text, sizes.text_width) || !fits(vision, sizes.vision_width) {
        return None;
    }
    // If none is named, transformers takes quick_gelu (`configuration_clip.py`), as we do.
    let activation = Activation::in_transformers_config(json);
    Some(activation.map(|activation| Config {
        file_name,
        activation,
        vision_heads: heads(vision, "num_attention_heads", sizes.vision_width),
        text_heads: heads(text, "num_attention_heads", sizes.text_width),
    }))
}

fn from_openclip(file_name: &'static str, json: &Value, sizes: &Sizes) -> Option<Config> {
    let model = json.get("model_cfg").unwrap_or(json);
    let (text, vision) = (model.get("text_cfg")?, model.get("vision_cfg")?);
    let fits = |tower: &Value, width: usize| number(tower, "width").is_none_or(|stated| stated == width);
    if !fits(text, sizes.text_width) || !fits(vision, sizes.vision_width) {
        return None;
    }
    Some(Config {
        file_name,
        activation: Some(Activation::in_openclip_config(model)),
        vision_heads: number(vision, "head_width")
            .filter(|width| *width > 0 && sizes.vision_width.is_multiple_of(*width))
            .map(|width| sizes.vision_width / width),
        text_heads: heads(text, "heads", sizes.text_width),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Checkpoint, LoadOptions};
    use super::*;

    /// What a config next to nano says about the activation.
    fn activation(text: Value, vision: Value) -> Result<Option<Activation>> {
        let nano = Checkpoint::from_bytes("nano", crate::nano::safetensors(), &LoadOptions::default())?;
        let dir = tempfile::tempdir().unwrap();
        let config = json!({ "text_config": text, "vision_config": vision });
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        Ok(read(dir.path(), nano.sizes())?.unwrap().activation)
    }

    #[test]
    fn an_activation_is_read_from_either_tower() {
        let gelu = json!({ "hidden_act": "gelu" });
        assert_eq!(activation(json!({}), gelu.clone()).unwrap(), Some(Activation::Gelu));
        assert_eq!(activation(gelu.clone(), gelu).unwrap(), Some(Activation::Gelu));
        assert_eq!(activation(json!({}), json!({})).unwrap(), None);
    }

    #[test]
    fn an_activation_that_no_clip_has_is_refused_by_name() {
        let error = activation(json!({ "hidden_act": "relu" }), json!({})).unwrap_err();
        assert!(
            error.to_string().contains("\"relu\" for `text_config.hidden_act`"),
            "{error}"
        );
        let other = activation(json!({ "hidden_act": "gelu" }), json!({ "hidden_act": "quick_gelu" })).unwrap_err();
        assert!(other.to_string().contains("`vision_config.hidden_act`"), "{other}");
    }
}
