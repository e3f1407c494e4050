//! The recipe of weights: what a weights file says itself, else the config files next to it, else what is assumed.
//!
//! Called by [`Checkpoint`](super::Checkpoint) for a model that exists, and by `architecture.rs` for a new one. Each key
//! of a config is in the tables of `keys.rs`: it is carried out, compared with the tensors, refused by its name, or known
//! to have no effect.

mod assumed;
mod described;
mod embedded;
mod keys;
mod object;
mod openclip;
#[cfg(test)]
mod tests;
mod timm;
mod transformers;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub(super) use self::assumed::is_assumed_otherwise;
pub(super) use self::described::{Described, What, name_of};
pub(super) use self::embedded::{METADATA_KEY, OWN_KEY, Written};
pub(super) use self::transformers::activation_name;

use super::files::{IMAGE_CONFIG, OPENCLIP_CONFIG, PROCESSOR_CONFIG, TOKENIZER, TOKENIZER_CONFIG, TRANSFORMERS_CONFIG};
use super::layouts::{self, Layout};
use super::notice::Notice;
use super::sizes::Sizes;
use super::stored::TensorFile;
use crate::error::{Error, Result};
use crate::plain_text::utf8;
use crate::recipe::{PixelRecipe, Recipe};

/// Where a part of a recipe comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipeSource {
    /// A config file of this name next to the weights.
    Config(&'static str),
    /// The weights file itself.
    WeightsFile,
    /// Nothing says it, but only one family has such tensors.
    Family,
    /// Nothing says it.
    Assumed,
}

/// A recipe, and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) recipe: Recipe,
    /// Where activation, heads and all else of the towers come from.
    pub(super) towers_from: RecipeSource,
    /// Where the preparation of images comes from.
    pub(super) pixels_from: RecipeSource,
    pub(super) notices: Vec<Notice>,
    /// Whether texts are tokenized as a file next to the weights says, not as CLIP's.
    pub(super) brings_tokenizer: bool,
}

/// Finds the recipe of weights, and completes their sizes by heads and resolution. The config, if it comes from one, is
/// to be compared with the sizes once they are known to be those of a whole model.
///
/// # Errors
/// [`Error::Unsupported`] for what is not carried out.
pub(super) fn find(
    file: &TensorFile,
    layout: &'static Layout,
    folder: Option<&Path>,
    sizes: &mut Sizes,
) -> Result<(Found, Option<Described>)> {
    if let Some(written) = embedded::read(file)? {
        written.complete(sizes);
        return Ok((written.found(), None));
    }
    let (described, name, mut notices) = match folder {
        Some(folder) => describe(folder, layout)?,
        None => (None, "", Vec::new()),
    };
    let Some(mut described) = described else {
        if layouts::is_timm(layout) {
            return Err(timm::without_config(&file.path));
        }
        let mut found = assumed::recipe(file, layout, sizes);
        if let Some((pixels, from, more)) = folder.map(|folder| images(folder, sizes)).transpose()?.flatten() {
            (found.recipe.pixels, found.pixels_from) = (pixels, RecipeSource::Config(from));
            notices.extend(more);
        }
        found.notices.extend(notices);
        return Ok((found, None));
    };
    described.complete(sizes)?;
    let mut pixels_from = RecipeSource::Config(name);
    // Either library's config may have either name.
    if described.own.is_none() && described.is_of_transformers() {
        pixels_from = RecipeSource::Assumed;
        if let Some((pixels, from, more)) = folder.map(|folder| images(folder, sizes)).transpose()?.flatten() {
            (described.recipe.pixels, pixels_from) = (pixels, RecipeSource::Config(from));
            notices.extend(more);
        }
    }
    notices.append(&mut described.notices);
    let found = Found {
        recipe: described.recipe.clone(),
        towers_from: RecipeSource::Config(name),
        pixels_from,
        notices,
        brings_tokenizer: described.brings_tokenizer,
    };
    Ok((found, Some(described)))
}

/// Reads a config that belongs to no weights: open_clip's or transformers'.
///
/// # Errors
/// [`Error::Unsupported`] for what is not carried out. `None` if it is neither.
pub(super) fn of_new_model(file: &Path, json: &Value) -> Result<Option<Described>> {
    if openclip::is_one(json) {
        return openclip::read(file, json).map(Some);
    }
    match json.get("vision_config").is_some() {
        true => transformers::read(file, json).map(Some),
        false => Ok(None),
    }
}

