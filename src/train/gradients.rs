//! The gradients of one batch, computed at once or in parts that fit in memory.
//!
//! A contrastive loss needs all embeddings of a batch at once, but not all activations. GradCache (Gao et al. 2021, arXiv
//! 2101.06983) embeds the batch in parts without keeping activations, computes the loss's gradients with respect to the
//! embeddings, and embeds each part again to carry them back to the parameters. The result is the same to rounding, at
//! the price of one more forward pass. `pass.rs` computes a part.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use serde::Serialize;

use super::in_place;
use super::parameters::Parameters;
use super::pass::PartPass;
pub use super::pass::{Example, Kept};
use super::pcm::{BatchEmbeddings, Losses, Matching, losses};
use super::towers::{Computing, Towers};
use crate::error::{Error, Result};
use crate::memory::batch_that_fits;
use crate::model::engine::TensorSource;
use crate::weights::Sizes;

/// The losses of a batch and the gradients of their sum.
pub struct Gradients {
    /// The loss of images with long captions.
    pub loss_long: f64,
    /// The loss of principal components with short captions.
    pub loss_short: f64,
    /// The gradients by the names of the parameters.
    pub by_name: BTreeMap<String, Tensor>,
}

impl Gradients {
    /// The norm of all gradients as one vector.
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

/// How a batch is made to fit in memory. The gradients are the same to rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Samples per pass, at least one.
    pub micro_batch: usize,
    /// What a forward pass keeps for the backward pass.
    pub kept: Kept,
}

impl Plan {
    /// The whole batch per pass, or the fewest equal parts that fit into memory.
    pub fn fitting(batch: usize, kept: Kept, sizes: &Sizes) -> Self {
        let n_parts = batch.div_ceil(batch_that_fits(batch, sample_bytes(sizes, kept)));
        Plan {
            micro_batch: batch.div_ceil(n_parts),
            kept,
        }
    }
}

/// Roughly the bytes per sample of a pass: what each block keeps for the backward pass (its input, two norms, queries, keys
/// and values, the attention, two sums; the MLP before and after the activation), or each block's input and all of that for
/// one block. Texts count at their full length.
fn sample_bytes(sizes: &Sizes, kept: Kept) -> usize {
    const FLOATS_OF_WIDTH: usize = 10;
    const FLOATS_OF_MLP: usize = 2;
    let floats = |rows: usize, width: usize, mlp_dim: usize, layers: usize| {
        let a_block = FLOATS_OF_WIDTH * width + FLOATS_OF_MLP * mlp_dim;
        match kept {
            Kept::Activations => rows * a_block * layers,
            Kept::BlockInputs => rows * (width * layers + a_block),
        }
    };
    let image = floats(
        sizes.image_tokens(),
        sizes.vision_width,
        sizes.vision_mlp_dim,
        sizes.vision_layers,
    );
    let text = floats(
        sizes.context_length,
        sizes.text_width,
        sizes.text_mlp_dim,
        sizes.text_layers,
    );
    (image + text) * size_of::<f32>()
}

/// Computes the losses and gradients of a batch.
///
/// # Errors
/// [`Error::Usage`] for token ids that the model doesn't know; [`Error::Compute`] if the device fails or an embedding is
/// not finite.
///
/// # Panics
/// If the batch is empty or a pass has no samples.
pub fn gradients(
    parameters: &Parameters,
    computing: &Computing,
    batch: &[Example],
    plan: Plan,
    matching: &Matching,
) -> Result<Gradients> {
    let towers = Towers::load(parameters, computing)?;
    gradients_of(parameters, &towers, batch, plan, matching)
}

/// Like [`gradients`], with towers that were already loaded from the parameters.
pub(super) fn gradients_of(
    parameters: &Parameters,
    towers: &Towers,
    batch: &[Example],
    plan: Plan,
    matching: &Matching,
) -> Result<Gradients> {
    assert!(
        !batch.is_empty() && plan.micro_batch > 0,
        "a batch has at least one sample"
    );
    let failed = || Error::compute("a training step");
    let logit_scale = parameters.tensor("logit_scale", DType::F32, &towers.engine.device)?;
    let pass = |part| PartPass::forward(towers, part, matching, plan.kept);
    let is_whole = batch.len() <= plan.micro_batch;
    let (mut parts, mut only) = (Vec::new(), None);
    for part in batch.chunks(plan.micro_batch) {
        let pass = pass(part)?;
        parts.push(pass.embeddings().detached());
        only = is_whole.then_some(pass);
    }
    let whole = joined(&parts).map_err(failed())?;
    drop(parts);
    let (losses, mut store) = of_embeddings(&whole.batch(), &logit_scale, matching).map_err(failed())?;
    let by_embedding = whole.gradients(&mut store).map_err(failed())?;
    let mut sum = result(parameters, &losses, store).map_err(failed())?;
    for (i, part) in batch.chunks(plan.micro_batch).enumerate() {
        let pass = match only.take() {
            Some(pass) => pass,
            None => pass(part)?,
        };
        let by_embedding = by_embedding.rows(i * plan.micro_batch, part.len()).map_err(failed())?;
        pass.backward(parameters, &by_embedding, &mut |store| {
            add(&mut sum.by_name, parameters, store)
        })?;
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

/// Adds the gradients of a pass to the sum.
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

/// The embeddings of a whole batch, as variables.
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
