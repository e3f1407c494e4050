//! transformers' `config.json` of a `CLIPModel`, and the config of its image processor.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::described::{Described, HeadNumber, Heads, IMAGE_SIZE, Stated, StatedSizes, What, unknown_keys};
use super::embedded::Written;
use super::keys;
use super::object::{Object, as_size};
use crate::error::Result;
use crate::recipe::{
    Activation, Centre, Colours, EPSILON, Filter, PixelRecipe, Recipe, Rescale, Resize, TextPooling, TextRecipe,
    VisionRecipe,
};
use crate::weights::notice::Notice;

/// transformers' defaults (`CLIPTextConfig`, `CLIPVisionConfig`).
const TEXT_HEADS: usize = 8;
const VISION_HEADS: usize = 12;
/// Of the image and the text tower.
const MLP_DIMS: [usize; 2] = [3072, 2048];
const EOS_TOKEN_ID: u64 = 49407;
/// transformers' defaults (`CLIPImageProcessor`).
const RESCALE_FACTOR: f64 = 1.0 / 255.0;

/// Whether this is a config of transformers for a model with towers, or for one of them.
pub(super) fn is_one(json: &Value) -> bool {
    json.get("text_config").is_some() || json.get("vision_config").is_some() || json.get("model_type").is_some()
}

/// Reads a config.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) for what is not carried out.
pub(super) fn read(file: &Path, json: &Value) -> Result<Described> {
    let model_type = json.get("model_type").and_then(Value::as_str);
    let brings_tokenizer = model_type.is_some_and(brings_tokenizer);
    let whole = match model_type {
        // The config of one tower is that tower's section.
        Some("clip_text_model" | "metaclip_2_text_model") => &json!({ "text_config": json }),
        Some("clip_vision_model" | "metaclip_2_vision_model") => &json!({ "vision_config": json }),
        _ => json,
    };
    let (mut unknown, empty) = (Vec::new(), Map::new());
    let root = whole.as_object().unwrap_or(&empty);
    let root = Object::new(file, "", root, &keys::TRANSFORMERS, &mut unknown)?;
    // What the older key says replaces the section, defaults included (`CLIPConfig.__post_init__`).
    let section = |older, key| -> Result<_> {
        match root.object(older)? {
            Some(json) => Ok((older, json)),
            None => Ok((key, root.object(key)?.unwrap_or(&empty))),
        }
    };
    let (vision_path, vision) = section("vision_config_dict", "vision_config")?;
    let (text_path, text) = section("text_config_dict", "text_config")?;
    let vision = Object::new(file, vision_path, vision, &keys::TRANSFORMERS_VISION, &mut unknown)?;
    let text = Object::new(file, text_path, text, &keys::TRANSFORMERS_TEXT, &mut unknown)?;
    let heads = |tower: &Object<'_>, default| -> Result<Heads> {
        Ok(Heads {
            key: tower.dotted("num_attention_heads"),
            number: HeadNumber::Heads(tower.size("num_attention_heads")?.unwrap_or(default)),
        })
    };
    Ok(Described {
        file: file.to_owned(),
        recipe: Recipe {
            vision: VisionRecipe {
                activation: activation(&vision)?,
                epsilon: epsilon(&vision)?,
                ..VisionRecipe::default()
            },
            text: TextRecipe {
                activation: activation(&text)?,
                epsilon: epsilon(&text)?,
                pooling: match brings_tokenizer {
                    // `MetaClip2TextModel` gives an id of 2 no other meaning.
                    true => TextPooling::of_id(end_token(&text)?),
                    false => pooling(&text)?,
                },
                ..TextRecipe::default()
            },
            pixels: PixelRecipe::default(),
        },
        vision_heads: heads(&vision, VISION_HEADS)?,
        text_heads: heads(&text, TEXT_HEADS)?,
        sizes: sizes(&root, &vision, &text)?,
        default_mlp_dims: Some(MLP_DIMS),
        own: Written::in_config(&root)?,
        notices: unknown_keys(file, unknown),
        brings_tokenizer,
    })
}

/// Whether a model of this type, which is otherwise a CLIP, has a tokenizer of its own.
pub(super) fn brings_tokenizer(model_type: &str) -> bool {
    model_type.starts_with("metaclip_2")
}

