//! Describes a model by its tensors and the config next to them, for people and as JSON.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::hub::{self, Checksum};
use super::names::{ModelSource, Resolved};
use super::{Checkpoint, RecipeSource, TextPositions, weights_files};
use crate::error::{Result, size_in_words};
use crate::recipe::{
    Centre, Colours, Filter, PixelRecipe, Recipe, Rescale, Resize, TextAttention, TextPooling, VisionPooling,
};

/// A weights file, with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HashedFile {
    /// Where it is.
    pub path: String,
    /// How large it is.
    pub size_bytes: u64,
    /// Its hash, in hexadecimal digits.
    pub sha256: String,
}

impl HashedFile {
    /// The hash of a file in the cache is known; another file is read.
    ///
    /// # Errors
    /// [`Error::Read`](crate::Error::Read).
    pub fn of(path: &Path) -> Result<Self> {
        let sha256 = match hub::recorded_checksum(path) {
            Some(Checksum::Sha256(hex)) => hex,
            Some(Checksum::GitBlob(_)) | None => hub::file_sha256(path, |_| ())?.hex().to_owned(),
        };
        Ok(HashedFile {
            path: path.display().to_string(),
            size_bytes: fs::metadata(path).map_or(0, |meta| meta.len()),
            sha256,
        })
    }
}

/// What is known of a model without computing with it.
#[derive(Debug, Serialize)]
pub struct Description {
    name: String,
    path: Option<String>,
    files: Vec<HashedFile>,
    format: String,
    layout: &'static str,
    number_types: Vec<String>,
    image_resolution_px: usize,
    patch_px: usize,
    vision_width: usize,
    vision_layers: usize,
    vision_heads: usize,
    text_width: usize,
    text_layers: usize,
    text_heads: usize,
    embed_dim: usize,
    vocab_size: usize,
    context_length: usize,
    positions: Positions,
    /// The file of the tokenizer, if it is not CLIP's.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokenizer: Option<String>,
    /// Of both towers, in one word if they have the same.
    activation: String,
    recipe: Recipe,
    /// Where activations, heads and all else of the towers come from.
    towers_from: String,
    /// Where the preparation of images comes from.
    pixels_from: String,
    parameters: Parameters,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<TensorInfo>>,
}

/// The table of text positions.
#[derive(Debug, Serialize)]
struct Positions {
    stored_rows: usize,
    /// Whether rows from 20 on are in a second table, as in Long-CLIP's releases.
    residual_table: bool,
    stretched: bool,
    /// Which of two tables are used, if not both.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<TextPositions>,
}

/// How many numbers the towers have.
#[derive(Debug, Serialize)]
struct Parameters {
    image: usize,
    text: usize,
    total: usize,
}

#[derive(Debug, Serialize)]
struct TensorInfo {
    name: String,
    shape: Vec<usize>,
    stored_type: String,
}

impl Description {
    /// Describes an open model; its files are read for their hashes.
    ///
    /// # Errors
    /// [`Error::Read`](crate::Error::Read).
    pub fn of(found: &Resolved, checkpoint: &Checkpoint) -> Result<Self> {
        let sizes = checkpoint.sizes();
        let tensors = tensors(checkpoint);
        let types = tensors.iter().flat_map(|tensor| tensor.stored_type.split(" and "));
        let mut number_types: Vec<String> = types.map(str::to_owned).collect();
        number_types.sort();
        number_types.dedup();
        let path = match &found.source {
            ModelSource::Nano => None,
            ModelSource::Path(path) => Some(path.as_path()),
        };
        Ok(Description {
            name: found.name.clone(),
            path: path.map(|path| path.display().to_string()),
            files: path.map_or(Ok(Vec::new()), files)?,
            format: checkpoint.format().to_string(),
            layout: checkpoint.layout(),
            number_types,
            image_resolution_px: sizes.image_resolution_px,
            patch_px: sizes.patch_px,
            vision_width: sizes.vision_width,
            vision_layers: sizes.vision_layers,
            vision_heads: sizes.vision_heads,
            text_width: sizes.text_width,
            text_layers: sizes.text_layers,
            text_heads: sizes.text_heads,
            embed_dim: sizes.embed_dim,
            vocab_size: sizes.vocab_size,
            context_length: sizes.context_length,
            positions: Positions {
                stored_rows: sizes.stored_context_length,
                residual_table: checkpoint.has_residual_positions(),
                stretched: sizes.context_length != sizes.stored_context_length,
                used: Some(checkpoint.positions()).filter(|used| *used != TextPositions::Joined),
            },
            tokenizer: checkpoint.tokenizer().map(|path| path.display().to_string()),
            activation: activations(checkpoint.recipe()),
            recipe: checkpoint.recipe().clone(),
            towers_from: source(checkpoint.towers_from()),
            pixels_from: source(checkpoint.pixels_from()),
            parameters: parameters(&tensors),
            tensors: Some(tensors),
        })
    }

