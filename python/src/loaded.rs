//! Finds a model by its name and opens it, and opens it again in a process that was forked from this one.

use std::mem;
use std::process;

use longclip::model::{DeviceChoice, LongClip, LongClipOptions, NumberType};
use longclip::named::Named;
use longclip::session::ModelPlan;
use longclip::weights::hub::Progress;
use longclip::weights::names::{self, ModelSource, Resolved};
use longclip::weights::{Activation, LoadOptions, Notice, Stretching, TextPositions};
use longclip::{Error, Result};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::environment;
use crate::errors::in_python;

/// How a model is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Request {
    name: Option<String>,
    device: String,
    dtype: String,
    threads: Option<usize>,
    activation: Option<String>,
    stretch: bool,
    upstream_rounding: bool,
    ignore_surplus: bool,
    positions: Option<String>,
}

/// The model in one process. Its threads are not in a process that was forked from this one.
pub(crate) struct Loaded {
    process: u32,
    /// Taken only when it is dropped.
    parts: Option<(LongClip, ThreadPool)>,
}

impl Request {
    /// Finds the model by its name, and fetches it where it must.
    pub(crate) fn find(&self) -> Result<Resolved> {
        let mut announced = Vec::new();
        names::resolve(
            self.name.as_deref(),
            &environment::places(),
            &environment::hub(),
            &mut |progress| log_progress(progress, &mut announced),
        )
    }

    /// How the model is opened and computed.
    pub(crate) fn plan(&self) -> Result<ModelPlan> {
        const MOST_THREADS: usize = 1024;
        if let Some(threads) = self.threads.filter(|n| !(1..=MOST_THREADS).contains(n)) {
            return Err(Error::usage(
                format!("{threads} threads"),
                format!("give 1 to {MOST_THREADS}, or leave it out for one per physical core"),
            ));
        }
        Ok(ModelPlan {
            load: LoadOptions {
                stretching: self.stretch.then(Stretching::default),
                rounds_as_upstream: self.upstream_rounding,
                ignores_surplus: self.ignore_surplus,
                positions: self.positions.as_deref().map(TextPositions::from_name).transpose()?,
            },
            compute: LongClipOptions {
                device: DeviceChoice::from_name(&self.device)?,
                number_type: NumberType::from_name(&self.dtype)?,
                threads: self.threads,
                cpu_level: environment::cpu_level()?,
                activation: self.activation.as_deref().map(Activation::from_name).transpose()?,
            },
        })
    }
}

impl Loaded {
    /// Opens the model in this process.
    pub(crate) fn open(plan: &ModelPlan, source: &ModelSource) -> Result<Loaded> {
        let model = plan.load(source)?;
        if model.has_own_tokenizer() {
            return Err(Error::usage(
                "a model with a tokenizer of its own",
                "use it with the command `longclip`: `tokenize` of this package has CLIP's vocabulary",
            ));
        }
        log_notices(model.notices());
        // What the library leaves to rayon stays within the threads that were asked for, and is not lost by a fork.
        let pool = ThreadPoolBuilder::new().num_threads(plan.n_threads()).build();
        let pool =
            pool.map_err(|error| Error::system("start the threads of the model")(std::io::Error::other(error)))?;
        Ok(Loaded {
            process: process::id(),
            parts: Some((model, pool)),
        })
    }

    /// Whether this process is the one that it was loaded in.
    pub(crate) fn is_at_home(&self) -> bool {
        self.process == process::id()
    }

    /// Works with the model.
    pub(crate) fn with<T: Send>(&self, work: impl FnOnce(&LongClip) -> T + Send) -> T {
        let (model, pool) = self.parts.as_ref().expect("they are taken only when this is dropped");
        pool.install(|| work(model))
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // Dropping the pools would wait for threads that are not in this process.
        if !self.is_at_home() {
            mem::forget(self.parts.take());
        }
    }
}

/// Says in Python's log what was decided about the weights, or is wrong with their config.
fn log_notices(notices: &[Notice]) {
    for line in notices.iter().filter_map(|notice| in_python(&notice.words())) {
        warn(&line);
    }
}

/// Says in Python's log what the hub is doing, since it may take minutes.
fn log_progress(progress: Progress<'_>, announced: &mut Vec<String>) {
    let line = match progress {
        Progress::Downloading { file, bytes_total, .. } => {
            format!("downloading `{file}` ({} MB)", bytes_total / 1_000_000)
        }
        Progress::Waiting { file } => format!("another process downloads `{file}`; waiting for it"),
        Progress::Checking { .. } | Progress::Finished { .. } => return,
    };
    if announced.contains(&line) {
        return;
    }
    warn(&line);
    announced.push(line);
}

fn warn(line: &str) {
    Python::attach(|py| {
        let logger = py
            .import("logging")
            .and_then(|logging| logging.call_method1("getLogger", ("longclip",)));
        // A log that can't be written to is no reason not to load a model.
        let _ = logger.and_then(|logger| logger.call_method1("warning", ("%s", line)));
    });
}
