//! Runs a training from its first step, or from a saved state, to its last step.
//!
//! Each step takes a batch, computes its gradients, moves the weights and appends a line to `metrics.ndjson`. The state is
//! saved every `save_every` steps, so ending the process loses at most those: a resumed training takes the same steps with
//! the same numbers. Called by `longclip train`, which watches through an [`Observer`].

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::average::{Average, Snapshot};
use super::batches::{Batch, Batches};
use super::data::TrainingSet;
use super::gradients::{Gradients, gradients};
use super::loader::{Loader, Preparation};
use super::metrics::{Metrics, StepMetrics, TrainingMetrics};
use super::optimizer::AdamW;
use super::order::Order;
use super::parameters::Parameters;
use super::plot::Plot;
use super::saved::{self, BEST, Best, SavedState, TrainingProgress, TrainingState};
use super::settings::Settings;
use super::skipped::{Begin, SkippedSamples};
use super::towers::{Computing, Towers};
use super::validate::{Validation, Validator};
use crate::error::{Control, Error, Result, hint};
use crate::labels::Template;
use crate::output::report::Reloading;
use crate::preprocess::Preprocess;
use crate::text::ContextLength;

/// A training's settings, data and folder.
pub struct Training<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The device and number type of the towers.
    pub computing: Computing,
    /// Threads that load samples.
    pub n_threads: usize,
    /// The training data.
    pub data: Arc<TrainingSet>,
    /// The validation data, if any.
    pub validation: Option<Arc<TrainingSet>>,
    /// Templates for the names of classes in a validation, at least one.
    pub templates: &'a [Template],
    /// The run folder, which must exist.
    pub folder: &'a Path,
    /// Whether to resume from a state in the folder.
    pub start: Start,
    /// What is trained on what, by name, for the page with the curves.
    pub facts: Vec<(&'static str, String)>,
}

/// What to do if the run folder has a saved state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Fail.
    Anew,
    /// Resume from it. Without a state, a new training begins.
    Resumed,
    /// Replace it, and files of the same names that no training made.
    InPlace,
}

/// Watches a training and can stop it.
pub trait Observer {
    /// The training begins, or resumes after `done_steps` steps.
    fn begins(&mut self, done_steps: u64);
    /// A step is done, or the validation before the first step.
    fn step(&mut self, metrics: &StepMetrics);
    /// A sample can't be used. Called once per sample.
    fn skipped(&mut self, sample: &str, error: &Error);
    /// A validation begins after `step` steps.
    fn validates(&mut self, step: u64);
    /// Whether the training should save its state and stop.
    fn is_stopped(&mut self) -> bool;
}

/// The result of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Completed steps.
    pub step: u64,
    /// The best validation, if there was one.
    pub best: Option<Best>,
    /// Samples that could not be used.
    pub n_skipped: u64,
    /// Long captions that were cut to the context length.
    pub n_cut: u64,
    /// Whether it was stopped before the last step.
    pub is_stopped: bool,
}

impl Training<'_> {
    /// Trains `parameters` to the last step, or until the observer stops it.
    ///
    /// # Errors
    /// [`Error::Usage`] if the folder has another training, a loss is not finite, or the data doesn't fill a batch;
    /// [`Error::Write`] if a file can't be written; [`Error::Compute`] if the device fails.
    pub fn run(&self, parameters: Parameters, observer: &mut dyn Observer) -> Result<Outcome> {
        let mut run = ActiveRun::begin(self, parameters)?;
        run.list_known_unusable(observer)?;
        observer.begins(run.progress.step);
        if run.progress.step == 0 && self.validation.is_some() {
            let validation = Some(run.validate(observer)?);
            run.write(observer, None, validation)?;
        }
        let mut plot = Plot::new(self.folder, &self.facts);
        plot.draw_if_due()?;
        let mut batches = run.batches()?;
        let mut is_stopped = observer.is_stopped();
        while run.progress.step < self.settings.steps && !is_stopped {
            run.step(&mut batches, observer)?;
            is_stopped = observer.is_stopped();
            let at = run.progress.step;
            if is_stopped || at == self.settings.steps || at.is_multiple_of(self.settings.save_every) {
                run.save()?;
            }
            plot.draw_if_due()?;
        }
        drop(batches);
        if self.settings.steps == 0 {
            run.save()?;
        }
        plot.draw(Reloading::Never)?;
        Ok(Outcome {
            step: run.progress.step,
            best: run.progress.best,
            n_skipped: run.skipped.len(),
            n_cut: run.progress.n_cut,
            is_stopped: run.progress.step < self.settings.steps,
        })
    }

    fn preparation(&self, data: &Arc<TrainingSet>, parameters: &Parameters) -> Result<Preparation> {
        let sizes = parameters.sizes();
        Ok(Preparation {
            data: Arc::clone(data),
            preprocess: Preprocess::with_recipe(sizes.image_resolution_px, parameters.recipe().pixels.clone()),
            context: ContextLength::new(sizes.context_length)?,
        })
    }
}

/// The state to resume from. A state without a step only marks the folder of a training that was ended before its first
/// save; nothing of that training is kept.
fn found_state(folder: &Path, start: Start) -> Result<Option<SavedState>> {
    if start == Start::InPlace {
        return Ok(None);
    }
    if !SavedState::is_in(folder) {
        saved::refuse_foreign_files(folder)?;
        return Ok(None);
    }
    let state = SavedState::read(folder)?;
    match start {
        _ if state.progress.step == 0 => Ok(None),
        Start::Resumed => Ok(Some(state)),
        Start::Anew => Err(Error::usage(
            format!("`{}` already has a training", folder.display()),
            hint!(
                "{} continues it, {} replaces it",
                Control::Resume,
                Control::ReplaceFiles
            )
            .or("use another folder"),
        )),
        Start::InPlace => Ok(None),
    }
}

