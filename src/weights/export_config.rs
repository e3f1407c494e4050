//! The configs that are written next to weights: of transformers, of open_clip, and our own words in a weights file.
//!
//! A recipe that the other library can't compute is refused. If its config can't state a detail that changes the last digits
//! (how a crop is rounded, when an image is converted to RGB), our own entry `longclip` states it. Other programs ignore it.

use serde_json::{Value, json};

use super::Sizes;
use super::config::{self, OWN_KEY, Written, activation_name};
use super::files::{IMAGE_CONFIG, OPENCLIP_CONFIG, TRANSFORMERS_CONFIG};
use crate::error::{Error, Result};
use crate::recipe::{
    Activation, EPSILON, Filter, MEAN, PixelRecipe, Recipe, Rescale, Resize, STD, TextAttention, TextPooling,
    VisionPooling,
};

/// The name and the content of a config file.
type ConfigFile = (&'static str, Value);

/// transformers' configs.
///
/// # Errors
/// [`Error::Usage`] if it does not compute such a model.
pub(super) fn transformers(sizes: &Sizes, recipe: &Recipe) -> Result<Vec<ConfigFile>> {
    let lacks = |what: &str| no_word("transformers", what);
    match recipe.vision.pooling {
        VisionPooling::ClassToken => {}
        VisionPooling::MeanOfNormalised | VisionPooling::NormalisedMean => return Err(lacks("averaging patches")),
    }
    match recipe.text.attention {
        TextAttention::Causal => {}
        TextAttention::Full => return Err(lacks("a text tower without a causal mask")),
    }
    match recipe.text.pooling {
        TextPooling::LargestId | TextPooling::Id(_) => {}
        TextPooling::First | TextPooling::Last => return Err(lacks("reading a text at its first or last position")),
    }
    if recipe.vision.without_first_norm {
        return Err(lacks("an image tower without its first norm"));
    }
    check_projections("transformers", recipe)?;
    let config = towers_of_transformers(sizes, recipe);
    let images = images_of_transformers(sizes, &recipe.pixels)?;
    let config = completed(config, Some(&images), sizes, recipe)?;
    Ok(vec![(TRANSFORMERS_CONFIG, config), (IMAGE_CONFIG, images)])
}

/// open_clip's config.
///
/// # Errors
/// [`Error::Usage`] if it does not compute such a model.
pub(super) fn openclip(sizes: &Sizes, recipe: &Recipe) -> Result<Vec<ConfigFile>> {
    let is_quick = |activation| activation == Activation::QuickGelu;
    let quick_gelu = is_quick(recipe.vision.activation);
    if quick_gelu != is_quick(recipe.text.activation) {
        return Err(no_word("open_clip", "QuickGELU in only one tower"));
    }
    check_projections("open_clip", recipe)?;
    let pool_type = match recipe.text.pooling {
        TextPooling::LargestId => "argmax",
        TextPooling::Id(_) => "eos",
        TextPooling::First => "first",
        TextPooling::Last => "last",
    };
    let mut vision = json!({
        "image_size": sizes.image_resolution_px,
        "layers": sizes.vision_layers,
        "width": sizes.vision_width,
        "head_width": sizes.vision_width / sizes.vision_heads.max(1),
        "mlp_ratio": ratio(sizes.vision_mlp_dim, sizes.vision_width),
        "patch_size": sizes.patch_px,
    });
    let mut text = json!({
        "context_length": sizes.context_length,
        "vocab_size": sizes.vocab_size,
        "width": sizes.text_width,
        "heads": sizes.text_heads,
        "layers": sizes.text_layers,
        "mlp_ratio": ratio(sizes.text_mlp_dim, sizes.text_width),
    });
    for (tower, activation, epsilon) in [
        (&mut vision, recipe.vision.activation, recipe.vision.epsilon),
        (&mut text, recipe.text.activation, recipe.text.epsilon),
    ] {
        if activation == Activation::GeluTanh {
            tower["act_kwargs"] = json!({ "approximate": "tanh" });
        }
        if epsilon != EPSILON {
            tower["norm_kwargs"] = json!({ "eps": shortest(epsilon) });
        }
    }
    if recipe.vision.pooling != VisionPooling::ClassToken {
        vision["pool_type"] = "avg".into();
        vision["final_ln_after_pool"] = (recipe.vision.pooling == VisionPooling::NormalisedMean).into();
    }
    if recipe.vision.without_first_norm {
        vision["no_ln_pre"] = true.into();
    }
    if recipe.text.pooling != TextPooling::LargestId {
        text["pool_type"] = pool_type.into();
    }
    if let TextPooling::Id(id) = recipe.text.pooling {
        text["eos_id"] = id.into();
    }
    if recipe.text.attention == TextAttention::Full {
        text["no_causal_mask"] = true.into();
    }
    let config = json!({
        "model_cfg": {
            "embed_dim": sizes.embed_dim,
            "quick_gelu": quick_gelu,
            "vision_cfg": vision,
            "text_cfg": text,
        },
        "preprocess_cfg": images_of_openclip(sizes, &recipe.pixels)?,
    });
    let config = completed(config, None, sizes, recipe)?;
    Ok(vec![(OPENCLIP_CONFIG, config)])
}

/// The `config.json` of a training's folder, in transformers' words, and in our own if transformers has none.
pub fn config_of(sizes: &Sizes, recipe: &Recipe) -> Value {
    let mut config = towers_of_transformers(sizes, recipe);
    if !is_complete(&config, None, sizes, recipe).unwrap_or(false) {
        config[OWN_KEY] = Written::new(sizes, recipe).json();
    }
    config
}

/// Our own words for a weights file in upstream's layout without a config; `None` if it is read as Long-CLIP anyway.
pub(super) fn of_bare_file(sizes: &Sizes, recipe: &Recipe) -> Option<Written> {
    let is_plain = *recipe == Recipe::default()
        && sizes.image_resolution_px.is_multiple_of(sizes.patch_px)
        && [sizes.vision_heads, sizes.text_heads] == sizes.heads_by_width()
        && !config::is_assumed_otherwise(sizes);
    (!is_plain).then(|| Written::new(sizes, recipe))
}

/// Adds our own words to a config that this program would read otherwise.
fn completed(mut config: Value, images: Option<&Value>, sizes: &Sizes, recipe: &Recipe) -> Result<Value> {
    if !is_complete(&config, images, sizes, recipe)? {
        config[OWN_KEY] = Written::new(sizes, recipe).json();
    }
    Ok(config)
}

/// Whether this program would read these sizes and this recipe from a config.
fn is_complete(config: &Value, images: Option<&Value>, sizes: &Sizes, recipe: &Recipe) -> Result<bool> {
    let read = config::read_back(config, images, sizes)?;
    Ok(read.is_some_and(|(same, read)| same == *sizes && read == *recipe))
}

fn towers_of_transformers(sizes: &Sizes, recipe: &Recipe) -> Value {
    // The end token is the last of the vocabulary; transformers looks for this id, CLIP for the largest one.
    let end_token = sizes.vocab_size.saturating_sub(1);
    let mut config = json!({
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": sizes.embed_dim,
        "logit_scale_init_value": 2.6592,
        "text_config": {
            "model_type": "clip_text_model",
            "hidden_size": sizes.text_width,
            "intermediate_size": sizes.text_mlp_dim,
            "num_hidden_layers": sizes.text_layers,
            "num_attention_heads": sizes.text_heads,
            "max_position_embeddings": sizes.context_length,
            "vocab_size": sizes.vocab_size,
            "projection_dim": sizes.embed_dim,
            "hidden_act": activation_name(recipe.text.activation),
            "bos_token_id": end_token.saturating_sub(1),
            "eos_token_id": end_token,
            "pad_token_id": 0,
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": sizes.vision_width,
            "intermediate_size": sizes.vision_mlp_dim,
            "num_hidden_layers": sizes.vision_layers,
            "num_attention_heads": sizes.vision_heads,
            "image_size": sizes.image_resolution_px,
            "patch_size": sizes.patch_px,
            "projection_dim": sizes.embed_dim,
            "hidden_act": activation_name(recipe.vision.activation),
        },
    });
    if let TextPooling::Id(id) = recipe.text.pooling {
        config["text_config"]["eos_token_id"] = id.into();
    }
    for (tower, epsilon) in [
        ("text_config", recipe.text.epsilon),
        ("vision_config", recipe.vision.epsilon),
    ] {
        if epsilon != EPSILON {
            config[tower]["layer_norm_eps"] = shortest(epsilon).into();
        }
    }
    config
}

fn images_of_transformers(sizes: &Sizes, pixels: &PixelRecipe) -> Result<Value> {
    let side = sizes.image_resolution_px;
    let size = match pixels.resize {
        Resize::Shortest => json!({ "shortest_edge": side }),
        Resize::ShortestTo(short) => json!({ "shortest_edge": short }),
        Resize::Squash => json!({ "height": side, "width": side }),
        Resize::SquashTo { height, width } => json!({ "height": height, "width": width }),
        Resize::Longest { .. } => return Err(no_word("transformers", "resizing the long side of an image")),
        Resize::Off => Value::Null,
    };
    let (mean, std) = normalisation(pixels);
    Ok(json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": pixels.resize != Resize::Off,
        "size": size,
        "resample": match pixels.filter {
            Filter::Bicubic => 3,
            Filter::Bilinear => 2,
        },
        "do_center_crop": true,
        "crop_size": { "height": side, "width": side },
        "do_convert_rgb": true,
        "do_rescale": true,
        "rescale_factor": match pixels.rescale {
            Rescale::By255 => 1.0 / 255.0,
            Rescale::Factor(factor) => factor,
        },
        "do_normalize": true,
        "image_mean": mean,
        "image_std": std,
    }))
}

