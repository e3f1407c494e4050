//! open_clip's `open_clip_config.json`, or a file of its `model_configs`, as its `factory.py` and `model.py` read it.

use std::path::Path;

use serde_json::Value;

use super::described::{Described, HeadNumber, Heads, Stated, StatedSizes, What, name_of, unknown_keys};
use super::embedded::Written;
use super::keys;
use super::object::Object;
use super::timm;
use crate::error::Result;
use crate::recipe::{
    Activation, EPSILON, Filter, PixelRecipe, Recipe, Resize, TextAttention, TextPooling, TextRecipe, VisionPooling,
    VisionRecipe,
};
use crate::weights::notice::Notice;
use crate::weights::sizes::HEAD_WIDTH;

/// open_clip's defaults (`CLIPVisionCfg`, `CLIPTextCfg`).
const TEXT_HEADS: usize = 8;
const EOS_ID: u64 = 2;
const MLP_RATIO: f64 = 4.0;

/// Whether this is a config of open_clip.
pub(super) fn is_one(json: &Value) -> bool {
    let model = json.get("model_cfg").unwrap_or(json);
    model.get("vision_cfg").is_some() || model.get("text_cfg").is_some()
}

/// Reads a config.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) for what is not carried out.
pub(super) fn read(file: &Path, json: &Value) -> Result<Described> {
    let mut unknown = Vec::new();
    let empty = serde_json::Map::new();
    let root = json.as_object().unwrap_or(&empty);
    let (model, pixels, own) = match root.contains_key("model_cfg") {
        true => {
            let root = Object::new(file, "", root, &keys::OPENCLIP, &mut unknown)?;
            let own = Written::in_config(&root)?;
            (root.object("model_cfg")?, root.object("preprocess_cfg")?, own)
        }
        false => (Some(root), root.get("preprocess_cfg").and_then(Value::as_object), None),
    };
    let model = Object::new(file, "", model.unwrap_or(&empty), &keys::OPENCLIP_MODEL, &mut unknown)?;
    let section = |key| model.object(key).map(|json| json.unwrap_or(&empty));
    let (vision, text) = (section("vision_cfg")?, section("text_cfg")?);
    let vision = Object::new(file, "vision_cfg", vision, &keys::OPENCLIP_VISION, &mut unknown)?;
    let text = Object::new(file, "text_cfg", text, &keys::OPENCLIP_TEXT, &mut unknown)?;
    let has_images = pixels.is_some();
    let pixels = Object::new(
        file,
        "preprocess_cfg",
        pixels.unwrap_or(&empty),
        &keys::OPENCLIP_PREPROCESS,
        &mut unknown,
    )?;
    let of_both = match model.flag("quick_gelu")?.unwrap_or(false) {
        true => Activation::QuickGelu,
        false => Activation::Gelu,
    };
    let of_timm = timm::recipe(&vision)?;
    let vision_heads = match of_timm {
        Some(_) => Heads {
            key: vision.dotted("timm_model_name"),
            number: HeadNumber::OfFamily,
        },
        None => Heads {
            key: vision.dotted("head_width"),
            number: HeadNumber::Width(vision.size("head_width")?.unwrap_or(HEAD_WIDTH)),
        },
    };
    let mut notices = unknown_keys(file, unknown);
    if of_timm.is_some() && !has_images {
        notices.push(Notice::AssumedImages { file: name_of(file) });
    }
    let described = Described {
        brings_tokenizer: false,
        file: file.to_owned(),
        recipe: Recipe {
            vision: match of_timm {
                Some(recipe) => recipe,
                None => vision_recipe(&vision, of_both)?,
            },
            text: text_recipe(&text, of_both)?,
            pixels: pixel_recipe(&pixels)?,
        },
        vision_heads,
        text_heads: Heads {
            key: text.dotted("heads"),
            number: HeadNumber::Heads(text.size("heads")?.unwrap_or(TEXT_HEADS)),
        },
        sizes: sizes(&model, &vision, &text)?,
        default_mlp_dims: None,
        own,
        notices,
    };
    Ok(described)
}

fn sizes(model: &Object<'_>, vision: &Object<'_>, text: &Object<'_>) -> Result<Vec<Stated>> {
    if vision.get("layers").is_some_and(Value::is_array) {
        return Err(vision.refused(
            "layers",
            "a convolutional image tower (ResNet), which longclip does not compute",
        ));
    }
    let mut sizes = StatedSizes::default();
    sizes.add(What::Image, vision, "image_size", vision.square("image_size")?);
    sizes.add(What::Patch, vision, "patch_size", vision.square("patch_size")?);
    sizes.add(What::Embedding, model, "embed_dim", model.size("embed_dim")?);
    sizes.add(What::Vocabulary, text, "vocab_size", text.size("vocab_size")?);
    sizes.add(What::Context, text, "context_length", text.size("context_length")?);
    for (tower, width, layers, mlp) in [
        (vision, What::VisionWidth, What::VisionLayers, What::VisionMlp),
        (text, What::TextWidth, What::TextLayers, What::TextMlp),
    ] {
        let tower_width = tower.size("width")?;
        sizes.add(width, tower, "width", tower_width);
        sizes.add(layers, tower, "layers", tower.size("layers")?);
        let ratio = tower.float("mlp_ratio")?.unwrap_or(MLP_RATIO);
        if !(0.01..=100.0).contains(&ratio) {
            return Err(tower.refused("mlp_ratio", "a number from 0.01 to 100 is expected"));
        }
        // As open_clip: `int(d_model * mlp_ratio)`.
        sizes.add(
            mlp,
            tower,
            "mlp_ratio",
            tower_width.map(|width| (width as f64 * ratio) as usize),
        );
    }
    Ok(sizes.0)
}

