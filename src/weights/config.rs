//! What a config file beside the weights may say: heads and activation. Everything else is read off the tensors.
//!
//! Hugging Face's `config.json` (`text_config`, `vision_config`, `hidden_act`, `num_attention_heads`) and open_clip's
//! `open_clip_config.json` (`model_cfg`, `quick_gelu`, `heads`, `head_width`). A config whose widths are not the
//! tensors' belongs to another model and is left alone.

use std::fmt;
use std::path::Path;

use serde_json::Value;

use super::sizes::Sizes;

/// The activation function of the MLPs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`: OpenAI's models and Long-CLIP.
    #[default]
    QuickGelu,
    /// `x * Φ(x)`: most of open_clip's own models.
    Gelu,
}

impl Activation {
    /// The activation that transformers calls by `name` (`hidden_act`), if a CLIP has it.
    pub(super) fn from_transformers(name: &str) -> Option<Activation> {
        match name {
            "gelu" | "gelu_new" | "gelu_pytorch_tanh" => Some(Activation::Gelu),
            "quick_gelu" => Some(Activation::QuickGelu),
            _ => None,
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Activation::QuickGelu => "quick-gelu",
            Activation::Gelu => "gelu",
        })
    }
}

/// What a config said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Config {
    pub(super) file_name: &'static str,
    pub(super) activation: Option<Activation>,
    pub(super) vision_heads: Option<usize>,
    pub(super) text_heads: Option<usize>,
}

/// Names that configs go by.
const FILE_NAMES: [&str; 2] = ["config.json", "open_clip_config.json"];

/// Reads the config in a folder, if there is one and it describes a model of these sizes.
pub(super) fn read(folder: &Path, sizes: &Sizes) -> Option<Config> {
    FILE_NAMES.into_iter().find_map(|file_name| {
        let text = std::fs::read(folder.join(file_name)).ok()?;
        let json: Value = serde_json::from_slice(&text).ok()?;
        from_huggingface(file_name, &json, sizes).or_else(|| from_openclip(file_name, &json, sizes))
    })
}

fn number(json: &Value, key: &str) -> Option<usize> {
    json.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok())
}

/// A number of heads that divides the width.
fn heads(json: &Value, key: &str, width: usize) -> Option<usize> {
    number(json, key).filter(|heads| *heads > 0 && width.is_multiple_of(*heads))
}

fn from_huggingface(file_name: &'static str, json: &Value, sizes: &Sizes) -> Option<Config> {
    let (text, vision) = (json.get("text_config")?, json.get("vision_config")?);
    let fits = |tower: &Value, width: usize| number(tower, "hidden_size").is_none_or(|stated| stated == width);
    if !fits(text, sizes.text_width) || !fits(vision, sizes.vision_width) {
        return None;
    }
    // transformers' default where a config is silent is quick_gelu (`configuration_clip.py`).
    let named = text.get("hidden_act").or_else(|| vision.get("hidden_act"));
    let activation = named.and_then(Value::as_str).and_then(Activation::from_transformers);
    Some(Config {
        file_name,
        activation,
        vision_heads: heads(vision, "num_attention_heads", sizes.vision_width),
        text_heads: heads(text, "num_attention_heads", sizes.text_width),
    })
}

fn from_openclip(file_name: &'static str, json: &Value, sizes: &Sizes) -> Option<Config> {
    let model = json.get("model_cfg").unwrap_or(json);
    let (text, vision) = (model.get("text_cfg")?, model.get("vision_cfg")?);
    let fits = |tower: &Value, width: usize| number(tower, "width").is_none_or(|stated| stated == width);
    if !fits(text, sizes.text_width) || !fits(vision, sizes.vision_width) {
        return None;
    }
    let quick = model.get("quick_gelu").and_then(Value::as_bool).unwrap_or(false);
    Some(Config {
        file_name,
        activation: Some(if quick { Activation::QuickGelu } else { Activation::Gelu }),
        vision_heads: number(vision, "head_width")
            .filter(|width| *width > 0 && sizes.vision_width.is_multiple_of(*width))
            .map(|width| sizes.vision_width / width),
        text_heads: heads(text, "heads", sizes.text_width),
    })
}
