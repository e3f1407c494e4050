//! `longclip train --base W --data D --out DIR`: trains a Long-CLIP from any CLIP, or a new one from random weights.

mod flags;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Device;
use longclip::error::counted;
use longclip::labels::{Template, named_templates};
use longclip::session::Writing;
use longclip::train::base::{Base, UPSTREAMS_LOGIT_SCALE};
use longclip::train::data::{TrainingOptions, TrainingSet};
use longclip::train::gradients::Plan;
use longclip::train::parameters::Parameters;
use longclip::train::run::Training;
use longclip::train::saved::FILES;
use longclip::train::settings::{Materials, Settings};
use longclip::train::towers::Computing;
use longclip::weights::names::ModelSource;
use longclip::weights::{Architecture, Checkpoint, LoadOptions, Stretching};
use longclip::{Error, Result, kernels};

use self::flags::{DataFlags, MethodFlags, RunFlags, StartFlags};
use self::watch::Watch;
use super::Outcome;
use super::find_model::find_model;
use super::report::{Exit, Report};
use super::targets::model_files;
use super::this_command::this_command;

const EXAMPLES: &str = "\
Examples:
  longclip train --base longclip-b --data captions.ndjson --out run
  longclip train --base nano --data classes/ --epochs 6 --out run
  longclip train --base nano --data captions.ndjson --out run --resume";

const NOTES: &str = "\
More examples:
  longclip train --base clip.safetensors --data shards/ --out run
  longclip train --init config.json --data classes/ --lr 5e-4 --out run

Data, each of one kind: records, one per line, {\"path\": \"a.jpg\", \"long\": \"...\"},
with `text` or `caption` for `long`, perhaps `short` (else the first sentence of
`long`) and `class`; ShareGPT4V json; WebDataset tars (jpg and txt), packed or
not, or a folder of them; a folder with one folder of images per class; and
others, see docs/data.md.

The run folder gets last.safetensors and, with --val-data, best.safetensors
(models for `--model`), state.safetensors (for `--resume`), metrics.ndjson,
loss.html and skipped.ndjson. Ctrl-C saves after the step and exits with 130.";

/// Train a Long-CLIP from any CLIP, or a new model from scratch
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    start: StartFlags,
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    method: MethodFlags,
    #[command(flatten)]
    run: RunFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    args.refuse_inputs()?;
    kernels::keep_freed_memory();
    let device = args.start.device.open()?;
    let Base {
        name,
        digest,
        parameters,
        ..
    } = begun(args, &device, report)?;
    let dtype = args.start.dtype.of(args.start.device)?;
    let folder = &args.run.out;
    std::fs::create_dir_all(folder).map_err(Error::write(folder))?;
    let templates = templates(args.data.templates.as_deref())?;
    let options = TrainingOptions {
        images: args.data.images.clone(),
        templates: templates.clone(),
        scratch: folder.clone(),
    };
    let data = TrainingSet::open(&args.data.data, &options)?;
    let validation = match args.data.val_data.is_empty() {
        true => None,
        false => Some(Arc::new(TrainingSet::open(&args.data.val_data, &options)?)),
    };
    let materials = Materials {
        base_digest: digest,
        data_digest: data.digest(),
        val_data_digest: validation.as_ref().map(|data| data.digest()),
        templates: templates.iter().map(|template| template.fill("{}")).collect(),
        dtype: dtype.as_str().to_owned(),
    };
    let settings = settings(args, &parameters, name, materials, data.len(), report)?;
    let facts = args.facts(&settings, &data.about());
    say_what_is_trained(&parameters, &settings, &data.about(), report);
    let training = Training {
        settings: &settings,
        computing: Computing { dtype, device },
        n_threads: args.run.threads.map_or_else(kernels::physical_cores, usize::from),
        data: Arc::new(data),
        validation,
        templates: &templates,
        folder,
        start: args.run.start(),
        facts,
    };
    let mut watch = Watch::new(report, &training);
    let outcome = training.run(parameters, &mut watch);
    watch.end();
    let outcome = outcome?;
    watch.sum_up(&outcome);
    Ok(if outcome.is_stopped {
        Exit::Interrupted
    } else {
        Exit::Done
    })
}

impl Args {
    /// What the page with the curves says about the training.
    fn facts(&self, settings: &Settings, about: &str) -> Vec<(&'static str, String)> {
        let names = |paths: &[PathBuf]| {
            let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            names.join(", ")
        };
        vec![
            ("data", format!("{} ({about})", names(&self.data.data))),
            ("validation data", names(&self.data.val_data)),
            ("base model", settings.base.clone()),
            (
                "steps",
                format!("{}, each of {}", settings.steps, counted(settings.batch, "sample")),
            ),
            ("command", this_command()),
        ]
    }

    /// Refuses to overwrite what is read: data, a base or a config in the run folder with a name that a training writes.
    fn refuse_inputs(&self) -> Result<()> {
        let folder = &self.run.out;
        let base = self.start.base.as_deref();
        let writing = Writing::new(self.run.force.existing()).reads("the data", &self.data.data);
        let writing = writing.reads("the validation data", &self.data.val_data);
        let writing = writing.reads("the config", &self.start.init);
        let writing = writing.reads("the file of templates", self.data.templates.as_deref());
        let model = base.map_or_else(Vec::new, |base| model_files(Some(base)));
        let writing = writing.reads("the model", model);
        let there = FILES.iter().map(|name| folder.join(name)).filter(|file| file.exists());
        there
            .into_iter()
            .try_for_each(|file| writing.refuse_input("--out", &file))
    }
}

