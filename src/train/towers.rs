//! Both towers with the current parameters, for training and validation.

use candle_core::{DType, Device, Tensor};

use super::parameters::Parameters;
use crate::error::{Error, Result};
use crate::model::engine::{CandleEngine, Gradients as Differentiable, TensorSource};
use crate::model::{TextTower, TokenBatch, VisionTower};
use crate::preprocess::Pixels;
use crate::recipe::TextRecipe;

/// The device and number type that the towers are computed with.
#[derive(Debug, Clone)]
pub struct Computing {
    /// The device of the tensors.
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

    /// The fastest differentiable operations for this device and type.
    pub(super) fn operations(&self) -> Differentiable {
        match (&self.device, self.dtype) {
            (Device::Cpu, DType::F32) => Differentiable::Fused,
            _ => Differentiable::Composed,
        }
    }
}

/// Both towers, loaded with the current values of a model.
pub struct Towers {
    pub(super) engine: CandleEngine,
    pub(super) vision: VisionTower<CandleEngine>,
    pub(super) text: TextTower<CandleEngine>,
    reading: TextRecipe,
    context_length: usize,
}

impl Towers {
    /// Loads the towers from the parameters, for computing gradients.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn load(parameters: &Parameters, computing: &Computing) -> Result<Self> {
        Towers::of(parameters, parameters, computing, computing.operations())
    }

    /// Loads the towers from a source with the same tensors as the parameters.
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
        let (sizes, recipe) = (parameters.sizes(), parameters.recipe());
        Ok(Towers {
            vision: VisionTower::load(&engine, source, sizes, &recipe.vision)?,
            text: TextTower::load(&engine, source, sizes, &recipe.text)?,
            reading: recipe.text,
            context_length: sizes.context_length,
            engine,
        })
    }

    /// Embeddings of images, `(n, embed_dim)`, f32, not normalised.
    ///
    /// # Errors
    /// [`Error::Compute`] if the device fails.
    pub fn embed_images(&self, images: &[&Pixels]) -> Result<Tensor> {
        in_f32(self.vision.forward(&self.engine, images)?)
    }

    /// A batch of texts as the text tower reads them.
    pub(super) fn batch<'a>(&self, texts: impl Iterator<Item = &'a [u32]>) -> Result<TokenBatch> {
        TokenBatch::for_recipe(texts, &self.reading, self.context_length)
    }

    /// Embeddings of texts by their token ids, `(n, embed_dim)`, f32, not normalised.
    ///
    /// # Errors
    /// [`Error::Usage`] for ids that the model doesn't know; [`Error::Compute`] if the device fails.
    pub fn embed_texts<'a>(&self, texts: impl Iterator<Item = &'a [u32]>) -> Result<Tensor> {
        in_f32(self.text.forward(&self.engine, &self.batch(texts)?)?)
    }
}

/// Converts embeddings from the towers' number type to f32.
pub(super) fn in_f32(embeddings: Tensor) -> Result<Tensor> {
    embeddings
        .to_dtype(DType::F32)
        .map_err(Error::compute("reading embeddings"))
}
