//! A training from its first step to its last, or from where it was interrupted.
//!
//! Each step takes a batch, its gradients, and moves the weights; a line goes to `metrics.ndjson`. Every so many steps the
//! state is saved, so that whoever ends the process loses some steps and nothing else: resumed, it takes the same steps
//! with the same numbers. Called by `longclip train`, which watches through [`Observer`].

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::average::{Average, Snapshot};
use super::batches::{Batch, Batches};
use super::data::Dataset;
use super::gradients::{Gradients, gradients};
use super::loader::{Loader, Preparation};
use super::metrics::{Metrics, StepMetrics, TrainingMetrics};
use super::optimizer::AdamW;
use super::order::Order;
use super::parameters::Parameters;
use super::plot;
use super::saved::{self, BEST, Best, Moving, Progress, State};
use super::settings::Settings;
use super::skipped::{Begin, SkippedSamples};
use super::towers::{Computing, Towers};
use super::validate::{Validation, Validator};
use crate::error::{Error, Result};
use crate::labels::Template;
use crate::preprocess::Preprocess;
use crate::text::ContextLength;

/// All that a training needs.
pub struct Training<'a> {
    /// What it is set by.
    pub settings: &'a Settings,
    /// What the towers are computed on.
    pub computing: Computing,
    /// Threads that load samples.
    pub n_threads: usize,
    /// What is trained on.
    pub data: Arc<Dataset>,
    /// What is validated on.
    pub validation: Option<Arc<Dataset>>,
    /// What a validation asks for classes with, at least one.
    pub templates: &'a [Template],
    /// The run folder; it is there already.
    pub folder: &'a Path,
    /// Whether a state in the folder is gone on from.
    pub start: Start,
}

/// What becomes of a state that a run folder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It is an error.
    Anew,
    /// The training goes on from it; without one it begins.
    Resumed,
    /// It is replaced, and so are files of the same names that no training made.
    InPlace,
}

/// Watches a training, and may end it.
pub trait Observer {
    /// It begins, or goes on behind this step.
    fn begins(&mut self, done_steps: u64);
    /// A step is done, or the validation before the first one.
    fn step(&mut self, metrics: &StepMetrics);
    /// A sample can't be used; each is told once.
    fn skipped(&mut self, sample: &str, error: &Error);
    /// A validation begins, after so many steps.
    fn validates(&mut self, step: u64);
    /// Whether the training should save what it has and end.
    fn is_stopped(&mut self) -> bool;
}

/// What a training came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Steps that are done.
    pub step: u64,
    /// The best validation, where there was one.
    pub best: Option<Best>,
    /// Samples that could not be used.
    pub n_skipped: u64,
    /// Long captions that were longer than the context, and were cut.
    pub n_cut: u64,
    /// Whether it was ended before its last step.
    pub is_stopped: bool,
}

impl Training<'_> {
    /// Trains `parameters` to the last step, or until the observer wants an end.
    ///
    /// # Errors
    /// [`Error::Usage`] if the folder holds a training that this one may not touch, or the data fills no batch;
    /// [`Error::Write`] if something can't be saved; [`Error::Compute`] if the device fails, or a loss is not finite.
    pub fn run(&self, parameters: Parameters, observer: &mut dyn Observer) -> Result<Outcome> {
        let mut run = Run::begin(self, parameters)?;
        run.list_known_unusable(observer)?;
        observer.begins(run.progress.step);
        if run.progress.step == 0 && self.validation.is_some() {
            let validation = Some(run.validate(observer)?);
            run.write(observer, None, validation)?;
        }
        let mut batches = run.batches()?;
        let mut is_stopped = observer.is_stopped();
        while run.progress.step < self.settings.steps && !is_stopped {
            run.step(&mut batches, observer)?;
            is_stopped = observer.is_stopped();
            let at = run.progress.step;
            if is_stopped || at == self.settings.steps || at.is_multiple_of(self.settings.save_every) {
                run.save()?;
            }
        }
        drop(batches);
        if self.settings.steps == 0 {
            run.save()?;
        }
        plot::write(self.folder)?;
        Ok(Outcome {
            step: run.progress.step,
            best: run.progress.best,
            n_skipped: run.skipped.len(),
            n_cut: run.progress.n_cut,
            is_stopped: run.progress.step < self.settings.steps,
        })
    }

    fn preparation(&self, data: &Arc<Dataset>, parameters: &Parameters) -> Result<Preparation> {
        let sizes = parameters.sizes();
        Ok(Preparation {
            data: Arc::clone(data),
            preprocess: Preprocess::new(sizes.image_resolution_px),
            context: ContextLength::new(sizes.context_length)?,
        })
    }
}

