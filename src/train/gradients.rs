//! The gradients of one batch, whole or in parts that fit in memory.
//!
//! A contrastive loss needs all embeddings of a batch at once, but not all activations: GradCache (Gao et al. 2021, arXiv
//! 2101.06983) embeds the batch in parts without keeping activations, takes the loss's gradients by the embeddings, and
//! embeds each part again to carry them on to the parameters. The result is the whole batch's to rounding; it costs one
//! more pass forward. Called by `run.rs`.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};

use super::in_place;
use super::parameters::Parameters;
use super::pcm::{BatchEmbeddings, Losses, Matching, losses};
use crate::error::{Error, Result};
use crate::model::engine::{CandleEngine, Gradients as Differentiable, TensorSource};
use crate::model::{TextTower, TokenBatch, VisionTower};
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

/// Losses of a batch and the gradients of their sum.
pub struct Gradients {
    /// Images with long captions.
    pub loss_long: f64,
    /// Principal components with short captions.
    pub loss_short: f64,
    /// By the parameters' names.
    pub by_name: BTreeMap<String, Tensor>,
}

impl Gradients {
    /// The length of all gradients as one vector.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn norm(&self) -> Result<f64> {
        let square = |gradient: &Tensor| match in_place::square_sum(gradient) {
            Some(sum) => Ok(sum),
            None => gradient.sqr()?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>(),
        };
        let squares: candle_core::Result<Vec<f64>> = self.by_name.values().map(square).collect();
        let squares = squares.map_err(Error::compute("the gradients' norm"))?;
        Ok(squares.iter().sum::<f64>().sqrt())
    }
}

/// What the towers are computed on.
#[derive(Debug, Clone)]
pub struct Computing {
    /// Where tensors live.
    pub device: Device,
    /// The number type of the towers' arithmetic. Parameters, losses and the optimizer stay in f32.
    pub dtype: DType,
}

impl Computing {
    /// f32 on the CPU.
    pub const CPU: Computing = Computing {
        device: Device::Cpu,
        dtype: DType::F32,
    };

    /// The fastest operations with gradients that there are for it.
    pub(super) fn way_back(&self) -> Differentiable {
        match (&self.device, self.dtype) {
            (Device::Cpu, DType::F32) => Differentiable::Fused,
            _ => Differentiable::Composed,
        }
    }
}

/// Both towers on a model's values of this moment.
pub struct Towers {
    engine: CandleEngine,
    vision: VisionTower<CandleEngine>,
    text: TextTower<CandleEngine>,
}

impl Towers {
    /// Takes the towers from the parameters, for gradients.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn load(parameters: &Parameters, computing: &Computing) -> Result<Self> {
        Towers::of(parameters, parameters, computing, computing.way_back())
    }

    /// Takes the towers from a source that has the same tensors as the parameters.
    pub(super) fn of(
        source: &(dyn TensorSource + 'static),
        parameters: &Parameters,
        computing: &Computing,
        gradients: Differentiable,
    ) -> Result<Self> {
        let engine = CandleEngine {
            device: computing.device.clone(),
            dtype: computing.dtype,
            gradients,
        };
        let (sizes, activation) = (parameters.sizes(), parameters.activation());
        Ok(Towers {
            vision: VisionTower::load(&engine, source, sizes, activation)?,
            text: TextTower::load(&engine, source, sizes, activation)?,
            engine,
        })
    }

    /// Embeddings of images, `(n, embed_dim)`, f32, not normalised.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn embed_images(&self, pictures: &[&Pixels]) -> Result<Tensor> {
        in_f32(self.vision.forward(&self.engine, pictures)?)
    }

    /// Embeddings of texts by their token ids, `(n, embed_dim)`, f32, not normalised.
    ///
    /// # Errors
    /// [`Error::Usage`] for ids that the model doesn't know; [`Error::Compute`] if the device fails.
    pub fn embed_texts<'a>(&self, texts: impl Iterator<Item = &'a [u32]>) -> Result<Tensor> {
        in_f32(self.text.forward(&self.engine, &TokenBatch::new(texts)?)?)
    }

    /// Long and short captions are one batch: a short one is mostly the beginning of its long one, and costs little then.
    fn embed(&self, batch: &[Example], matching: &Matching) -> Result<BatchEmbeddings> {
        let pictures: Vec<&Pixels> = batch.iter().map(|example| &example.pixels).collect();
        let image = self.embed_images(&pictures)?;
        let long = batch.iter().map(|example| example.long.as_slice());
        if matching.components.is_none() {
            let long = self.embed_texts(long)?;
            return Ok(BatchEmbeddings {
                short: long.detach(),
                image,
                long,
            });
        }
        let n = batch.len();
        let short = batch.iter().map(|example| example.short.as_slice());
        let both = self.embed_texts(long.chain(short))?;
        let part = |first| both.narrow(0, first, n).map_err(Error::compute("embedding a batch"));
        Ok(BatchEmbeddings {
            image,
            long: part(0)?,
            short: part(n)?,
        })
    }
}

fn in_f32(embeddings: Tensor) -> Result<Tensor> {
    embeddings
        .to_dtype(DType::F32)
        .map_err(Error::compute("reading embeddings"))
}