fn images_of_openclip(sizes: &Sizes, pixels: &PixelRecipe) -> Result<Value> {
    let side = sizes.image_resolution_px;
    let (mode, fill) = match pixels.resize {
        Resize::Shortest => ("shortest", 0),
        Resize::ShortestTo(short) if short == side => ("shortest", 0),
        Resize::Longest { fill } => ("longest", fill),
        Resize::Squash => ("squash", 0),
        Resize::SquashTo { height, width } if height == side && width == side => ("squash", 0),
        Resize::ShortestTo(_) | Resize::SquashTo { .. } => {
            return Err(no_word(
                "open_clip",
                "cropping images after resizing them to another size",
            ));
        }
        Resize::Off => return Err(no_word("open_clip", "images that are not resized")),
    };
    // (byte * factor - mean) / std, with 1 / 255 for the factor.
    let (mean, std) = match pixels.rescale {
        Rescale::Factor(factor) if factor != 1.0 / 255.0 => {
            let scaled = |values: [f32; 3]| values.map(|value| f64::from(value) / (255.0 * factor));
            (scaled(pixels.mean), scaled(pixels.std))
        }
        Rescale::Factor(_) | Rescale::By255 => normalisation(pixels),
    };
    let mut config = json!({
        "mean": mean,
        "std": std,
        "interpolation": match pixels.filter {
            Filter::Bicubic => "bicubic",
            Filter::Bilinear => "bilinear",
        },
        "resize_mode": mode,
    });
    if fill != 0 {
        config["fill_color"] = fill.into();
    }
    Ok(config)
}