/// The state to go on from. One without a step is only the mark of a training that was ended before it saved any: nothing
/// of that one is kept.
fn found_state(folder: &Path, start: Start) -> Result<Option<State>> {
    if start == Start::InPlace {
        return Ok(None);
    }
    if !State::is_in(folder) {
        saved::refuse_foreign_files(folder)?;
        return Ok(None);
    }
    let state = State::read(folder)?;
    match start {
        _ if state.progress.step == 0 => Ok(None),
        Start::Resumed => Ok(Some(state)),
        Start::Anew => Err(Error::usage(
            format!("`{}` holds a training already", folder.display()),
            "`--resume` continues it, `--force` replaces it; or name another `--out`",
        )),
        Start::InPlace => Ok(None),
    }
}

/// A training that is under way.
struct Run<'a> {
    training: &'a Training<'a>,
    moving: Moving,
    progress: Progress,
    metrics: Metrics,
    skipped: SkippedSamples,
}

impl<'a> Run<'a> {
    fn begin(training: &'a Training<'a>, parameters: Parameters) -> Result<Self> {
        let settings = training.settings;
        let average = settings.ema_decay.map(|decay| Average::new(decay, &parameters));
        let mut moving = Moving {
            average: average.transpose()?,
            optimizer: AdamW::new(settings.adamw),
            parameters,
        };
        let n_samples = training.data.len();
        let mut progress = Progress {
            n_samples,
            settings: settings.record(),
            ..Progress::default()
        };
        let folder = training.folder;
        let state = found_state(folder, training.start)?;
        let mut metrics = Metrics::open(folder)?;
        let begin = match state {
            Some(state) => {
                state.check(settings, n_samples)?;
                progress = moving.restore(state, settings)?;
                progress.settings = settings.record();
                metrics.keep(Some(progress.step))?;
                Begin::Resumed
            }
            None => {
                State::mark(folder, &progress)?;
                saved::forget_best(folder)?;
                metrics.keep(None)?;
                Begin::Anew
            }
        };
        moving.save_config(folder)?;
        Ok(Run {
            training,
            moving,
            progress,
            metrics,
            skipped: SkippedSamples::open(folder, begin)?,
        })
    }

    /// Lists what was found unusable while the data was looked through.
    fn list_known_unusable(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let validation = self.training.validation.iter();
        for data in std::iter::once(&self.training.data).chain(validation) {
            for unusable in data.unusable() {
                if self.skipped.add(&unusable.sample, &unusable.error)? {
                    observer.skipped(&unusable.sample, &unusable.error);
                }
            }
        }
        Ok(())
    }

    fn batches(&self) -> Result<Batches> {
        let Training {
            settings,
            data,
            n_threads,
            ..
        } = self.training;
        let preparation = self.training.preparation(data, &self.moving.parameters)?;
        let order = Order::new(settings.seed, data.len(), self.progress.position);
        // One whole batch is loaded while a step is computed with the one before it.
        let loader = Loader::start(preparation, order, *n_threads, settings.batch + n_threads)?;
        Ok(Batches::new(loader, settings.batch))
    }

