//! What is assumed about weights without a config.

use super::described::name_of;
use super::{Found, RecipeSource};
use crate::recipe::{Activation, Recipe};
use crate::weights::layouts::{self, Layout};
use crate::weights::notice::Notice;
use crate::weights::sizes::{FAMILIES_OF_16_HEADS, Shapes, Sizes};
use crate::weights::stored::TensorFile;

/// The recipe, with a notice if other models have tensors of these names and shapes too.
pub(super) fn recipe(file: &TensorFile, layout: &'static Layout, sizes: &Sizes) -> Found {
    let activation = activation(sizes);
    let is_known = is_of_openai(file, layout);
    let from = match is_known {
        true => RecipeSource::Family,
        false => RecipeSource::Assumed,
    };
    let notice = Notice::Assumed {
        file: name_of(&file.path),
        activation,
        vision_heads: sizes.vision_heads,
        text_heads: sizes.text_heads,
    };
    Found {
        recipe: Recipe::clip(activation),
        towers_from: from.clone(),
        pixels_from: from,
        notices: if is_known { Vec::new() } else { vec![notice] },
        brings_tokenizer: false,
    }
}

/// The activation of models of this width.
fn activation(sizes: &Sizes) -> Activation {
    match FAMILIES_OF_16_HEADS.contains(&sizes.vision_width) {
        // open_clip's own; OpenAI has none of this width.
        true => Activation::Gelu,
        false => Activation::QuickGelu,
    }
}

/// Whether another activation than CLIP's is assumed of models of these sizes.
pub(in crate::weights) fn is_assumed_otherwise(sizes: &Sizes) -> bool {
    activation(sizes) != Activation::default()
}

/// Whether only OpenAI's CLIP and what was made from it has such tensors: Long-CLIP's second table, FG-CLIP's tables, GmP's
/// factors, nano's factors, or the sizes in OpenAI's archives.
fn is_of_openai(file: &TensorFile, layout: &'static Layout) -> bool {
    let shapes = Shapes { file, layout };
    shapes.has_residual_positions()
        || layouts::is_factored(layout)
        || layouts::is_fgclip(layout)
        || file.tensors.contains_key("input_resolution")
}
