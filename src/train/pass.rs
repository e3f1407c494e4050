//! The forward and backward pass of a part of a batch through both towers.
//!
//! Either candle keeps all activations in its graph, or only the inputs of the blocks are kept ([`Kept`]). In the second
//! case the backward pass goes block by block and computes each block again, so it never holds more than one block's
//! activations.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use serde::Serialize;

use super::parameters::Parameters;
use super::pcm::{BatchEmbeddings, Matching};
use super::towers::{Towers, in_f32};
use crate::error::{Error, Result};
use crate::model::engine::CandleEngine;
use crate::model::{Pass, TokenBatch};
use crate::preprocess::Pixels;

/// An image and its captions, ready for the towers.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The image.
    pub pixels: Pixels,
    /// Token ids of the long caption.
    pub long: Vec<u32>,
    /// Token ids of the short caption.
    pub short: Vec<u32>,
}

/// What a forward pass keeps for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// All activations.
    Activations,
    /// Only the inputs of blocks; the rest is computed again (gradient checkpointing, Chen et al. 2016, arXiv
    /// 1604.06174), at the price of one more forward pass.
    BlockInputs,
}

/// Receives the gradients of each stage of a backward pass.
type Take<'a> = dyn FnMut(GradStore) -> candle_core::Result<()> + 'a;

/// A part of a batch after the forward pass through both towers.
pub(super) struct PartPass<'a> {
    towers: &'a Towers,
    images: Vec<&'a Pixels>,
    /// The long and then the short captions. A short caption is often the beginning of its long one; in one batch, the
    /// common beginning is computed once.
    texts: TokenBatch,
    has_short: bool,
    embeddings: BatchEmbeddings,
    /// The inputs of the image and the text tower's stages, if no graph was kept.
    inputs: Option<(StageInputs, StageInputs)>,
}

/// The input of each stage of a tower after the first.
struct StageInputs(Vec<Tensor>);

impl<'a> PartPass<'a> {
    /// Embeds the images and captions.
    ///
    /// # Errors
    /// [`Error::Usage`] for token ids that the model doesn't know; [`Error::Compute`] if the device fails.
    pub(super) fn forward(towers: &'a Towers, part: &'a [Example], matching: &Matching, kept: Kept) -> Result<Self> {
        let has_short = matching.components.is_some();
        let images: Vec<&Pixels> = part.iter().map(|example| &example.pixels).collect();
        let long = part.iter().map(|example| example.long.as_slice());
        let short = part.iter().map(|example| example.short.as_slice());
        let texts = towers.batch(long.chain(short.take(if has_short { part.len() } else { 0 })))?;
        let engine = &towers.engine;
        let (of_images, of_texts) = (towers.vision.pass(&images), towers.text.pass(&texts));
        let (image, all_texts, inputs) = match kept {
            Kept::Activations => (of_images.run(engine)?, of_texts.run(engine)?, None),
            Kept::BlockInputs => {
                let (image, image_inputs) = StageInputs::forward(engine, &of_images)?;
                let (texts, text_inputs) = StageInputs::forward(engine, &of_texts)?;
                (image, texts, Some((image_inputs, text_inputs)))
            }
        };
        let (image, all_texts) = (in_f32(image)?, in_f32(all_texts)?);
        let captions = |first| {
            let rows = all_texts.narrow(0, first, part.len());
            rows.map_err(Error::compute("embedding a batch"))
        };
        let long = captions(0)?;
        let short = match has_short {
            true => captions(part.len())?,
            false => long.detach(),
        };
        Ok(PartPass {
            embeddings: BatchEmbeddings { image, long, short },
            towers,
            images,
            texts,
            has_short,
            inputs,
        })
    }

    /// The embeddings, f32, not normalised.
    pub(super) fn embeddings(&self) -> &BatchEmbeddings {
        &self.embeddings
    }

    /// Carries the gradients with respect to the embeddings back to the parameters.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub(super) fn backward(
        self,
        parameters: &Parameters,
        by_embedding: &BatchEmbeddings,
        take: &mut Take<'_>,
    ) -> Result<()> {
        let failed = || Error::compute("a training step");
        let Some((image_inputs, text_inputs)) = self.inputs else {
            let of_part = self.embeddings.dot(by_embedding).map_err(failed())?;
            return of_part.backward().and_then(take).map_err(failed());
        };
        let engine = &self.towers.engine;
        let trains = |of_images: bool| {
            let mut names = parameters.trained().keys();
            names.any(|name| name != "logit_scale" && name.starts_with("visual.") == of_images)
        };
        if trains(true) {
            let pass = self.towers.vision.pass(&self.images);
            image_inputs.backward(engine, &pass, &by_embedding.image, take)?;
        }
        if trains(false) {
            let BatchEmbeddings { long, short, .. } = by_embedding;
            let by_text = match self.has_short {
                true => Tensor::cat(&[long, short], 0).map_err(failed())?,
                false => long.clone(),
            };
            text_inputs.backward(engine, &self.towers.text.pass(&self.texts), &by_text, take)?;
        }
        Ok(())
    }
}

impl StageInputs {
    /// Computes a tower's embeddings and keeps the inputs of its stages.
    fn forward(engine: &CandleEngine, pass: &impl Pass<CandleEngine>) -> Result<(Tensor, Self)> {
        let mut inputs = Vec::with_capacity(pass.n_stages());
        let mut x = pass.embed(engine)?.detach();
        for stage in 0..pass.n_stages() {
            inputs.push(x.clone());
            x = pass.stage(engine, stage, x)?.detach();
        }
        Ok((x, StageInputs(inputs)))
    }

    /// Goes from the gradient with respect to the embeddings back to the tower's input, stage by stage. The input of a
    /// stage is dropped after its use.
    fn backward(
        self,
        engine: &CandleEngine,
        pass: &impl Pass<CandleEngine>,
        by_embedding: &Tensor,
        take: &mut Take<'_>,
    ) -> Result<()> {
        let failed = || Error::compute("the backward pass of a tower");
        let mut by_output = by_embedding.clone();
        for (stage, input) in self.0.into_iter().enumerate().rev() {
            let input = Var::from_tensor(&input).map_err(failed())?;
            let output = pass.stage(engine, stage, input.as_tensor().clone())?;
            let mut store = backward_from(&output, &by_output).map_err(failed())?;
            by_output = match store.remove(&input) {
                Some(gradient) => gradient.detach(),
                None => input.zeros_like().map_err(failed())?,
            };
            take(store).map_err(failed())?;
        }
        let output = pass.embed(engine)?;
        backward_from(&output, &by_output).and_then(take).map_err(failed())
    }
}

/// Runs candle's backward pass from `output`, given the gradient with respect to it.
fn backward_from(output: &Tensor, by_output: &Tensor) -> candle_core::Result<GradStore> {
    (output * by_output.to_dtype(output.dtype())?)?.sum_all()?.backward()
}