    /// The same without the list of tensors.
    #[must_use]
    pub fn without_tensors(self) -> Self {
        Description { tensors: None, ..self }
    }

    /// In words, by name. `computed_with` is the instruction set in use.
    pub fn rows(&self, computed_with: String) -> Vec<(&'static str, String)> {
        let million = |n: usize| format!("{:.1}", n as f64 / 1e6);
        let Parameters { image, text, total } = self.parameters;
        let mut rows = vec![
            ("model", self.name.clone()),
            ("where", self.path.clone().unwrap_or_else(|| "built in".into())),
            ("format", self.format_in_words()),
            (
                "image",
                format!(
                    "{} px in patches of {}, width {}, {} layers, {} heads",
                    self.image_resolution_px, self.patch_px, self.vision_width, self.vision_layers, self.vision_heads
                ),
            ),
            (
                "text",
                format!(
                    "{} tokens, vocabulary {}, width {}, {} layers, {} heads",
                    self.context_length, self.vocab_size, self.text_width, self.text_layers, self.text_heads
                ),
            ),
            ("positions", positions(&self.positions, self.context_length)),
            ("embedding", embedding(self)),
            ("activation", format!("{}, {}", self.activation, self.towers_from)),
            ("layer norms", epsilons(&self.recipe)),
            ("read at", read_at(&self.recipe)),
            ("pixels", pixels(self)),
            ("computed with", computed_with),
            (
                "parameters",
                format!(
                    "{} million: image {}, text {}",
                    million(total),
                    million(image),
                    million(text)
                ),
            ),
        ];
        rows.extend(self.tokenizer.iter().map(|path| ("tokenizer", path.clone())));
        for file in &self.files {
            rows.push(("file", format!("{} ({})", file.path, size_in_words(file.size_bytes))));
            rows.push(("sha256", file.sha256.clone()));
        }
        rows
    }

    /// Each tensor's name, shape and stored type.
    pub fn tensor_rows(&self) -> Vec<[String; 3]> {
        let row = |tensor: &TensorInfo| {
            [
                tensor.name.clone(),
                format!("{:?}", tensor.shape),
                tensor.stored_type.clone(),
            ]
        };
        self.tensors.iter().flatten().map(row).collect()
    }

    fn format_in_words(&self) -> String {
        let types = self.number_types.join(", ");
        format!("{}, {types}, under the names of: {}", self.format, self.layout)
    }
}

fn tensors(checkpoint: &Checkpoint) -> Vec<TensorInfo> {
    let with_type = |(name, shape): (String, Vec<usize>)| TensorInfo {
        stored_type: checkpoint.stored_type(&name).unwrap_or_else(|| "unknown".into()),
        name,
        shape,
    };
    checkpoint.tensors().into_iter().map(with_type).collect()
}

fn parameters(tensors: &[TensorInfo]) -> Parameters {
    let count = |is_counted: fn(&str) -> bool| -> usize {
        let counted = tensors.iter().filter(|tensor| is_counted(&tensor.name));
        counted.map(|tensor| tensor.shape.iter().product::<usize>()).sum()
    };
    let image = count(|name| name.starts_with("visual."));
    let total = count(|_| true);
    Parameters {
        image,
        // The temperature is in neither tower.
        text: total - image - count(|name| name == "logit_scale"),
        total,
    }
}

/// The weights files of a model, with their hashes.
fn files(path: &Path) -> Result<Vec<HashedFile>> {
    weights_files(path)?.iter().map(|file| HashedFile::of(file)).collect()
}