/// Mean and standard deviation of the channels, with the digits of CLIP's own (open_clip's `constants.py`).
fn normalisation(pixels: &PixelRecipe) -> ([f64; 3], [f64; 3]) {
    const CLIP_MEAN: [f64; 3] = [0.48145466, 0.4578275, 0.40821073];
    const CLIP_STD: [f64; 3] = [0.26862954, 0.26130258, 0.27577711];
    match (pixels.mean, pixels.std) == (MEAN, STD) {
        true => (CLIP_MEAN, CLIP_STD),
        false => (pixels.mean.map(shortest), pixels.std.map(shortest)),
    }
}

/// The ratio from which open_clip computes this width of an MLP: `int(width * ratio)`.
fn ratio(mlp_dim: usize, width: usize) -> f64 {
    let width = width.max(1) as f64;
    let exact = mlp_dim as f64 / width;
    match (width * exact) as usize == mlp_dim {
        true => exact,
        false => (mlp_dim as f64 + 0.5) / width,
    }
}

/// A number with as few digits as distinguish it from other f32.
fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// Refuses a projection with a bias, for which the names that are written have no tensor.
fn check_projections(library: &str, recipe: &Recipe) -> Result<()> {
    match recipe.vision.biased_projection || recipe.text.biased_projection {
        true => Err(no_word(library, "a projection with a bias")),
        false => Ok(()),
    }
}

fn no_word(library: &str, what: &str) -> Error {
    Error::usage(
        format!("{library} does not compute such a model: it has no word for {what}"),
        "write it under Long-CLIP's own names, which keep all of it",
    )
}
