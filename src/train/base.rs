//! What a training starts from: a checkpoint, or random weights; and the temperature that it begins with.

use candle_core::Device;
use sha2::{Digest, Sha256};

use super::fresh::{FIRST_LOGIT_SCALE, fresh};
use super::parameters::Parameters;
use crate::error::Result;
use crate::weights::{Architecture, Checkpoint, identity};

/// The value that upstream's training starts from, for any base (`train/train.py`).
pub const UPSTREAMS_LOGIT_SCALE: f64 = 4.6052;

/// The weights that a training starts from.
pub struct Base {
    /// Its name as given.
    pub name: String,
    /// Identifies its weights, or its sizes if they are random.
    pub digest: String,
    /// The weights.
    pub parameters: Parameters,
    /// The logarithm of the inverse temperature that a training begins with if none is named.
    first_logit_scale: f64,
}

impl Base {
    /// Random weights.
    ///
    /// # Errors
    /// As [`Parameters::from_checkpoint`].
    pub fn fresh(
        name: String,
        architecture: &Architecture,
        seed: u64,
        freeze: &[String],
        device: &Device,
    ) -> Result<Self> {
        Ok(Base {
            name,
            digest: digest(architecture.description().as_bytes()),
            parameters: fresh(architecture, seed, freeze, device)?,
            first_logit_scale: FIRST_LOGIT_SCALE,
        })
    }

    /// The weights of a checkpoint.
    ///
    /// # Errors
    /// As [`Parameters::from_checkpoint`].
    pub fn of(name: String, checkpoint: &Checkpoint, freeze: &[String], device: &Device) -> Result<Self> {
        Ok(Base {
            name,
            digest: digest(&checkpoint.content_digest()),
            parameters: Parameters::from_checkpoint(checkpoint, freeze, device)?,
            first_logit_scale: UPSTREAMS_LOGIT_SCALE,
        })
    }

    /// The base's own `logit_scale`, if it is trained from a value that is far from it: upstream's fits OpenAI's models, which
    /// end there, and disturbs another base in its first steps.
    ///
    /// # Errors
    /// As [`Parameters::logit_scale`].
    pub fn disturbed_logit_scale(&self) -> Result<Option<f64>> {
        const NEAR: f64 = 0.25;
        let own = self.parameters.logit_scale()?;
        let is_far = (own - self.first_logit_scale).abs() > NEAR;
        Ok((self.parameters.trains_logit_scale() && is_far).then_some(own))
    }

    /// Begins at a `logit_scale`: the named one or, if it is trained, the usual one. A frozen scale keeps its value.
    ///
    /// # Errors
    /// As [`Parameters::set_logit_scale`].
    pub fn begin_at(&mut self, named: Option<f64>) -> Result<()> {
        let usual = self.parameters.trains_logit_scale().then_some(self.first_logit_scale);
        match named.or(usual) {
            Some(logit_scale) => self.parameters.set_logit_scale(logit_scale),
            None => Ok(()),
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    identity(Sha256::new_with_prefix(bytes))
}
