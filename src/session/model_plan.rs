//! How to open and compute a model, as the caller asked.

use crate::error::Result;
use crate::kernels::physical_cores;
use crate::model::{DeviceChoice, LongClip, LongClipOptions};
use crate::pipeline::{Settings, Sharing};
use crate::weights::names::ModelSource;
use crate::weights::{Checkpoint, LoadOptions};

/// All that it takes to load a model, again too.
#[derive(Debug, Clone)]
pub struct ModelPlan {
    /// How its file is read.
    pub load: LoadOptions,
    /// What computes it.
    pub compute: LongClipOptions,
}

impl ModelPlan {
    /// Opens the model.
    ///
    /// # Errors
    /// As [`Checkpoint::open_source`] and [`LongClip::from_checkpoint`].
    pub fn load(&self, source: &ModelSource) -> Result<LongClip> {
        let checkpoint = Checkpoint::open_source(source, &self.load)?;
        LongClip::from_checkpoint(checkpoint, &self.compute)
    }

    /// Threads of the CPU.
    pub fn n_threads(&self) -> usize {
        self.compute.threads.unwrap_or_else(physical_cores)
    }

    /// Batches and threads for images on their way to this model.
    pub fn pipeline(&self, model: &LongClip) -> Settings {
        let sharing = match self.compute.device {
            DeviceChoice::Cpu => Sharing::TakeTurns,
            DeviceChoice::Cuda(_) | DeviceChoice::Metal(_) => Sharing::SideBySide,
        };
        Settings::fitting(sharing, self.n_threads(), model.picture_bytes())
    }
}
