//! A CLIP's sizes, derived from the shapes of its tensors, and the list of tensors that a CLIP of these sizes has.
//!
//! Shapes are right and configs are not always: there are files with 77 rows whose config says 248, and the reverse. A
//! config is used only for what shapes don't show: heads, and pixels at the edge of an image that fill no patch.

use std::collections::BTreeSet;

use super::layouts::Layout;
use super::positions::{CLIP_CONTEXT_LENGTH, Stretching};
use super::stored::TensorFile;
use super::towers::Tower;

/// Widths, depths and lengths of both towers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Side of the square images that the image tower reads.
    pub image_resolution_px: usize,
    /// Side of a patch.
    pub patch_px: usize,
    /// Hidden dimension of the image tower.
    pub vision_width: usize,
    /// Blocks of the image tower.
    pub vision_layers: usize,
    /// Attention heads of the image tower.
    pub vision_heads: usize,
    /// Hidden dimension of the image tower's MLPs.
    pub vision_mlp_dim: usize,
    /// Hidden dimension of the text tower.
    pub text_width: usize,
    /// Blocks of the text tower.
    pub text_layers: usize,
    /// Attention heads of the text tower.
    pub text_heads: usize,
    /// Hidden dimension of the text tower's MLPs.
    pub text_mlp_dim: usize,
    /// Dimension of the space that both towers project to.
    pub embed_dim: usize,
    /// Number of token ids.
    pub vocab_size: usize,
    /// Largest number of tokens of a text, after stretching.
    pub context_length: usize,
    /// Rows of the text position table as stored.
    pub stored_context_length: usize,
}

/// The number of ids of CLIP's tokenizer.
pub(super) const TOKENIZER_IDS: usize = 49408;

/// Width of an attention head in most CLIPs.
pub(super) const HEAD_WIDTH: usize = 64;

/// Widths of the image towers of ViT-H, g, bigG and e, which have 16 heads (open_clip, `model_configs`).
pub(super) const FAMILIES_OF_16_HEADS: [usize; 4] = [1280, 1408, 1664, 1792];

/// Heads of an image tower by its width alone; 0 if the width gives none, and a config is needed.
pub(super) fn vision_heads_by_width(width: usize) -> usize {
    match FAMILIES_OF_16_HEADS.contains(&width) {
        true => 16,
        false => heads_by_width(width),
    }
}

/// Heads of a tower by its width alone, as in upstream's `build_model`; 0 if the width gives none, and a config is needed.
fn heads_by_width(width: usize) -> usize {
    match width.is_multiple_of(HEAD_WIDTH) {
        true => width / HEAD_WIDTH,
        false => 0,
    }
}

/// More layers than any ViT has; limits the search for the last one.
const LAYERS_MAX: usize = 256;
/// The parameters of every block; a block exists if one of them does.
const BLOCK_PARAMETERS: [&str; 12] = [
    "attn.in_proj_weight",
    "attn.in_proj_bias",
    "attn.out_proj.weight",
    "attn.out_proj.bias",
    "ln_1.weight",
    "ln_1.bias",
    "mlp.c_fc.weight",
    "mlp.c_fc.bias",
    "mlp.c_proj.weight",
    "mlp.c_proj.bias",
    "ln_2.weight",
    "ln_2.bias",
];

/// The shapes of a file's tensors, under upstream's names.
pub(super) struct Shapes<'a> {
    pub(super) file: &'a TensorFile,
    pub(super) layout: &'static Layout,
}

