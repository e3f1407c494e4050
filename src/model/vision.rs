//! The image tower: a Vision Transformer whose output is read at the class token, or averaged over the patches.
//!
//! Upstream `model_longclip.py`, `VisionTransformer`. `(n, 3, R, R)` normalised pixels to `(n, embed_dim)`. The patch
//! convolution has a stride equal to its kernel size, so it is a linear layer on patches in the order channel, row,
//! column. It drops rows and columns of pixels that don't fill a patch.

use super::block::{Block, BlockShape, LastBlock};
use super::engine::{Engine, LinearNames, Mask, Sequences};
use super::pass::Pass;
use crate::error::Result;
use crate::preprocess::Pixels;
use crate::recipe::{VisionPooling, VisionRecipe};
use crate::weights::Sizes;

/// The image tower on an engine.
pub struct VisionTower<E: Engine> {
    resolution_px: usize,
    patch_px: usize,
    pooling: VisionPooling,
    patch_embedding: E::Linear,
    class_embedding: E::Table,
    positional_embedding: E::Table,
    ln_pre: Option<E::Norm>,
    blocks: Vec<Block<E>>,
    last_block: LastBlock<E>,
    ln_post: E::Norm,
    projection: E::Linear,
}

impl<E: Engine> VisionTower<E> {
    /// Loads the tower.
    ///
    /// # Errors
    /// If a tensor cannot be read.
    pub fn load(engine: &E, source: &E::Source, sizes: &Sizes, recipe: &VisionRecipe) -> Result<Self> {
        let shape = BlockShape {
            hidden_dim: sizes.vision_width,
            heads: sizes.vision_heads,
            mask: Mask::None,
            activation: recipe.activation,
            epsilon: recipe.epsilon,
        };
        let prefix = |layer: usize| format!("visual.transformer.resblocks.{layer}");
        let last = sizes.vision_layers - 1;
        let patch_embedding = LinearNames {
            weight: "visual.conv1.weight",
            bias: None,
            outputs: None,
        };
        Ok(VisionTower {
            resolution_px: sizes.image_resolution_px,
            patch_px: sizes.patch_px,
            pooling: recipe.pooling,
            patch_embedding: engine.linear(source, &patch_embedding)?,
            class_embedding: engine.table(source, "visual.class_embedding")?,
            positional_embedding: engine.table(source, "visual.positional_embedding")?,
            ln_pre: match recipe.without_first_norm {
                true => None,
                false => Some(engine.norm(source, "visual.ln_pre", recipe.epsilon)?),
            },
            blocks: (0..last)
                .map(|layer| Block::load(engine, source, &prefix(layer), shape))
                .collect::<Result<_>>()?,
            last_block: LastBlock::load(engine, source, &prefix(last), shape)?,
            ln_post: engine.norm(source, "visual.ln_post", recipe.epsilon)?,
            projection: engine.projection(
                source,
                "visual.proj",
                recipe.biased_projection.then_some("visual.proj_bias"),
            )?,
        })
    }

    /// Encodes images: `(n, embed_dim)`, not normalised.
    ///
    /// # Errors
    /// If the engine fails.
    ///
    /// # Panics
    /// If `pictures` is empty, or if one does not have the tower's resolution.
    pub fn forward(&self, engine: &E, pictures: &[&Pixels]) -> Result<E::Rows> {
        self.pass(pictures).run(engine)
    }

    /// The forward pass of these images.
    ///
    /// # Panics
    /// As [`VisionTower::forward`].
    pub fn pass<'a>(&'a self, pictures: &'a [&'a Pixels]) -> VisionPass<'a, E> {
        assert!(!pictures.is_empty(), "a batch has at least one image");
        for picture in pictures {
            let found_px = picture.resolution_px();
            assert_eq!(
                found_px, self.resolution_px,
                "an image of {found_px} px for a tower of {} px",
                self.resolution_px
            );
        }
        let n_patches = (self.resolution_px / self.patch_px).pow(2);
        VisionPass {
            tower: self,
            pictures,
            sequences: Sequences::new(std::iter::repeat_n(n_patches + 1, pictures.len())),
        }
    }
}

