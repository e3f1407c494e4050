//! The attention probabilities of each block of the image tower for one image, and the gradients of a text's logit with
//! respect to them. `score` computes the relevance of patches from both.
//!
//! Always computed on candle's engine in f32. candle only keeps the gradients of variables, so a variable of zeros is
//! added to each attention: the gradient of that variable is the gradient of the attention.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Tensor, Var};

use super::clip::LongClip;
use super::embeddings::normalize;
use super::engine::{AttentionHook, CandleEngine, Gradients, TensorSource};
use super::vision::VisionTower;
use crate::error::{Error, Result};
use crate::preprocess::Pixels;

/// The attention of one block for one image, `(heads, n_queries, n_keys)`, row-major. Keys are the class token and the
/// patches, row by row. Queries are the same, except in the last block, which has the class token only.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockAttention {
    /// The number of heads.
    pub heads: usize,
    /// The number of queries.
    pub n_queries: usize,
    /// The number of keys.
    pub n_keys: usize,
    /// The weight of each key for each query. The weights of a query sum to one.
    pub probabilities: Vec<f32>,
    /// The gradients of the logit with respect to `probabilities`.
    pub gradients: Vec<f32>,
}

/// The variables of zeros, each with the attention it was added to.
#[derive(Debug, Default)]
struct AddedZeros(Mutex<Vec<(Tensor, Var)>>);

impl AddedZeros {
    fn list(&self) -> MutexGuard<'_, Vec<(Tensor, Var)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttentionHook for AddedZeros {
    fn attention(&self, probabilities: Tensor) -> candle_core::Result<Tensor> {
        let zero = Var::zeros(probabilities.shape(), probabilities.dtype(), probabilities.device())?;
        let sum = (&probabilities + zero.as_tensor())?;
        self.list().push((probabilities.detach(), zero));
        Ok(sum)
    }
}

impl LongClip {
    /// The attention of each block for an image, and the gradients of `exp(logit_scale) * cosine(image, text)`, in the
    /// order of the blocks. `text` is `(embed_dim,)` and need not be normalised.
    ///
    /// # Errors
    /// [`Error::Usage`] if the image tower is not read at its class token; [`Error::BadTensors`] if it has a weight that
    /// isn't finite; [`Error::Compute`] if the device fails.
    ///
    /// # Panics
    /// If the image does not have this model's resolution, or the text has the wrong length.
    pub fn attention(&self, picture: &Pixels, text: &[f32]) -> Result<Vec<BlockAttention>> {
        if !self.reads_class_token() {
            return Err(Error::usage(
                "the image tower of this model averages its patches",
                "only models that read the class token can be explained",
            ));
        }
        let zeros = Arc::new(AddedZeros::default());
        let engine = CandleEngine {
            device: self.candle_device(),
            dtype: DType::F32,
            gradients: Gradients::Hooked(zeros.clone()),
        };
        let logit = self.logit(&engine, picture, text)?;
        let blocks = || -> candle_core::Result<Vec<BlockAttention>> {
            let store = logit.backward()?;
            let block = |(probabilities, zero): &(Tensor, Var)| {
                let gradients = match store.get(zero) {
                    Some(gradients) => gradients.detach(),
                    None => zero.zeros_like()?,
                };
                block(probabilities, &gradients)
            };
            zeros.list().iter().map(block).collect()
        };
        blocks().map_err(Error::compute("the gradients of a label"))
    }

    fn logit(&self, engine: &CandleEngine, picture: &Pixels, text: &[f32]) -> Result<Tensor> {
        let tower = match self.differentiable.get() {
            Some(tower) => tower,
            None => {
                let source: &dyn TensorSource = self.checkpoint();
                let tower = VisionTower::load(engine, source, self.sizes(), &self.recipe().vision)?;
                self.differentiable.get_or_init(|| tower)
            }
        };
        let image = tower.forward(engine, &[picture])?; // (1, embed_dim)
        let mut text = text.to_vec();
        normalize(&mut text);
        scaled_cosine(&image, text, self.logit_scale().multiplier()).map_err(Error::compute("the logit of a label"))
    }
}

/// The logit of `image (1, embed_dim)` and a text of unit length.
fn scaled_cosine(image: &Tensor, text: Vec<f32>, multiplier: f64) -> candle_core::Result<Tensor> {
    let text = Tensor::from_vec(text, image.shape(), image.device())?.to_dtype(image.dtype())?;
    let length = image.sqr()?.sum_all()?.sqrt()?;
    ((image * text)?.sum_all()? / length)? * multiplier
}