/// The gradients of a batch, computed at most `micro_batch` samples at a time.
///
/// # Errors
/// [`Error::Usage`] for token ids that the model doesn't know; [`Error::Compute`] if the device fails or an embedding is
/// not finite.
///
/// # Panics
/// If the batch is empty or `micro_batch` is 0.
pub fn gradients(
    parameters: &Parameters,
    computing: &Computing,
    batch: &[Example],
    micro_batch: usize,
    matching: &Matching,
) -> Result<Gradients> {
    let towers = Towers::load(parameters, computing)?;
    gradients_of(parameters, &towers, batch, micro_batch, matching)
}

/// As [`gradients`], of towers that were taken from the parameters.
pub(super) fn gradients_of(
    parameters: &Parameters,
    towers: &Towers,
    batch: &[Example],
    micro_batch: usize,
    matching: &Matching,
) -> Result<Gradients> {
    assert!(!batch.is_empty() && micro_batch > 0, "a batch has at least one sample");
    let logit_scale = parameters.tensor("logit_scale", DType::F32, &towers.engine.device)?;
    if batch.len() <= micro_batch {
        let embeddings = towers.embed(batch, matching)?;
        return of_embeddings(&embeddings, &logit_scale, matching)
            .and_then(|(losses, store)| result(parameters, &losses, store))
            .map_err(Error::compute("a training step"));
    }
    let mut parts = Vec::new();
    for part in batch.chunks(micro_batch) {
        parts.push(towers.embed(part, matching)?.detached());
    }
    let whole = joined(&parts).map_err(Error::compute("joining a batch"))?;
    drop(parts);
    let (losses, mut store) =
        of_embeddings(&whole.batch(), &logit_scale, matching).map_err(Error::compute("a training step"))?;
    let by_embedding = whole.gradients(&mut store).map_err(Error::compute("a training step"))?;
    let mut sum = result(parameters, &losses, store).map_err(Error::compute("a training step"))?;
    for (i, part) in batch.chunks(micro_batch).enumerate() {
        let embeddings = towers.embed(part, matching)?;
        carry_on(&embeddings, &by_embedding, i * micro_batch)
            .and_then(|store| add(&mut sum.by_name, parameters, store))
            .map_err(Error::compute("a training step"))?;
    }
    Ok(sum)
}

fn of_embeddings(
    batch: &BatchEmbeddings,
    logit_scale: &Tensor,
    matching: &Matching,
) -> candle_core::Result<(Losses, GradStore)> {
    let losses = losses(batch, logit_scale, matching)?;
    let store = (&losses.long + &losses.short)?.backward()?;
    Ok((losses, store))
}

fn result(parameters: &Parameters, losses: &Losses, store: GradStore) -> candle_core::Result<Gradients> {
    let mut by_name = BTreeMap::new();
    add(&mut by_name, parameters, store)?;
    let number = |loss: &Tensor| loss.to_dtype(DType::F64)?.to_scalar::<f64>();
    Ok(Gradients {
        loss_long: number(&losses.long)?,
        loss_short: number(&losses.short)?,
        by_name,
    })
}

/// Adds a pass's gradients to the sum.
fn add(sum: &mut BTreeMap<String, Tensor>, parameters: &Parameters, mut store: GradStore) -> candle_core::Result<()> {
    for (name, var) in parameters.trained() {
        if let Some(gradient) = store.remove(var) {
            let total = match sum.get(name) {
                Some(earlier) => (earlier + gradient)?,
                None => gradient,
            };
            sum.insert(name.clone(), total.detach());
        }
    }
    Ok(())
}

/// A whole batch's embeddings as variables.
struct WholeBatch {
    image: Var,
    long: Var,
    short: Var,
}

fn joined(parts: &[BatchEmbeddings]) -> candle_core::Result<WholeBatch> {
    let join = |of: fn(&BatchEmbeddings) -> &Tensor| {
        let parts: Vec<&Tensor> = parts.iter().map(of).collect();
        Var::from_tensor(&Tensor::cat(&parts, 0)?)
    };
    Ok(WholeBatch {
        image: join(|part| &part.image)?,
        long: join(|part| &part.long)?,
        short: join(|part| &part.short)?,
    })
}

impl WholeBatch {
    fn batch(&self) -> BatchEmbeddings {
        BatchEmbeddings {
            image: self.image.as_tensor().clone(),
            long: self.long.as_tensor().clone(),
            short: self.short.as_tensor().clone(),
        }
    }

    fn gradients(&self, store: &mut GradStore) -> candle_core::Result<BatchEmbeddings> {
        let mut of = |var: &Var| match store.remove(var) {
            Some(gradient) => Ok(gradient.detach()),
            None => var.zeros_like(),
        };
        Ok(BatchEmbeddings {
            image: of(&self.image)?,
            long: of(&self.long)?,
            short: of(&self.short)?,
        })
    }
}

/// Carries the gradients by a part's embeddings, rows `first..` of the batch's, on to the parameters.
fn carry_on(part: &BatchEmbeddings, whole: &BatchEmbeddings, first: usize) -> candle_core::Result<GradStore> {
    let product = |part: &Tensor, whole: &Tensor| (part * whole.narrow(0, first, part.dim(0)?)?)?.sum_all();
    let image = product(&part.image, &whole.image)?;
    let texts = (product(&part.long, &whole.long)? + product(&part.short, &whole.short)?)?;
    (image + texts)?.backward()
}