fn sizes(root: &Object<'_>, vision: &Object<'_>, text: &Object<'_>) -> Result<Vec<Stated>> {
    let mut sizes = StatedSizes::default();
    sizes.add(What::Image, vision, "image_size", vision.square("image_size")?);
    sizes.add(What::Patch, vision, "patch_size", vision.square("patch_size")?);
    sizes.add(What::Embedding, root, "projection_dim", root.size("projection_dim")?);
    sizes.add(What::Vocabulary, text, "vocab_size", text.size("vocab_size")?);
    sizes.add(
        What::Context,
        text,
        "max_position_embeddings",
        text.size("max_position_embeddings")?,
    );
    for (tower, width, layers, mlp) in [
        (vision, What::VisionWidth, What::VisionLayers, What::VisionMlp),
        (text, What::TextWidth, What::TextLayers, What::TextMlp),
    ] {
        sizes.add(width, tower, "hidden_size", tower.size("hidden_size")?);
        sizes.add(layers, tower, "num_hidden_layers", tower.size("num_hidden_layers")?);
        sizes.add(mlp, tower, "intermediate_size", tower.size("intermediate_size")?);
    }
    Ok(sizes.0)
}

/// Names of activations in transformers (`activations.py`, `ACT2FN`); the first of each is the one that we write.
const ACTIVATIONS: [(Activation, &[&str]); 3] = [
    (Activation::QuickGelu, &["quick_gelu"]),
    (Activation::Gelu, &["gelu", "gelu_python"]),
    (
        Activation::GeluTanh,
        &[
            "gelu_pytorch_tanh",
            "gelu_new",
            "gelu_fast",
            "gelu_accurate",
            "gelu_python_tanh",
        ],
    ),
];

/// What transformers calls an activation.
pub(in crate::weights) fn activation_name(activation: Activation) -> &'static str {
    let entry = ACTIVATIONS.iter().find(|(known, _)| *known == activation);
    entry.map_or("quick_gelu", |(_, names)| names[0])
}

fn activation(tower: &Object<'_>) -> Result<Activation> {
    let Some(name) = tower.text("hidden_act")? else {
        return Ok(Activation::QuickGelu);
    };
    let entry = ACTIVATIONS.iter().find(|(_, names)| names.contains(&name));
    entry.map(|(activation, _)| *activation).ok_or_else(|| {
        let expected = "an activation that longclip does not compute; `quick_gelu`, `gelu` and `gelu_pytorch_tanh` are";
        tower.refused("hidden_act", expected)
    })
}

fn epsilon(tower: &Object<'_>) -> Result<f32> {
    match tower.get("layer_norm_eps") {
        Some(value) => tower.epsilon("layer_norm_eps", value),
        None => Ok(EPSILON),
    }
}

/// Where `CLIPTextModel` reads a text. An id of 2 is from before transformers 4.31, and means the largest one.
fn pooling(text: &Object<'_>) -> Result<TextPooling> {
    const ANY: u64 = 2;
    let id = end_token(text)?;
    let last_id = text.size("vocab_size")?.map_or(EOS_TOKEN_ID, |n| n as u64 - 1);
    Ok(match id {
        // The largest id of a vocabulary is also the largest of a text.
        id if id == ANY || id == last_id => TextPooling::LargestId,
        id => TextPooling::of_id(id),
    })
}

fn end_token(text: &Object<'_>) -> Result<u64> {
    match text.get("eos_token_id") {
        None => Ok(EOS_TOKEN_ID),
        Some(value) => value
            .as_u64()
            .ok_or_else(|| text.refused("eos_token_id", "one token id is expected")),
    }
}

/// The config of the image processor in `processor_config.json`, which transformers 5 writes there.
pub(super) fn image_processor<'a>(file: &Path, json: &'a Value) -> Result<Option<&'a Map<String, Value>>> {
    let Some(root) = json.as_object() else { return Ok(None) };
    // Keys of other inputs have no effect on images, known or not.
    Object::new(file, "", root, &keys::TRANSFORMERS_PROCESSOR, &mut Vec::new())?;
    Ok(root.get("image_processor").and_then(Value::as_object))
}

