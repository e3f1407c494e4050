//! What is wrong with a file that isn't a whole CLIP: everything at once, the first few of each kind by name.

use std::collections::BTreeSet;

use super::checkpoint::{LoadOptions, Surplus};
use super::layouts::is_bookkeeping;
use super::sizes::{HEAD_WIDTH, Shapes, Sizes};
use super::stored::TensorFile;
use crate::error::{Error, Result};

/// Named problems of one kind; the others are counted.
const NAMED_MAX: usize = 5;

/// An error for a file none of whose names is a CLIP's.
pub(super) fn not_a_clip(file: &TensorFile) -> Error {
    let names: Vec<&str> = file.tensors.keys().map(String::as_str).collect();
    Error::NotWeights {
        path: file.path.clone(),
        expected: "weights of a CLIP (names as `visual.conv1.weight` or `vision_model.embeddings.class_embedding`)"
            .into(),
        found: match names.len() {
            0 => "no tensors".into(),
            n => format!(
                "{n} tensors, {}",
                listed(names.into_iter().map(|name| format!("`{name}`")).collect()).join(", ")
            ),
        },
    }
}

/// Sizes by shapes, or the reason why the shapes don't tell.
pub(super) fn sizes(shapes: &Shapes<'_>, options: &LoadOptions) -> Result<Sizes> {
    if let Some(tower) = shapes.missing_tower() {
        let problem = format!("no {tower}: a CLIP has both a text and an image tower");
        let hint = "this is a part of a CLIP, for programs that need one tower; use a file with both";
        return Err(bad(shapes, vec![problem], Some(hint)));
    }
    shapes.sizes(options.stretching).map_err(|name| {
        let problem = match shapes.of(name) {
            Some(shape) => format!("`{name}` has the shape {shape:?}, another number of axes than a CLIP's"),
            None => format!("`{name}` is missing"),
        };
        bad(
            shapes,
            vec![problem],
            Some("the file is incomplete or another model: fetch or save it again"),
        )
    })
}

/// Compares all tensors with those that a CLIP of these sizes has.
pub(super) fn check(shapes: &Shapes<'_>, sizes: &Sizes, options: &LoadOptions) -> Result<()> {
    let mut expected = sizes.tensors();
    if shapes.has_residual_positions() {
        expected.push((
            "positional_embedding_res".into(),
            vec![sizes.stored_context_length, sizes.text_width],
        ));
    }
    let (mut missing, mut misshapen, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (name, shape) in &expected {
        let making = (shapes.layout.making)(shapes.file, name);
        let absent: Vec<&str> = making
            .parts()
            .into_iter()
            .filter(|part| !shapes.file.tensors.contains_key(*part))
            .collect();
        used.extend(making.parts().into_iter().map(str::to_owned));
        if !absent.is_empty() {
            missing.extend(absent.iter().map(|part| format!("`{part}`, expected {shape:?}")));
            continue;
        }
        match making.shape(shapes.file) {
            Some(found) if found == *shape || is_one_number(&found, shape) => {}
            found => misshapen.push(misshape(&making.parts(), shape, found)),
        }
    }
    let surplus: Vec<String> = match options.surplus {
        Surplus::Ignore => Vec::new(),
        Surplus::Refuse => {
            let unknown = shapes
                .file
                .tensors
                .keys()
                .filter(|name| !used.contains(*name) && !is_bookkeeping(name));
            unknown.map(|name| format!("`{name}`")).collect()
        }
    };
    let mut problems = odd_sizes(sizes);
    let hint = advice(&missing, &misshapen, &surplus);
    for (kind, found) in [
        ("missing", missing),
        ("of another shape", misshapen),
        ("not a CLIP's", surplus),
    ] {
        if !found.is_empty() {
            problems.push(format!("{} {kind}: {}", found.len(), listed(found).join(", ")));
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(bad(shapes, problems, hint))
    }
}

/// A scalar may be stored as one number with axes.
fn is_one_number(found: &[usize], expected: &[usize]) -> bool {
    expected.is_empty() && found.iter().product::<usize>() == 1
}

fn misshape(parts: &[&str], expected: &[usize], found: Option<Vec<usize>>) -> String {
    let name = parts
        .iter()
        .map(|part| format!("`{part}`"))
        .collect::<Vec<_>>()
        .join(" with ");
    match found {
        Some(found) => format!("{name}, expected {expected:?}, found {found:?}"),
        None => format!("{name}, expected {expected:?} from them, found shapes that don't fit each other"),
    }
}

fn advice(missing: &[String], misshapen: &[String], surplus: &[String]) -> Option<&'static str> {
    match (missing.is_empty(), misshapen.is_empty(), surplus.is_empty()) {
        (true, true, false) => Some("if the rest is what you want, `--ignore-surplus` leaves these alone"),
        (false, ..) => Some("the file is incomplete: fetch or save it again"),
        (true, false, _) => Some("the file mixes models of different sizes: fetch or save it again"),
        (true, true, true) => None,
    }
}

/// Sizes that no CLIP has.
fn odd_sizes(sizes: &Sizes) -> Vec<String> {
    let mut problems = Vec::new();
    for (tower, width, heads) in [
        ("image", sizes.vision_width, sizes.vision_heads),
        ("text", sizes.text_width, sizes.text_heads),
    ] {
        if heads == 0
            || !width.is_multiple_of(heads)
            || (heads == width / HEAD_WIDTH && !width.is_multiple_of(HEAD_WIDTH))
        {
            problems.push(format!(
                "the {tower} tower is {width} wide, not a multiple of {HEAD_WIDTH}, and no config.json beside it names its heads"
            ));
        }
    }
    if sizes.image_resolution_px == 0 || sizes.vision_layers == 0 || sizes.text_layers == 0 || sizes.embed_dim == 0 {
        problems.push(format!(
            "{} px pictures, {} and {} blocks, {} numbers an embedding: none may be 0",
            sizes.image_resolution_px, sizes.vision_layers, sizes.text_layers, sizes.embed_dim
        ));
    }
    problems
}

/// The first few, and how many more.
fn listed(mut all: Vec<String>) -> Vec<String> {
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

fn bad(shapes: &Shapes<'_>, problems: Vec<String>, hint: Option<&str>) -> Error {
    Error::BadTensors {
        path: shapes.file.path.clone(),
        layout: shapes.layout.name.into(),
        problems,
        hint: hint.map(str::to_owned),
    }
}