fn positions(positions: &Positions, context_length: usize) -> String {
    let rows = positions.stored_rows;
    if positions.used.is_some() {
        return format!("{rows}, the first of several tables");
    }
    match (positions.stretched, positions.residual_table) {
        (true, _) => format!("{rows} as stored, stretched to {context_length} when loaded"),
        (false, true) => format!("{rows}, the first 20 fixed, the others from a table of their own"),
        (false, false) => format!("{rows}, one table"),
    }
}

fn source(source: &RecipeSource) -> String {
    match source {
        RecipeSource::Config(name) => format!("by {name}"),
        RecipeSource::WeightsFile => "by the weights file".into(),
        RecipeSource::Family => "as in OpenAI's CLIP, from which these tensors are".into(),
        RecipeSource::Assumed => "assumed, since no config says it".into(),
    }
}

/// One value for both towers, or one for each.
fn of_both(image: String, text: String) -> String {
    match image == text {
        true => image,
        false => format!("{image} for images, {text} for texts"),
    }
}

fn activations(recipe: &Recipe) -> String {
    of_both(recipe.vision.activation.to_string(), recipe.text.activation.to_string())
}

fn embedding(described: &Description) -> String {
    let biased = match (
        described.recipe.vision.biased_projection,
        described.recipe.text.biased_projection,
    ) {
        (false, false) => "",
        (true, false) => ", images with a bias",
        (false, true) => ", texts with a bias",
        (true, true) => ", with a bias",
    };
    format!("{}{biased}", described.embed_dim)
}

fn epsilons(recipe: &Recipe) -> String {
    let epsilons = of_both(recipe.vision.epsilon.to_string(), recipe.text.epsilon.to_string());
    let first = match recipe.vision.without_first_norm {
        true => ", none before the first block of images",
        false => "",
    };
    format!("{epsilons} is added to a variance{first}")
}

fn read_at(recipe: &Recipe) -> String {
    let image = match recipe.vision.pooling {
        VisionPooling::ClassToken => "images at the class token",
        VisionPooling::MeanOfNormalised => "images as the mean of all patches, each normalised first",
        VisionPooling::NormalisedMean => "images as the mean of all patches, normalised afterwards",
    };
    let text = match recipe.text.pooling {
        TextPooling::LargestId => "the end token".into(),
        TextPooling::Id(id) => format!("the first token {id}"),
        TextPooling::First => "the first token".into(),
        TextPooling::Last => "the last position".into(),
    };
    let mask = match recipe.text.attention {
        TextAttention::Causal => "",
        TextAttention::Full => ", where all tokens see each other",
    };
    format!("{image}, texts at {text}{mask}")
}

fn pixels(described: &Description) -> String {
    let (pixels, side) = (&described.recipe.pixels, described.image_resolution_px);
    let size = match pixels.resize {
        Resize::Shortest => format!("short side to {side}"),
        Resize::ShortestTo(short) => format!("short side to {short}"),
        Resize::Longest { fill } => format!("long side to {side}, filled with {fill}"),
        Resize::Squash => format!("squashed to {side}x{side}"),
        Resize::SquashTo { height, width } => format!("squashed to {width}x{height}"),
        Resize::Off => "not resized".into(),
    };
    let filter = match pixels.filter {
        Filter::Bicubic => "bicubic",
        Filter::Bilinear => "bilinear",
    };
    let crop = match pixels.centre {
        Centre::Torchvision => "torchvision",
        Centre::Transformers => "transformers",
    };
    let colours = match pixels.colours {
        Colours::ConvertedLast => "after the resize",
        Colours::ConvertedFirst => "over white before the resize",
    };
    format!(
        "{size} ({filter}), cropped as by {crop}, RGB {colours}, {}, {}",
        normalisation(pixels),
        described.pixels_from
    )
}

fn normalisation(pixels: &PixelRecipe) -> String {
    let numbers = |values: [f32; 3]| values.map(|value| value.to_string()).join(" ");
    let factor = match pixels.rescale {
        Rescale::By255 => "1/255".into(),
        Rescale::Factor(factor) if factor == 1.0 / 255.0 => "1/255".into(),
        Rescale::Factor(factor) => factor.to_string(),
    };
    format!(
        "times {factor}, mean {}, std {}",
        numbers(pixels.mean),
        numbers(pixels.std)
    )
}
