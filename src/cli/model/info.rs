//! `longclip model info`: describes a model by its tensors and the config next to them.

use std::path::Path;

use longclip::output::cells::columns;
use longclip::recipe::{
    Centre, Colours, Filter, PixelRecipe, Recipe, Rescale, Resize, TextAttention, TextPooling, VisionPooling,
};
use longclip::weights::names::{ModelSource, Resolved, known_names};
use longclip::weights::{Checkpoint, RecipeSource, TextPositions, weights_files};
use serde::Serialize;

use super::{HashedFile, open};
use crate::cli::Outcome;
use crate::cli::find_model::{find_model, size};
use crate::cli::model_flags::ReadingFlags;
use crate::cli::named::text_or;
use crate::cli::print_format::PrintFormat;
use crate::cli::report::{Exit, Report};
use crate::cli::version::instruction_set;

const EXAMPLES: &str = "\
Examples:
  longclip model info
  longclip model info longclip-b --tensors
  longclip model info checkpoints/longclip-B.pt --format json";

/// Show a model's sizes, layout, recipe, parameters and hashes
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES
)]
pub(super) struct Args {
    /// A name, a file, a folder, or OWNER/REPO
    ///
    /// As `--model` of other commands takes it [default: the model that they use]. Example: `longclip model info
    /// longclip-b`
    #[arg(value_parser = text_or(known_names), hide_possible_values = true)]
    model: Option<String>,
    /// Also list each tensor with its shape and type
    #[arg(long)]
    tensors: bool,
    /// table or json
    ///
    /// Example: `--format json`
    #[arg(short, long, default_value = "table")]
    format: PrintFormat,
    #[command(flatten)]
    reading: ReadingFlags,
}

#[derive(Serialize)]
struct Info {
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
#[derive(Serialize)]
struct Positions {
    stored_rows: usize,
    /// Whether rows from 20 on are in a second table, as in Long-CLIP's releases.
    residual_table: bool,
    stretched: bool,
    /// Which of two tables are used, if not both.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<TextPositions>,
}

#[derive(Serialize)]
struct Parameters {
    image: usize,
    text: usize,
    total: usize,
}

#[derive(Serialize)]
struct TensorInfo {
    name: String,
    shape: Vec<usize>,
    stored_type: String,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let found = find_model(args.model.as_deref(), report)?;
    let checkpoint = open(&found, args.reading, report)?;
    let info = info(&found, &checkpoint, args)?;
    args.format.print(|| table(&info), || &info)?;
    Ok(Exit::Done)
}

fn info(found: &Resolved, checkpoint: &Checkpoint, args: &Args) -> longclip::Result<Info> {
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
    Ok(Info {
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
        tensors: args.tensors.then_some(tensors),
    })
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
    let count = |tensor: &TensorInfo| tensor.shape.iter().product::<usize>();
    let total = tensors.iter().map(count).sum();
    let image = tensors
        .iter()
        .filter(|tensor| tensor.name.starts_with("visual."))
        .map(count)
        .sum();
    // The temperature is in neither tower.
    let shared: usize = tensors
        .iter()
        .filter(|tensor| tensor.name == "logit_scale")
        .map(count)
        .sum();
    Parameters {
        image,
        text: total - image - shared,
        total,
    }
}

/// The weights files of a model, with their hashes.
fn files(path: &Path) -> longclip::Result<Vec<HashedFile>> {
    weights_files(path)?.iter().map(|file| HashedFile::of(file)).collect()
}

fn table(info: &Info) -> String {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let million = |n: usize| format!("{:.1}", n as f64 / 1e6);
    let types = info.number_types.join(", ");
    let mut rows = vec![
        row("model", info.name.clone()),
        row("where", info.path.clone().unwrap_or_else(|| "built in".into())),
        row(
            "format",
            format!("{}, {types}, under the names of: {}", info.format, info.layout),
        ),
        row(
            "image",
            format!(
                "{} px in patches of {}, width {}, {} layers, {} heads",
                info.image_resolution_px, info.patch_px, info.vision_width, info.vision_layers, info.vision_heads
            ),
        ),
        row(
            "text",
            format!(
                "{} tokens, vocabulary {}, width {}, {} layers, {} heads",
                info.context_length, info.vocab_size, info.text_width, info.text_layers, info.text_heads
            ),
        ),
        row("positions", positions(&info.positions, info.context_length)),
        row("embedding", embedding(info)),
        row("activation", format!("{}, {}", info.activation, info.towers_from)),
        row("layer norms", epsilons(&info.recipe)),
        row("read at", read_at(&info.recipe)),
        row("pixels", pixels(info)),
        row("computed with", instruction_set()),
        row(
            "parameters",
            format!(
                "{} million: image {}, text {}",
                million(info.parameters.total),
                million(info.parameters.image),
                million(info.parameters.text)
            ),
        ),
    ];
    rows.extend(info.tokenizer.iter().map(|path| row("tokenizer", path.clone())));
    for file in &info.files {
        rows.push(row("file", format!("{} ({})", file.path, size(file.size_bytes))));
        rows.push(row("sha256", file.sha256.clone()));
    }
    let tensors = info.tensors.iter().flatten();
    let tensors: Vec<_> = tensors
        .map(|tensor| {
            vec![
                tensor.name.clone(),
                format!("{:?}", tensor.shape),
                tensor.stored_type.clone(),
            ]
        })
        .collect();
    columns(&rows) + &columns(&tensors)
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

fn embedding(info: &Info) -> String {
    let biased = match (info.recipe.vision.biased_projection, info.recipe.text.biased_projection) {
        (false, false) => "",
        (true, false) => ", images with a bias",
        (false, true) => ", texts with a bias",
        (true, true) => ", with a bias",
    };
    format!("{}{biased}", info.embed_dim)
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

fn pixels(info: &Info) -> String {
    let (pixels, side) = (&info.recipe.pixels, info.image_resolution_px);
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
        info.pixels_from
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