impl Shapes<'_> {
    /// The shape of upstream's tensor, if the file has its parts.
    pub(super) fn of(&self, name: &str) -> Option<Vec<usize>> {
        (self.layout.assembly)(self.file, name).shape(self.file)
    }

    /// The length of an axis of upstream's tensor, if it has `n_axes`.
    pub(super) fn axis(&self, name: &str, n_axes: usize, axis: usize) -> Option<usize> {
        // The other axes of an empty tensor can be anything.
        self.of(name)
            .filter(|shape| shape.len() == n_axes && !shape.contains(&0))
            .map(|shape| shape[axis])
    }

    fn has_any_part(&self, name: &str) -> bool {
        (self.layout.assembly)(self.file, name)
            .parts()
            .iter()
            .any(|part| self.file.tensors.contains_key(*part))
    }

    /// One more than the last block that exists in part, so that a missing block between others is noticed.
    fn layers(&self, tower: &str) -> usize {
        let numbers: BTreeSet<usize> = self
            .file
            .tensors
            .keys()
            .flat_map(|name| name.split('.').filter_map(|word| word.parse().ok()))
            .filter(|number| *number < LAYERS_MAX)
            .collect();
        let has_layer = |layer: &usize| {
            BLOCK_PARAMETERS
                .iter()
                .any(|p| self.has_any_part(&format!("{tower}transformer.resblocks.{layer}.{p}")))
        };
        numbers.into_iter().rev().find(has_layer).map_or(0, |last| last + 1)
    }

    /// Whether the file holds a second, trained position table.
    pub(super) fn has_residual_positions(&self) -> bool {
        self.has_any_part("positional_embedding_res")
    }

    /// Whether anything of a tower exists.
    pub(super) fn has(&self, tower: Tower) -> bool {
        let (prefix, embedding) = match tower {
            Tower::Image => ("visual.", "visual.conv1.weight"),
            Tower::Text => ("", "token_embedding.weight"),
        };
        self.layers(prefix) > 0 || self.has_any_part(embedding)
    }

    /// Sizes by shapes; 0 if no tensor has this size.
    pub(super) fn sizes(&self, stretching: Option<Stretching>) -> Sizes {
        let tower = |name: &str, witnesses: &[Witness]| {
            let layers = self.layers(name);
            (self.most_common(witnesses), layers, self.mlp_dim(name, layers))
        };
        let (vision_width, vision_layers, vision_mlp_dim) = tower("visual.", &VISION_WIDTH);
        let (text_width, text_layers, text_mlp_dim) = tower("", &TEXT_WIDTH);
        let patch_px = self.most_common(&[("visual.conv1.weight", 4, 3)]);
        let n_positions = self.most_common(&[("visual.positional_embedding", 2, 0)]);
        let stored_context_length = self.most_common(&[("positional_embedding", 2, 0)]);
        let is_clip_table = stored_context_length == CLIP_CONTEXT_LENGTH && !self.has_residual_positions();
        Sizes {
            image_resolution_px: n_positions.saturating_sub(1).isqrt().saturating_mul(patch_px),
            patch_px,
            vision_width,
            vision_layers,
            vision_heads: vision_heads_by_width(vision_width),
            vision_mlp_dim,
            text_width,
            text_layers,
            text_heads: heads_by_width(text_width),
            text_mlp_dim,
            embed_dim: self.most_common(&[("text_projection", 2, 1), ("visual.proj", 2, 1)]),
            vocab_size: self.most_common(&[("token_embedding.weight", 2, 0)]),
            context_length: match stretching {
                Some(stretching) if is_clip_table => stretching.stretched_rows(stored_context_length),
                _ => stored_context_length,
            },
            stored_context_length,
        }
    }

    fn mlp_dim(&self, tower: &str, n_layers: usize) -> usize {
        let block = |layer: usize| format!("{tower}transformer.resblocks.{layer}.mlp");
        most_common((0..n_layers).flat_map(|layer| {
            [
                self.axis(&format!("{}.c_fc.weight", block(layer)), 2, 0),
                self.axis(&format!("{}.c_fc.bias", block(layer)), 1, 0),
                self.axis(&format!("{}.c_proj.weight", block(layer)), 2, 1),
            ]
        }))
    }

    fn most_common(&self, witnesses: &[Witness]) -> usize {
        most_common(
            witnesses
                .iter()
                .map(|(name, n_axes, axis)| self.axis(name, *n_axes, *axis)),
        )
    }
}