/// A training in progress.
struct ActiveRun<'a> {
    training: &'a Training<'a>,
    state: TrainingState,
    progress: TrainingProgress,
    metrics: Metrics,
    skipped: SkippedSamples,
}

impl<'a> ActiveRun<'a> {
    fn begin(training: &'a Training<'a>, parameters: Parameters) -> Result<Self> {
        let settings = training.settings;
        let average = settings.ema_decay.map(|decay| Average::new(decay, &parameters));
        let mut state = TrainingState {
            average: average.transpose()?,
            optimizer: AdamW::new(settings.adamw),
            parameters,
        };
        let n_samples = training.data.len();
        let mut progress = TrainingProgress {
            n_samples,
            settings: settings.record(),
            ..TrainingProgress::default()
        };
        let folder = training.folder;
        let saved = found_state(folder, training.start)?;
        let mut metrics = Metrics::open(folder)?;
        let begin = match saved {
            Some(saved) => {
                saved.check(settings, n_samples)?;
                progress = state.restore(saved, settings)?;
                progress.settings = settings.record();
                metrics.keep(Some(progress.step))?;
                Begin::Resumed
            }
            None => {
                SavedState::mark(folder, &progress)?;
                saved::remove_best(folder)?;
                metrics.keep(None)?;
                Begin::Anew
            }
        };
        state.save_config(folder)?;
        Ok(ActiveRun {
            training,
            state,
            progress,
            metrics,
            skipped: SkippedSamples::open(folder, begin)?,
        })
    }

    /// Lists the samples that were found unusable when the data was opened.
    fn list_known_unusable(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let validation = self.training.validation.iter();
        for data in std::iter::once(&self.training.data).chain(validation) {
            for unusable in data.unusable() {
                skip(&mut self.skipped, observer, &unusable.place, &unusable.error)?;
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
        let preparation = self.training.preparation(data, &self.state.parameters)?;
        let order = Order::new(settings.seed, data.len(), self.progress.position);
        // Loads the next batch while a step is computed.
        let loader = Loader::start(preparation, order, *n_threads, settings.batch + n_threads)?;
        Ok(Batches::new(loader, settings.batch))
    }

    fn step(&mut self, batches: &mut Batches, observer: &mut dyn Observer) -> Result<()> {
        let began = Instant::now();
        let settings = self.training.settings;
        let batch = self.draw(batches, observer)?;
        let learning_rate = settings.schedule().rate(self.progress.step);
        let gradients = gradients(
            &self.state.parameters,
            &self.training.computing,
            &batch.examples,
            settings.plan,
            &settings.matching,
        )?;
        let grad_norm = gradients.norm()?;
        self.check_finite(&gradients, grad_norm)?;
        let TrainingState {
            parameters,
            optimizer,
            average,
        } = &mut self.state;
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
            logit_scale: self.state.parameters.logit_scale()?,
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
        let data = &self.training.data;
        batches.next(&mut |draw, error| skip(&mut self.skipped, observer, &data.name(draw.sample_idx), &error))
    }

    fn check_finite(&self, gradients: &Gradients, grad_norm: f64) -> Result<()> {
        let all = [gradients.loss_long, gradients.loss_short, grad_norm];
        if all.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        let step = self.progress.step + 1;
        Err(Error::usage(
            format!(
                "step {step} is not finite: losses {} and {}, gradient norm {grad_norm}",
                gradients.loss_long, gradients.loss_short
            ),
            "use a lower learning rate, a longer warmup or another initial logit scale; the last saved state is intact",
        ))
    }

    fn is_time_to_validate(&self) -> bool {
        let (settings, at) = (self.training.settings, self.progress.step);
        let is_due = settings.validate_every.is_some_and(|every| at.is_multiple_of(every));
        self.training.validation.is_some() && (is_due || at == settings.steps)
    }

    /// Validates the weights that would be saved, and saves them if they are the best so far.
    fn validate(&mut self, observer: &mut dyn Observer) -> Result<Validation> {
        let training = self.training;
        let Some(data) = &training.validation else {
            unreachable!("there is validation data");
        };
        observer.validates(self.progress.step);
        let TrainingState {
            parameters, average, ..
        } = &self.state;
        let validator = Validator {
            preparation: training.preparation(data, parameters)?,
            templates: training.templates,
            batch: training.settings.plan.micro_batch,
            n_threads: training.n_threads,
        };
        let source = Snapshot::new(parameters, average.as_ref());
        let computing = &training.computing;
        let towers = Towers::of(&source, parameters, computing, computing.operations())?;
        let skipped = &mut self.skipped;
        let validation = validator.run(&towers, &mut |draw, error| {
            skip(skipped, observer, &data.name(draw.sample_idx), &error)
        })?;
        let score = validation.score();
        if self.progress.best.is_none_or(|best| score > best.score) {
            let step = self.progress.step;
            self.state.save_weights(training.folder, BEST)?;
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
        self.state.save(self.training.folder, &self.progress)
    }
}

/// Lists a sample that can't be used, and reports it if it is new.
fn skip(skipped: &mut SkippedSamples, observer: &mut dyn Observer, sample: &str, error: &Error) -> Result<()> {
    if skipped.add(sample, error)? {
        observer.skipped(sample, error);
    }
    Ok(())
}