/// Reads the config of an image processor; `resolution_px` is what the image tower reads.
///
/// # Errors
/// [`Error::Unsupported`](crate::Error::Unsupported) for what is not carried out, or if images would not have the tower's size.
pub(super) fn pixels(
    file: &Path,
    path: &str,
    json: &Map<String, Value>,
    resolution_px: usize,
) -> Result<(PixelRecipe, Vec<Notice>)> {
    let mut unknown = Vec::new();
    let images = Object::new(file, path, json, &keys::TRANSFORMERS_IMAGES, &mut unknown)?;
    let notices = unknown_keys(file, unknown);
    let on = |key| images.flag(key).map(|flag| flag.unwrap_or(true));
    let default = PixelRecipe::default();
    let (mean, std) = match on("do_normalize")? {
        true => (
            images.three("image_mean")?.unwrap_or(default.mean),
            images.three("image_std")?.unwrap_or(default.std),
        ),
        false => ([0.0; 3], [1.0; 3]),
    };
    if std.contains(&0.0) {
        return Err(images.refused("image_std", "numbers other than 0 are expected"));
    }
    // Conversion to RGB can't be left out: the tower reads three channels. RGB images are the same either way.
    let _ = on("do_convert_rgb")?;
    let recipe = PixelRecipe {
        resize: resize(&images, resolution_px)?,
        filter: filter(&images)?,
        centre: Centre::Transformers,
        colours: Colours::ConvertedFirst,
        rescale: Rescale::Factor(match on("do_rescale")? {
            true => images.float("rescale_factor")?.unwrap_or(RESCALE_FACTOR),
            false => 1.0,
        }),
        mean,
        std,
    };
    Ok((recipe, notices))
}

/// Pillow's numbers of its filters (`PIL.Image.Resampling`).
fn filter(images: &Object<'_>) -> Result<Filter> {
    let Some(value) = images.get("resample") else {
        return Ok(Filter::Bicubic);
    };
    match (value.as_u64(), value.as_str()) {
        (Some(3), _) | (_, Some("bicubic")) => Ok(Filter::Bicubic),
        (Some(2), _) | (_, Some("bilinear")) => Ok(Filter::Bilinear),
        _ => Err(images.refused("resample", "3 (bicubic) and 2 (bilinear) are carried out")),
    }
}

/// The resize, if the crop after it leaves what the tower reads.
fn resize(images: &Object<'_>, resolution_px: usize) -> Result<Resize> {
    let is_on = |key| images.flag(key).map(|flag| flag.unwrap_or(true));
    let resize = match is_on("do_resize")? {
        true => size(images)?,
        false => Resize::Off,
    };
    if is_on("do_center_crop")? {
        let [height, width] = sides(images, "crop_size")?.unwrap_or([IMAGE_SIZE; 2]);
        return match height == resolution_px && width == resolution_px {
            true => Ok(resize),
            false => Err(images.refused("crop_size", &format!("the image tower reads {resolution_px} pixels"))),
        };
    }
    match resize {
        Resize::SquashTo { height, width } if height == resolution_px && width == resolution_px => Ok(resize),
        Resize::SquashTo { .. } => Err(images.refused(
            "size",
            &format!("the image tower reads {resolution_px} × {resolution_px} pixels"),
        )),
        _ => Err(images.refused(
            "do_center_crop",
            "images would keep their proportions, but the image tower reads squares",
        )),
    }
}

fn size(images: &Object<'_>) -> Result<Resize> {
    let refused = || images.refused("size", "`shortest_edge`, or `height` and `width`, are carried out");
    let Some(value) = images.get("size") else {
        return Ok(match images.flag("use_square_size")?.unwrap_or(false) {
            true => Resize::SquashTo {
                height: IMAGE_SIZE,
                width: IMAGE_SIZE,
            },
            false => Resize::ShortestTo(IMAGE_SIZE),
        });
    };
    if images.flag("use_square_size")?.unwrap_or(false) {
        return Err(images.refused("use_square_size", "it is carried out only without `size`"));
    }
    if let Some(short) = as_size(value) {
        return Ok(Resize::ShortestTo(short));
    }
    let given = |key: &str| value.get(key).filter(|value| !value.is_null());
    if ["longest_edge", "max_height", "max_width"]
        .iter()
        .any(|key| given(key).is_some())
    {
        return Err(refused());
    }
    match given("shortest_edge") {
        Some(short) => as_size(short).map(Resize::ShortestTo).ok_or_else(refused),
        None => match sides(images, "size")? {
            Some([height, width]) => Ok(Resize::SquashTo { height, width }),
            None => Err(refused()),
        },
    }
}

/// Height and width, given as one number, two, or by name.
fn sides(images: &Object<'_>, key: &str) -> Result<Option<[usize; 2]>> {
    let Some(value) = images.get(key) else {
        return Ok(None);
    };
    let named = |name: &str| value.get(name).and_then(as_size);
    let sides = match (value.as_array().map(Vec::as_slice), as_size(value)) {
        (Some([height, width]), _) => as_size(height).zip(as_size(width)),
        (_, Some(side)) => Some((side, side)),
        _ => named("height").zip(named("width")),
    };
    match sides {
        Some((height, width)) => Ok(Some([height, width])),
        None => Err(images.refused(key, "`height` and `width` are expected")),
    }
}
