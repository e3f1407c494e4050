//! A CLIP's sizes, read off the shapes of its tensors, and the list of tensors that a CLIP of these sizes has.
//!
//! Shapes never lie, configs do (FIELD: 77 rows where a config says 248, and the other way round). A config has the word
//! only where shapes can't tell: the number of heads.

use super::layouts::Layout;
use super::positions::{CLIP_CONTEXT_LENGTH, Stretching};
use super::stored::TensorFile;

/// Widths, depths and lengths of both towers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Side of the square pictures that the image tower reads.
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
    /// Token ids that the text tower knows.
    pub vocab_size: usize,
    /// Tokens that a text may have, after stretching.
    pub context_length: usize,
    /// Rows of the text position table as stored.
    pub stored_context_length: usize,
}

/// Width of an attention head in every CLIP.
pub(super) const HEAD_WIDTH: usize = 64;
/// More layers than any ViT has; a bound on the search for the last one.
const LAYERS_MAX: usize = 256;
/// Parameters that any block has; one of them tells that the block is there.
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

/// What a file seen through a layout says about its model.
pub(super) struct Shapes<'a> {
    pub(super) file: &'a TensorFile,
    pub(super) layout: &'static Layout,
}

impl Shapes<'_> {
    /// The shape of upstream's tensor, if the file has what it is made from.
    pub(super) fn of(&self, name: &str) -> Option<Vec<usize>> {
        (self.layout.making)(self.file, name).shape(self.file)
    }

    fn axis(&self, name: &str, n_axes: usize, axis: usize) -> Option<usize> {
        self.of(name)
            .filter(|shape| shape.len() == n_axes)
            .map(|shape| shape[axis])
    }

    fn has_any_part(&self, name: &str) -> bool {
        (self.layout.making)(self.file, name)
            .parts()
            .iter()
            .any(|part| self.file.tensors.contains_key(*part))
    }

    /// One more than the last block of which anything is there, so that a missing block between others is noticed.
    fn layers(&self, tower: &str) -> usize {
        let has_layer = |layer: &usize| {
            BLOCK_PARAMETERS
                .iter()
                .any(|p| self.has_any_part(&format!("{tower}transformer.resblocks.{layer}.{p}")))
        };
        (0..LAYERS_MAX).rev().find(has_layer).map_or(0, |last| last + 1)
    }

    /// Whether the file holds a second, trained position table.
    pub(super) fn has_residual_positions(&self) -> bool {
        self.has_any_part("positional_embedding_res")
    }

    /// Which tower is wholly absent, if one is.
    pub(super) fn missing_tower(&self) -> Option<&'static str> {
        let absent = |tower: &str, embedding: &str| self.layers(tower) == 0 && !self.has_any_part(embedding);
        match (
            absent("visual.", "visual.conv1.weight"),
            absent("", "token_embedding.weight"),
        ) {
            (true, false) => Some("image tower"),
            (false, true) => Some("text tower"),
            (true, true) => Some("image tower and no text tower"),
            (false, false) => None,
        }
    }

    /// Sizes by shapes, or the tensor that is needed to know one and isn't there (or has the wrong number of axes).
    pub(super) fn sizes(&self, stretching: Option<Stretching>) -> Result<Sizes, &'static str> {
        let axis = |name: &'static str, n_axes, axis| self.axis(name, n_axes, axis).ok_or(name);
        let vision_width = axis("visual.conv1.weight", 4, 0)?;
        let patch_px = axis("visual.conv1.weight", 4, 3)?;
        let n_positions = axis("visual.positional_embedding", 2, 0)?;
        let grid = n_positions.saturating_sub(1).isqrt();
        let text_width = axis("token_embedding.weight", 2, 1)?;
        let stored_context_length = axis("positional_embedding", 2, 0)?;
        let is_clip_table = stored_context_length == CLIP_CONTEXT_LENGTH && !self.has_residual_positions();
        let embed_dim = axis("text_projection", 2, 1).or(axis("visual.proj", 2, 1))?;
        // Where the first block's is missing the usual factor serves to check the others.
        let mlp_dim = |tower: &str, width: usize| {
            self.axis(&format!("{tower}transformer.resblocks.0.mlp.c_fc.bias"), 1, 0)
                .unwrap_or(4 * width)
        };
        Ok(Sizes {
            image_resolution_px: grid * patch_px,
            patch_px,
            vision_width,
            vision_layers: self.layers("visual."),
            vision_heads: vision_width / HEAD_WIDTH,
            vision_mlp_dim: mlp_dim("visual.", vision_width),
            text_width,
            text_layers: self.layers(""),
            text_heads: text_width / HEAD_WIDTH,
            text_mlp_dim: mlp_dim("", text_width),
            embed_dim,
            vocab_size: axis("token_embedding.weight", 2, 0)?,
            context_length: match stretching {
                Some(stretching) if is_clip_table => stretching.stretched_rows(stored_context_length),
                _ => stored_context_length,
            },
            stored_context_length,
        })
    }
}

impl Sizes {
    /// Patches a side.
    pub fn grid(&self) -> usize {
        self.image_resolution_px / self.patch_px
    }

    /// Every tensor of a CLIP of these sizes, with its shape, in upstream's layout; without `positional_embedding_res`.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let (vision, text, embed) = (self.vision_width, self.text_width, self.embed_dim);
        let (patch, n_positions) = (self.patch_px, self.grid() * self.grid() + 1);
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
