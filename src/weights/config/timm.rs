//! An image tower of timm, as open_clip's `TimmModel` builds it from `timm_*` keys: `timm_model.py`, and the models in timm's
//! `vision_transformer.py`. Plain ViTs of CLIP's kind are read, `vit_*_clip_*`: they have a class token and a norm before the
//! first block.

use std::path::Path;

use super::object::Object;
use crate::error::{Error, Result};
use crate::recipe::{Activation, EPSILON, VisionPooling, VisionRecipe};

/// The recipe of the image tower, if it is one of timm.
///
/// # Errors
/// [`Error::Unsupported`] for another one than a plain ViT, or if it is read in a way that is not carried out.
pub(super) fn recipe(vision: &Object<'_>) -> Result<Option<VisionRecipe>> {
    let Some(name) = vision.text("timm_model_name")?.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    if !(name.starts_with("vit_") && name.contains("_clip_")) {
        let problem =
            "an image tower of timm that is not a plain ViT (`vit_*_clip_*`), which longclip does not compute";
        return Err(vision.refused("timm_model_name", problem));
    }
    Ok(Some(VisionRecipe {
        activation: match name.contains("quickgelu") {
            true => Activation::QuickGelu,
            false => Activation::Gelu,
        },
        epsilon: EPSILON,
        pooling: pooling(vision)?,
        ..VisionRecipe::default()
    }))
}

fn pooling(vision: &Object<'_>) -> Result<VisionPooling> {
    // A key that is left out has open_clip's default, and one that is null has no value.
    let value = |key, default| match vision.is_null(key) {
        true => Ok(""),
        false => vision.text(key).map(|value| value.unwrap_or(default)),
    };
    let (projection, pool) = (value("timm_proj", "linear")?, value("timm_pool", "avg")?);
    match (projection, pool) {
        // The classifier of timm's model, which is made with this pooling.
        ("", "token") => Ok(VisionPooling::ClassToken),
        ("", "avg") => Ok(VisionPooling::NormalisedMean),
        // A layer of open_clip's own after a model that is made with timm's pooling, which is the class token.
        ("linear", "token" | "") => Ok(VisionPooling::ClassToken),
        ("linear", "avg") => Ok(VisionPooling::MeanOfNormalised),
        ("" | "linear", _) => Err(vision.refused("timm_pool", "`token` and `avg` are carried out")),
        _ => Err(vision.refused("timm_proj", "null and `linear` are carried out")),
    }
}

/// The refusal of weights without a config: it says how images are pooled, and whether texts have a causal mask.
pub(super) fn without_config(path: &Path) -> Error {
    Error::Unsupported {
        path: path.to_owned(),
        problem: "its image tower is one of timm, and no config says how it is computed".into(),
        hint: Some("put its `open_clip_config.json` next to it, or `config.json` with open_clip's `vision_cfg`".into()),
    }
}