    fn step(&mut self, batches: &mut Batches, observer: &mut dyn Observer) -> Result<()> {
        let began = Instant::now();
        let settings = self.training.settings;
        let batch = self.draw(batches, observer)?;
        let learning_rate = settings.schedule().rate(self.progress.step);
        let gradients = gradients(
            &self.moving.parameters,
            &self.training.computing,
            &batch.examples,
            settings.plan,
            &settings.matching,
        )?;
        let grad_norm = gradients.norm()?;
        self.check_finite(&gradients, grad_norm)?;
        let Moving {
            parameters,
            optimizer,
            average,
        } = &mut self.moving;
        optimizer.step(parameters.trained(), &gradients.by_name, learning_rate)?;
        if let Some(average) = average {
            average.update(parameters)?;
        }
        self.progress.step += 1;
        self.progress.position = batch.end;
        self.progress.n_cut += batch.n_cut;
        let step_s = began.elapsed().as_secs_f64();
        let training = TrainingMetrics {
            learning_rate,
            loss_long: gradients.loss_long,
            loss_short: gradients.loss_short,
            grad_norm,
            logit_scale: self.moving.parameters.logit_scale()?,
            images_per_s: settings.batch as f64 / step_s,
            step_ms: 1e3 * step_s,
            data_wait_ms: 1e3 * batch.waited.as_secs_f64(),
        };
        let validation = if self.is_time_to_validate() {
            Some(self.validate(observer)?)
        } else {
            None
        };
        self.write(observer, Some(training), validation)
    }

    fn draw(&mut self, batches: &mut Batches, observer: &mut dyn Observer) -> Result<Batch> {
        let mut unlisted = Ok(());
        let batch = batches.next(&mut |draw, error| {
            let sample = self.training.data.name(draw.sample_idx);
            match self.skipped.add(&sample, &error) {
                Ok(true) => observer.skipped(&sample, &error),
                Ok(false) => {}
                Err(error) => unlisted = Err(error),
            }
        })?;
        unlisted.map(|()| batch)
    }

    fn check_finite(&self, gradients: &Gradients, grad_norm: f64) -> Result<()> {
        let all = [gradients.loss_long, gradients.loss_short, grad_norm];
        if all.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        let step = self.progress.step + 1;
        Err(Error::usage(
            format!(
                "step {step} is not finite: losses {} and {}, gradients of length {grad_norm}",
                gradients.loss_long, gradients.loss_short
            ),
            "a lower `--lr`, a longer `--warmup` or another `--logit-scale` keeps a training stable; what was saved before is whole",
        ))
    }

    fn is_time_to_validate(&self) -> bool {
        let (settings, at) = (self.training.settings, self.progress.step);
        let is_due = settings.validate_every.is_some_and(|every| at.is_multiple_of(every));
        self.training.validation.is_some() && (is_due || at == settings.steps)
    }

    /// Validates the weights that would be saved, and keeps them if they are the best.
    fn validate(&mut self, observer: &mut dyn Observer) -> Result<Validation> {
        let training = self.training;
        let Some(data) = &training.validation else {
            unreachable!("validated only where there is data for it");
        };
        observer.validates(self.progress.step);
        let Moving {
            parameters, average, ..
        } = &self.moving;
        let validator = Validator {
            preparation: training.preparation(data, parameters)?,
            templates: training.templates,
            batch: training.settings.plan.micro_batch,
            n_threads: training.n_threads,
        };
        let source = Snapshot::new(parameters, average.as_ref());
        let computing = &training.computing;
        let towers = Towers::of(&source, parameters, computing, computing.way_back())?;
        let mut unlisted = Ok(());
        let skipped = &mut self.skipped;
        let validation = validator.run(&towers, &mut |draw, error| {
            let sample = data.name(draw.sample_idx);
            match skipped.add(&sample, &error) {
                Ok(true) => observer.skipped(&sample, &error),
                Ok(false) => {}
                Err(error) => unlisted = Err(error),
            }
        })?;
        unlisted?;
        let score = validation.score();
        if self.progress.best.is_none_or(|best| score > best.score) {
            let step = self.progress.step;
            self.moving.save_weights(training.folder, BEST)?;
            self.progress.best = Some(Best { step, score });
        }
        Ok(validation)
    }

    fn write(
        &mut self,
        observer: &mut dyn Observer,
        training: Option<TrainingMetrics>,
        validation: Option<Validation>,
    ) -> Result<()> {
        let metrics = StepMetrics {
            step: self.progress.step,
            training,
            validation,
        };
        self.metrics.write(&metrics)?;
        observer.step(&metrics);
        Ok(())
    }

    fn save(&self) -> Result<()> {
        self.metrics.sync()?;
        self.moving.save(self.training.folder, &self.progress)?;
        plot::write(self.training.folder)
    }
}