/// `quick_gelu` says the activation of both towers; `act_kwargs` are arguments of `torch.nn.GELU`.
fn activation(tower: &Object<'_>, of_both: Activation) -> Result<Activation> {
    let Some(arguments) = tower.object("act_kwargs")?.filter(|arguments| !arguments.is_empty()) else {
        return Ok(of_both);
    };
    let approximate = match arguments.get("approximate") {
        Some(value) if arguments.len() == 1 && of_both == Activation::Gelu => value.as_str(),
        _ => None,
    };
    match approximate {
        Some("tanh") => Ok(Activation::GeluTanh),
        Some("none") => Ok(Activation::Gelu),
        _ => Err(tower.refused(
            "act_kwargs",
            "only `{\"approximate\": \"tanh\"}` or `\"none\"` is carried out, and not with `quick_gelu`",
        )),
    }
}

/// `norm_kwargs` are arguments of `torch.nn.LayerNorm`.
fn epsilon(tower: &Object<'_>) -> Result<f32> {
    let Some(arguments) = tower.object("norm_kwargs")?.filter(|arguments| !arguments.is_empty()) else {
        return Ok(EPSILON);
    };
    match arguments.get("eps") {
        Some(value) if arguments.len() == 1 => tower.epsilon("norm_kwargs", value),
        _ => Err(tower.refused("norm_kwargs", "only `eps` is carried out")),
    }
}

fn vision_recipe(vision: &Object<'_>, of_both: Activation) -> Result<VisionRecipe> {
    let norm_last = vision.flag("final_ln_after_pool")?.unwrap_or(false);
    Ok(VisionRecipe {
        activation: activation(vision, of_both)?,
        epsilon: epsilon(vision)?,
        pooling: match vision.text("pool_type")?.unwrap_or("tok") {
            "tok" => VisionPooling::ClassToken,
            "avg" if norm_last => VisionPooling::NormalisedMean,
            "avg" => VisionPooling::MeanOfNormalised,
            _ => return Err(vision.refused("pool_type", "`tok` and `avg` are carried out")),
        },
        without_first_norm: vision.flag("no_ln_pre")?.unwrap_or(false),
        ..VisionRecipe::default()
    })
}

fn text_recipe(text: &Object<'_>, of_both: Activation) -> Result<TextRecipe> {
    let eos_id = match text.get("eos_id") {
        None => EOS_ID,
        Some(value) => value
            .as_u64()
            .ok_or_else(|| text.refused("eos_id", "a token id is expected"))?,
    };
    Ok(TextRecipe {
        activation: activation(text, of_both)?,
        epsilon: epsilon(text)?,
        attention: match text.flag("no_causal_mask")?.unwrap_or(false) {
            true => TextAttention::Full,
            false => TextAttention::Causal,
        },
        pooling: match text.text("pool_type")?.unwrap_or("argmax") {
            "argmax" => TextPooling::LargestId,
            "first" => TextPooling::First,
            "last" => TextPooling::Last,
            // An id that no text has is found nowhere, and the first token is read.
            "eos" => u32::try_from(eos_id).map_or(TextPooling::First, TextPooling::Id),
            _ => return Err(text.refused("pool_type", "`argmax`, `first`, `last` and `eos` are carried out")),
        },
        ..TextRecipe::default()
    })
}

fn pixel_recipe(pixels: &Object<'_>) -> Result<PixelRecipe> {
    let default = PixelRecipe::default();
    let fill = match pixels.get("fill_color") {
        None => 0,
        Some(value) => {
            let level = value.as_u64().and_then(|level| u8::try_from(level).ok());
            level.ok_or_else(|| pixels.refused("fill_color", "a level from 0 to 255 is expected"))?
        }
    };
    let std = pixels.three("std")?.unwrap_or(default.std);
    if std.contains(&0.0) {
        return Err(pixels.refused("std", "numbers other than 0 are expected"));
    }
    Ok(PixelRecipe {
        resize: match pixels.text("resize_mode")?.unwrap_or("shortest") {
            "shortest" => Resize::Shortest,
            "longest" => Resize::Longest { fill },
            "squash" => Resize::Squash,
            _ => return Err(pixels.refused("resize_mode", "`shortest`, `longest` and `squash` are carried out")),
        },
        filter: match pixels.text("interpolation")?.unwrap_or("bicubic") {
            // `random` is for training; open_clip resizes with bicubic otherwise.
            "bicubic" | "random" => Filter::Bicubic,
            "bilinear" => Filter::Bilinear,
            _ => return Err(pixels.refused("interpolation", "`bicubic` and `bilinear` are carried out")),
        },
        mean: pixels.three("mean")?.unwrap_or(default.mean),
        std,
        ..default
    })
}