/// Takes `(1, heads, n_queries, n_keys)` tensors.
fn block(probabilities: &Tensor, gradients: &Tensor) -> candle_core::Result<BlockAttention> {
    let (_, heads, n_queries, n_keys) = probabilities.dims4()?;
    let values = |tensor: &Tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1();
    Ok(BlockAttention {
        heads,
        n_queries,
        n_keys,
        probabilities: values(probabilities)?,
        gradients: values(gradients)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nano;

    fn cat(model: &LongClip) -> Pixels {
        let bytes = std::fs::read("img/cat.jpg").unwrap();
        model.preprocess().run("img/cat.jpg", &bytes).unwrap()
    }

    /// Adds a step to one element of one block's attention.
    #[derive(Debug)]
    struct Step {
        block: usize,
        element: usize,
        step: f64,
        seen: Mutex<usize>,
    }

    impl AttentionHook for Step {
        fn attention(&self, probabilities: Tensor) -> candle_core::Result<Tensor> {
            let mut seen = self.seen.lock().unwrap();
            *seen += 1;
            if *seen - 1 != self.block {
                return Ok(probabilities);
            }
            let mut step = vec![0f64; probabilities.elem_count()];
            step[self.element] = self.step;
            &probabilities + Tensor::from_vec(step, probabilities.shape(), probabilities.device())?
        }
    }

    /// The logit in f64, with a step added to one element of one block's attention.
    fn logit_with_step(
        model: &LongClip,
        picture: &Pixels,
        text: &[f32],
        block: usize,
        element: usize,
        step: f64,
    ) -> f64 {
        let engine = CandleEngine {
            device: model.candle_device(),
            dtype: DType::F64,
            gradients: Gradients::Hooked(Arc::new(Step {
                block,
                element,
                step,
                seen: Mutex::new(0),
            })),
        };
        let source: &dyn TensorSource = model.checkpoint();
        let tower = VisionTower::load(&engine, source, model.sizes(), &model.recipe().vision).unwrap();
        let image = tower.forward(&engine, &[picture]).unwrap();
        let mut text = text.to_vec();
        normalize(&mut text);
        let logit = scaled_cosine(&image, text, model.logit_scale().multiplier()).unwrap();
        logit.to_scalar().unwrap()
    }

    #[test]
    fn gradients_match_finite_differences_of_the_logit() {
        let model = LongClip::load(nano::NAME).unwrap();
        let picture = cat(&model);
        let text = model.encode_text("a cat").unwrap().0.row(0).to_vec();
        let blocks = model.attention(&picture, &text).unwrap();
        assert_eq!(blocks.len(), model.sizes().vision_layers);
        for i in [0, 2, blocks.len() - 1] {
            let gradients = &blocks[i].gradients;
            let largest = (0..gradients.len()).max_by(|a, b| gradients[*a].abs().total_cmp(&gradients[*b].abs()));
            let scale = f64::from(gradients[largest.unwrap()].abs());
            for element in [largest.unwrap(), 1, gradients.len() / 2] {
                const STEP: f64 = 1e-4;
                let logit = |step| logit_with_step(&model, &picture, &text, i, element, step);
                let expected = (logit(STEP) - logit(-STEP)) / (2.0 * STEP);
                let found = f64::from(gradients[element]);
                assert!(
                    (found - expected).abs() <= 1e-3 * scale,
                    "block {i}, {element}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn the_differentiable_pass_matches_the_model_and_attention_sums_to_one() {
        let model = LongClip::load(nano::NAME).unwrap();
        let picture = cat(&model);
        let text = model.encode_text("a cat").unwrap().0;
        let image = model.encode_image(&picture).unwrap().0.normalized();
        let text = text.normalized();
        let cosine: f64 = image
            .row(0)
            .iter()
            .zip(text.row(0))
            .map(|(a, b)| f64::from(a * b))
            .sum();
        let logit = logit_with_step(&model, &picture, text.row(0), 0, 0, 0.0);
        assert!((logit - cosine * model.logit_scale().multiplier()).abs() < 1e-3);
        for block in model.attention(&picture, text.row(0)).unwrap() {
            for query in block.probabilities.chunks_exact(block.n_keys) {
                assert!((query.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}