/// Where a size shows: a tensor, how many axes it has, and which of them it is.
type Witness = (&'static str, usize, usize);

// A width shows in several tensors, and what most of them say is taken: so one misshapen tensor is the one that is
// named, and not all the others because they differ from it.
const VISION_WIDTH: [Witness; 5] = [
    ("visual.conv1.weight", 4, 0),
    ("visual.class_embedding", 1, 0),
    ("visual.positional_embedding", 2, 1),
    ("visual.ln_pre.weight", 1, 0),
    ("visual.ln_post.weight", 1, 0),
];
const TEXT_WIDTH: [Witness; 5] = [
    ("token_embedding.weight", 2, 1),
    ("positional_embedding", 2, 1),
    ("ln_final.weight", 1, 0),
    ("ln_final.bias", 1, 0),
    ("text_projection", 2, 0),
];

/// The most frequent number, the first one of several; 0 if there is none.
fn most_common(given: impl Iterator<Item = Option<usize>>) -> usize {
    let mut counts: Vec<(usize, usize)> = Vec::new();
    for number in given.flatten() {
        match counts.iter_mut().find(|(known, _)| *known == number) {
            Some((_, count)) => *count += 1,
            None => counts.push((number, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max();
    counts
        .iter()
        .find(|(_, count)| Some(*count) == most)
        .map_or(0, |(number, _)| *number)
}

impl Sizes {
    /// Heads of both towers by their widths alone.
    pub(super) fn heads_by_width(&self) -> [usize; 2] {
        [
            vision_heads_by_width(self.vision_width),
            heads_by_width(self.text_width),
        ]
    }

    /// Patches per side.
    pub fn grid(&self) -> usize {
        self.image_resolution_px.checked_div(self.patch_px).unwrap_or(0)
    }

    /// Rows of an image in the image tower: its patches and the class token.
    pub fn image_tokens(&self) -> usize {
        self.grid() * self.grid() + 1
    }

    /// Every tensor of a CLIP of these sizes, with its shape, in upstream's layout; without `positional_embedding_res`.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (vision, text, embed) = (self.vision_width, self.text_width, self.embed_dim);
        let patch = self.patch_px;
        let n_positions = match self.grid() {
            0 => 0, // unknown, like other zeros of a file that is refused
            grid => grid * grid + 1,
        };
        let mut list: Vec<(String, Vec<usize>)> = [
            ("positional_embedding", vec![self.stored_context_length, text]),
            ("token_embedding.weight", vec![self.vocab_size, text]),
            ("ln_final.weight", vec![text]),
            ("ln_final.bias", vec![text]),
            ("text_projection", vec![text, embed]),
            ("logit_scale", vec![]),
            ("visual.class_embedding", vec![vision]),
            ("visual.positional_embedding", vec![n_positions, vision]),
            ("visual.conv1.weight", vec![vision, 3, patch, patch]),
            ("visual.ln_pre.weight", vec![vision]),
            ("visual.ln_pre.bias", vec![vision]),
            ("visual.ln_post.weight", vec![vision]),
            ("visual.ln_post.bias", vec![vision]),
            ("visual.proj", vec![vision, embed]),
        ]
        .map(|(name, shape)| (name.to_owned(), shape))
        .into();
        for layer in 0..self.vision_layers {
            push_block(
                &mut list,
                &format!("visual.transformer.resblocks.{layer}"),
                vision,
                self.vision_mlp_dim,
            );
        }
        for layer in 0..self.text_layers {
            push_block(
                &mut list,
                &format!("transformer.resblocks.{layer}"),
                text,
                self.text_mlp_dim,
            );
        }
        list
    }
}

fn push_block(list: &mut Vec<(String, Vec<usize>)>, prefix: &str, width: usize, mlp_dim: usize) {
    for parameter in BLOCK_PARAMETERS {
        let shape = match parameter {
            "attn.in_proj_weight" => vec![3 * width, width],
            "attn.in_proj_bias" => vec![3 * width],
            "attn.out_proj.weight" => vec![width, width],
            "mlp.c_fc.weight" => vec![mlp_dim, width],
            "mlp.c_fc.bias" => vec![mlp_dim],
            "mlp.c_proj.weight" => vec![width, mlp_dim],
            _ => vec![width],
        };
        list.push((format!("{prefix}.{parameter}"), shape));
    }
}