/// The weights to start from.
fn begun(args: &Args, device: &Device, report: Report) -> Result<Base> {
    let MethodFlags { freeze, seed, .. } = &args.method;
    let mut base = if let Some(config) = &args.start.init {
        let architecture = Architecture::read(config)?;
        report.model_notices(&architecture.notices);
        Base::fresh(config.display().to_string(), &architecture, *seed, freeze, device)?
    } else {
        let found = find_model(args.start.base.as_deref(), report)?;
        let options = args.start.reading.options();
        let checkpoint = Checkpoint::open_source(&found.source, &options)?;
        report.model_notices(checkpoint.notices());
        if options.stretching.is_none() {
            warn_if_never_stretched(&found.source, options, &checkpoint, report)?;
        }
        Base::of(found.name, &checkpoint, freeze, device)?
    };
    if let (None, Some(own)) = (args.method.logit_scale, base.disturbed_logit_scale()?) {
        report.warning(format!(
            "the base's `logit_scale` is {own:.4}, and the training begins with {UPSTREAMS_LOGIT_SCALE}, as upstream's does; \
             `--logit-scale {own:.4}` keeps the base's"
        ));
    }
    base.begin_at(args.method.logit_scale)?;
    Ok(base)
}

fn warn_if_never_stretched(
    source: &ModelSource,
    options: LoadOptions,
    unstretched: &Checkpoint,
    report: Report,
) -> Result<()> {
    let stretching = LoadOptions {
        stretching: Some(Stretching::default()),
        ..options
    };
    let stretched = Checkpoint::open_source(source, &stretching)?;
    let context_length = unstretched.sizes().context_length;
    if stretched.sizes().context_length == context_length {
        report.warning(format!(
            "`--no-stretch` changes nothing: this base reads {context_length} tokens as it is"
        ));
    }
    Ok(())
}

/// The named templates: a template itself, a published set, a file, or the default.
fn templates(named: Option<&str>) -> Result<Vec<Template>> {
    match named {
        None => Ok(vec![Template::new("a photo of a {}.")?]),
        Some(template) if template.contains("{}") => Ok(vec![Template::new(template)?]),
        Some(named) => named_templates(named),
    }
}

/// All settings of the training, including defaults that depend on the data.
fn settings(
    args: &Args,
    parameters: &Parameters,
    base: String,
    materials: Materials,
    n_samples: usize,
    report: Report,
) -> Result<Settings> {
    let (method, run) = (&args.method, &args.run);
    let batch = method.batch;
    if batch > n_samples {
        return Err(Error::usage(
            format!(
                "the data has {}, and a batch takes {batch}",
                counted(n_samples, "sample")
            ),
            "give more data, or a smaller `--batch`",
        ));
    }
    let matching = method.matching();
    let whole = |components: &usize| batch > 1 && *components >= batch;
    if let Some(components) = matching.components.filter(whole) {
        report.warning(format!(
            "a batch of {batch} has no more than its {components} principal components: short captions are matched with whole \
             images; a larger `--batch` or fewer `--components` make a difference"
        ));
    }
    if batch < 2 {
        report.warning("a batch of one has nothing to tell its sample from: the losses are 0");
    }
    let steps_an_epoch = (n_samples / batch) as u64;
    let steps = match (method.steps, method.epochs) {
        (Some(steps), _) => steps,
        (None, epochs) => steps_an_epoch * epochs.unwrap_or(1),
    };
    if method.warmup >= steps && steps > 0 {
        report.warning(format!(
            "the warm-up of {} is not shorter than the training of {}: the rate never falls; `--warmup {}` would be a tenth",
            counted(method.warmup, "step"),
            counted(steps, "step"),
            steps / 10
        ));
    }
    if args.run.validate_every.is_some() && args.data.val_data.is_empty() {
        return Err(Error::usage(
            "`--validate-every` without data to validate on",
            "name some by `--val-data`",
        ));
    }
    let fitting = Plan::fitting(batch, method.kept(), parameters.sizes());
    Ok(Settings {
        context_length: parameters.sizes().context_length,
        base,
        materials,
        steps,
        batch,
        learning_rate: method.lr,
        warmup_steps: method.warmup,
        adamw: method.adamw(),
        matching,
        logit_scale: parameters.logit_scale()?,
        freeze: method.freeze.clone(),
        ema_decay: method.ema,
        seed: method.seed,
        plan: Plan {
            micro_batch: method.micro_batch.unwrap_or(fitting.micro_batch),
            ..fitting
        },
        validate_every: run.validate_every,
        save_every: run.save_every,
    })
}

fn say_what_is_trained(parameters: &Parameters, settings: &Settings, data: &str, report: Report) {
    let n_weights: usize = parameters.trained().values().map(|var| var.elem_count()).sum();
    report.note(format!(
        "training {:.1} million weights of {} with {} tokens, on {data}: {} of {}",
        n_weights as f64 / 1e6,
        settings.base,
        settings.context_length,
        counted(settings.steps, "step"),
        settings.batch,
    ));
    if settings.plan.micro_batch < settings.batch {
        report.note(format!(
            "a batch is computed {} samples at a time, at the cost of one more pass forward",
            settings.plan.micro_batch
        ));
    }
}