/// The recipe that this program would read from a config, and from transformers' config of images, for weights of these
/// sizes.
///
/// # Errors
/// As [`find`].
pub(super) fn read_back(config: &Value, images: Option<&Value>, sizes: &Sizes) -> Result<Option<(Sizes, Recipe)>> {
    let Some(mut described) = of_new_model(Path::new(TRANSFORMERS_CONFIG), config)? else {
        return Ok(None);
    };
    let mut sizes = sizes.clone();
    described.complete(&mut sizes)?;
    if let Some(images) = images.and_then(Value::as_object) {
        let (pixels, _) = transformers::pixels(Path::new(IMAGE_CONFIG), "", images, sizes.image_resolution_px)?;
        described.recipe.pixels = pixels;
    }
    Ok(Some((sizes, described.recipe)))
}

/// The config that describes the towers, and its name.
type Describing = (Option<Described>, &'static str, Vec<Notice>);

/// Reads the config in a folder: of the library whose names the tensors have, else of the other one.
fn describe(folder: &Path, layout: &'static Layout) -> Result<Describing> {
    if !brings_tokenizer(folder) {
        check_tokenizer(folder)?;
    }
    let mut names = [OPENCLIP_CONFIG, TRANSFORMERS_CONFIG];
    if layouts::is_transformers(layout) {
        names.reverse();
    }
    let mut notices = Vec::new();
    for name in names {
        let Some((path, json)) = read_json(folder, name)? else {
            continue;
        };
        // Either name is used for either config.
        if openclip::is_one(&json) {
            return Ok((Some(openclip::read(&path, &json)?), name, notices));
        }
        if transformers::is_one(&json) {
            return Ok((Some(transformers::read(&path, &json)?), name, notices));
        }
        notices.push(Notice::NotAConfig { file: name.to_owned() });
    }
    Ok((None, "", notices))
}

/// The config of transformers' image processor, and its name.
fn images(folder: &Path, sizes: &Sizes) -> Result<Option<(PixelRecipe, &'static str, Vec<Notice>)>> {
    let side = sizes.image_resolution_px;
    if side == 0 {
        return Ok(None);
    }
    if let Some((path, json)) = read_json(folder, PROCESSOR_CONFIG)?
        && let Some(json) = transformers::image_processor(&path, &json)?
    {
        let (pixels, notices) = transformers::pixels(&path, "image_processor", json, side)?;
        return Ok(Some((pixels, PROCESSOR_CONFIG, notices)));
    }
    match read_json(folder, IMAGE_CONFIG)? {
        Some((path, json)) => {
            let empty = Map::new();
            let json = json.as_object().unwrap_or(&empty);
            let (pixels, notices) = transformers::pixels(&path, "", json, side)?;
            Ok(Some((pixels, IMAGE_CONFIG, notices)))
        }
        None => Ok(None),
    }
}

/// Refuses another tokenizer than CLIP's.
fn check_tokenizer(folder: &Path) -> Result<()> {
    let Some((path, json)) = read_json(folder, TOKENIZER_CONFIG)? else {
        return Ok(());
    };
    match json.get("tokenizer_class").and_then(Value::as_str) {
        Some(class) if !keys::CLIP_TOKENIZERS.contains(&class) => Err(Error::Unsupported {
            path,
            problem: format!("`tokenizer_class` is \"{class}\": a tokenizer other than CLIP's"),
            hint: None,
        }),
        Some(_) | None => Ok(()),
    }
}

/// The tokenizer that a model brings along.
///
/// # Errors
/// [`Error::Unsupported`] if it is missing.
pub(super) fn tokenizer(folder: Option<&Path>, weights: &Path) -> Result<PathBuf> {
    let path = folder.map(|folder| folder.join(TOKENIZER));
    path.filter(|path| path.is_file()).ok_or_else(|| Error::Unsupported {
        path: weights.to_owned(),
        problem: format!("it holds a MetaCLIP 2, which needs its own tokenizer: there is no `{TOKENIZER}` next to it"),
        hint: Some(format!("fetch `{TOKENIZER}` from where the weights are from").into()),
    })
}

/// Whether the config in a folder is that of a model that brings its tokenizer along.
pub(super) fn brings_tokenizer(folder: &Path) -> bool {
    model_type(folder).is_some_and(|name| transformers::brings_tokenizer(&name))
}

/// A JSON file of a folder, if there is one.
fn read_json(folder: &Path, name: &str) -> Result<Option<(PathBuf, Value)>> {
    let path = folder.join(name);
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::read(&path)(error)),
    };
    match serde_json::from_slice(&utf8(&text)) {
        Ok(json) => Ok(Some((path, json))),
        Err(error) => Err(Error::Unsupported {
            path,
            problem: format!("it is not JSON: {error}"),
            hint: None,
        }),
    }
}

/// The kind of model that `config.json` in a folder names, for messages about a file that is refused.
pub(super) fn model_type(folder: &Path) -> Option<String> {
    let (_, json) = read_json(folder, TRANSFORMERS_CONFIG).ok()??;
    json.get("model_type")?.as_str().map(str::to_owned)
}