/// The forward pass of some images through the image tower.
pub struct VisionPass<'a, E: Engine> {
    tower: &'a VisionTower<E>,
    pictures: &'a [&'a Pixels],
    sequences: Sequences,
}

impl<E: Engine> Pass<E> for VisionPass<'_, E> {
    fn embed(&self, engine: &E) -> Result<E::Rows> {
        let tower = self.tower;
        let mut patches = Vec::with_capacity(self.pictures.len() * 3 * tower.resolution_px * tower.resolution_px);
        for picture in self.pictures {
            cut_patches(picture, tower.patch_px, &mut patches);
        }
        let patches = engine.rows(patches, 3 * tower.patch_px * tower.patch_px)?; // (n * grid², 3 * patch²)
        let x = engine.apply(&patches, &tower.patch_embedding)?; // (n * grid², hidden_dim)
        let x = engine.embed_patches(x, &tower.class_embedding, &tower.positional_embedding)?; // (n * (grid² + 1), ..)
        match &tower.ln_pre {
            Some(norm) => engine.normalise(x, norm),
            None => Ok(x),
        }
    }

    fn n_stages(&self) -> usize {
        self.tower.blocks.len() + 1
    }

    fn stage(&self, engine: &E, stage: usize, x: E::Rows) -> Result<E::Rows> {
        let tower = self.tower;
        if let Some(block) = tower.blocks.get(stage) {
            return block.forward(engine, x, &self.sequences);
        }
        match tower.pooling {
            VisionPooling::ClassToken => {
                let rows = self.sequences.first_rows();
                let class_tokens = tower.last_block.forward(engine, &x, &self.sequences, &rows)?; // (n, hidden_dim)
                engine.norm_linear(&class_tokens, &tower.ln_post, &tower.projection) // (n, embed_dim)
            }
            VisionPooling::NormalisedMean => {
                let x = tower.last_block.forward_all(engine, x, &self.sequences)?;
                let mean = engine.mean_after_first(&x, &self.sequences)?; // (n, hidden_dim)
                engine.norm_linear(&mean, &tower.ln_post, &tower.projection)
            }
            VisionPooling::MeanOfNormalised => {
                let x = tower.last_block.forward_all(engine, x, &self.sequences)?;
                let x = engine.normalise(x, &tower.ln_post)?;
                let mean = engine.mean_after_first(&x, &self.sequences)?; // (n, hidden_dim)
                engine.apply(&mean, &tower.projection)
            }
        }
    }
}

/// Appends the patches of an image, row by row from the top left; each is `(3, patch, patch)`.
fn cut_patches(picture: &Pixels, patch_px: usize, patches: &mut Vec<f32>) {
    let grid = picture.resolution_px() / patch_px;
    for (patch_y, patch_x) in (0..grid).flat_map(|y| (0..grid).map(move |x| (y, x))) {
        let columns = patch_x * patch_px..(patch_x + 1) * patch_px;
        for (channel, row) in (0..3).flat_map(|c| (0..patch_px).map(move |r| (c, r))) {
            picture.append_row(channel, patch_y * patch_px + row, columns.clone(), patches);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::cut_patches;
    use crate::preprocess::Pixels;

    #[test]
    fn cuts_patches_row_by_row_with_channels_outermost() {
        let values = (0..48).map(|i| i as f32).collect(); // (3, 4, 4)
        let picture = Pixels::from_normalised(values, 4).unwrap();
        let mut patches = Vec::new();
        cut_patches(&picture, 2, &mut patches);
        assert_eq!(patches[..12], [0., 1., 4., 5., 16., 17., 20., 21., 32., 33., 36., 37.]);
        assert_eq!(patches[12..16], [2., 3., 6., 7.]);
        assert_eq!(patches.len(), 48);
    }
}
