//! One part of a batch on its way through both towers and back.
//!
//! Either candle keeps all activations in its graph, or only what goes into each block is kept: then the way back goes
//! block by block, computes each again, and never holds more than one block's activations ([`Kept`]). Called by
//! `gradients.rs`.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::gradients::{Example, Kept};
use super::parameters::Parameters;
use super::pcm::{BatchEmbeddings, Matching};
use super::towers::{Towers, in_f32};
use crate::error::{Error, Result};
use crate::model::engine::CandleEngine;
use crate::model::{Pass, TokenBatch};
use crate::preprocess::Pixels;

/// Gets the gradients that each stage of the way back finds.
type Take<'a> = dyn FnMut(GradStore) -> candle_core::Result<()> + 'a;

/// A part of a batch that went through both towers.
pub(super) struct PartPass<'a> {
    towers: &'a Towers,
    pictures: Vec<&'a Pixels>,
    /// Long and short captions are one batch: a short one is mostly the beginning of its long one, and costs little then.
    texts: TokenBatch,
    has_short: bool,
    embeddings: BatchEmbeddings,
    /// What the two towers' blocks were given, where no graph was kept.
    trails: Option<(Trail, Trail)>,
}

/// What went into each stage of a tower behind the first.
struct Trail(Vec<Tensor>);

impl<'a> PartPass<'a> {
    /// Embeds images and captions.
    ///
    /// # Errors
    /// [`Error::Usage`] for token ids that the model doesn't know; [`Error::Compute`] if the device fails.
    pub(super) fn forward(towers: &'a Towers, part: &'a [Example], matching: &Matching, kept: Kept) -> Result<Self> {
        let has_short = matching.components.is_some();
        let pictures: Vec<&Pixels> = part.iter().map(|example| &example.pixels).collect();
        let long = part.iter().map(|example| example.long.as_slice());
        let short = part.iter().map(|example| example.short.as_slice());
        let texts = TokenBatch::new(long.chain(short.take(if has_short { part.len() } else { 0 })))?;
        let engine = &towers.engine;
        let (of_images, of_texts) = (towers.vision.pass(&pictures), towers.text.pass(&texts));
        let (image, all_texts, trails) = match kept {
            Kept::Activations => (of_images.run(engine)?, of_texts.run(engine)?, None),
            Kept::BlockInputs => {
                let (image, image_trail) = Trail::forward(engine, &of_images)?;
                let (texts, text_trail) = Trail::forward(engine, &of_texts)?;
                (image, texts, Some((image_trail, text_trail)))
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
            pictures,
            texts,
            has_short,
            trails,
        })
    }

    /// The embeddings, f32, not normalised.
    pub(super) fn embeddings(&self) -> &BatchEmbeddings {
        &self.embeddings
    }

    /// Carries the gradients by the embeddings on to the parameters.
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
        let Some((image_trail, text_trail)) = self.trails else {
            let of_part = self.embeddings.dot(by_embedding).map_err(failed())?;
            return of_part.backward().and_then(take).map_err(failed());
        };
        let engine = &self.towers.engine;
        let trains = |of_images: bool| {
            let mut names = parameters.trained().keys();
            names.any(|name| name != "logit_scale" && name.starts_with("visual.") == of_images)
        };
        if trains(true) {
            image_trail.backward(
                engine,
                &self.towers.vision.pass(&self.pictures),
                &by_embedding.image,
                take,
            )?;
        }
        if trains(false) {
            let BatchEmbeddings { long, short, .. } = by_embedding;
            let by_text = match self.has_short {
                true => Tensor::cat(&[long, short], 0).map_err(failed())?,
                false => long.clone(),
            };
            text_trail.backward(engine, &self.towers.text.pass(&self.texts), &by_text, take)?;
        }
        Ok(())
    }
}

impl Trail {
    /// A tower's embeddings, and what its stages were given on the way.
    fn forward(engine: &CandleEngine, pass: &impl Pass<CandleEngine>) -> Result<(Tensor, Self)> {
        let mut given = Vec::with_capacity(pass.n_stages());
        let mut x = pass.embed(engine)?.detach();
        for stage in 0..pass.n_stages() {
            given.push(x.clone());
            x = pass.stage(engine, stage, x)?.detach();
        }
        Ok((x, Trail(given)))
    }

    /// From the gradient by the embeddings back to the input, stage by stage; what a stage was given is dropped behind it.
    fn backward(
        self,
        engine: &CandleEngine,
        pass: &impl Pass<CandleEngine>,
        by_embedding: &Tensor,
        take: &mut Take<'_>,
    ) -> Result<()> {
        let failed = || Error::compute("the way back through a tower");
        let mut by_output = by_embedding.clone();
        for (stage, given) in self.0.into_iter().enumerate().rev() {
            let given = Var::from_tensor(&given).map_err(failed())?;
            let output = pass.stage(engine, stage, given.as_tensor().clone())?;
            let mut store = slopes(&output, &by_output).map_err(failed())?;
            by_output = match store.remove(&given) {
                Some(gradient) => gradient.detach(),
                None => given.zeros_like().map_err(failed())?,
            };
            take(store).map_err(failed())?;
        }
        let output = pass.embed(engine)?;
        slopes(&output, &by_output).and_then(take).map_err(failed())
    }
}

/// The gradients of what was computed to get `output`, of the gradient by it.
fn slopes(output: &Tensor, by_output: &Tensor) -> candle_core::Result<GradStore> {
    (output * by_output.to_dtype(output.dtype())?)?.sum_all()?.backward()
}
