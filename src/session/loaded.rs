//! A model that is loaded, with what evaluations, indexes and formats of results note of it.

use super::ModelPlan;
use crate::eval::comparison::ModelFacts;
#[cfg(feature = "parquet")]
use crate::kernels::{Threads, cpu::Level};
use crate::model::LongClip;
use crate::named::Named;
use crate::output::{Settings, Task};

/// A model that is loaded, and how it was asked for.
pub struct Loaded {
    /// The model.
    pub model: LongClip,
    /// Its name.
    pub name: String,
    /// How it was opened, and what computes it.
    pub plan: ModelPlan,
}

impl Loaded {
    /// The name of the numbers that it computes with.
    pub fn dtype(&self) -> &'static str {
        self.plan.compute.number_type.name()
    }

    /// What every format notes of a run with this model: no labels yet, one row per label, nothing carried.
    pub fn settings(&self, task: Task) -> Settings {
        Settings::new(task, &self.name, self.dtype())
    }

    /// What an evaluation says about it.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts::of(&self.name, self.dtype(), &self.model)
    }

    /// Threads for kernels besides the model's.
    #[cfg(feature = "parquet")]
    pub fn kernel_threads(&self) -> Threads {
        let level = self.plan.compute.cpu_level.unwrap_or_else(Level::best);
        Threads::with_level(self.plan.n_threads(), level)
    }
}
