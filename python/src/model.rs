//! A model as Python holds it: found by name, loaded, and loaded again in a process that was forked from its own.

use std::mem;
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use longclip::kernels::physical_cores;
use longclip::model::{self, DeviceChoice, Embeddings, LongClip, LongClipOptions, NumberType};
use longclip::output::arrow::Row;
use longclip::output::{Bars, Fields, Layout, Settings, Task};
use longclip::preprocess::Pixels;
use longclip::weights::hub::Progress;
use longclip::weights::names::{self, ModelSource};
use longclip::weights::{Activation, Checkpoint, LoadOptions, Rounding, Stretching, Surplus};
use longclip::{Error, Result};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::environment;
use crate::errors::{Halt, unlocked};
use crate::numbers::{floats, to_floats, to_ids};
use crate::picture::Picture;
use crate::run::{self, Pictures};
use crate::stream::widened;

/// A loaded model.
#[pyclass(frozen, module = "longclip._native")]
pub(crate) struct Model {
    recipe: Recipe,
    loaded: Mutex<Arc<Loaded>>,
    #[pyo3(get)]
    pub(crate) name: String,
    /// A line that the person should read: another model than they may expect was chosen.
    #[pyo3(get)]
    notice: Option<String>,
}

/// All that it takes to load the model again.
#[derive(Clone)]
struct Recipe {
    source: ModelSource,
    load: LoadOptions,
    options: LongClipOptions,
}

/// The model in one process. Its threads are not in a process that was forked from this one.
pub(crate) struct Loaded {
    process: u32,
    /// Taken only when it is dropped.
    parts: Option<(LongClip, ThreadPool)>,
}

/// How a model is asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Request {
    name: Option<String>,
    device: String,
    dtype: String,
    threads: Option<usize>,
    activation: Option<String>,
    stretch: bool,
    upstream_rounding: bool,
    ignore_surplus: bool,
}

/// What a stream is given.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct StreamOutput {
    normalize: bool,
}

impl Request {
    fn recipe(&self, source: ModelSource) -> Result<Recipe> {
        const MOST_THREADS: usize = 1024;
        if let Some(threads) = self.threads.filter(|n| !(1..=MOST_THREADS).contains(n)) {
            return Err(Error::usage(
                format!("{threads} threads"),
                format!("give 1 to {MOST_THREADS}, or leave it out: there is one a physical core then"),
            ));
        }
        Ok(Recipe {
            source,
            load: LoadOptions {
                stretching: self.stretch.then(Stretching::default),
                rounding: if self.upstream_rounding {
                    Rounding::Upstream
                } else {
                    Rounding::None
                },
                surplus: if self.ignore_surplus {
                    Surplus::Ignore
                } else {
                    Surplus::Refuse
                },
            },
            options: LongClipOptions {
                device: DeviceChoice::from_name(&self.device)?,
                number_type: NumberType::from_name(&self.dtype)?,
                threads: self.threads,
                cpu_level: environment::cpu_level()?,
                activation: self.activation.as_deref().map(activation).transpose()?,
            },
        })
    }
}

fn activation(name: &str) -> Result<Activation> {
    match name {
        "quick-gelu" => Ok(Activation::QuickGelu),
        "gelu" => Ok(Activation::Gelu),
        _ => Err(Error::usage(
            format!("there is no activation `{name}`"),
            "it may be `quick-gelu` or `gelu`",
        )),
    }
}

impl Recipe {
    fn threads(&self) -> usize {
        self.options.threads.unwrap_or_else(physical_cores)
    }

    fn load(&self) -> Result<Loaded> {
        let checkpoint = Checkpoint::open_source(&self.source, &self.load)?;
        let model = LongClip::from_checkpoint(checkpoint, &self.options)?;
        // What the library leaves to rayon stays within the threads that were asked for, and is not lost by a fork.
        let pool = ThreadPoolBuilder::new().num_threads(self.threads()).build();
        let pool = pool.map_err(|error| Error::Read {
            path: "threads of the model".into(),
            source: std::io::Error::other(error),
        })?;
        Ok(Loaded {
            process: process::id(),
            parts: Some((model, pool)),
        })
    }
}

impl Loaded {
    /// Works with the model.
    pub(crate) fn with<T: Send>(&self, work: impl FnOnce(&LongClip) -> T + Send) -> T {
        let (model, pool) = self.parts.as_ref().expect("they are taken only when this is dropped");
        pool.install(|| work(model))
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // Dropping the pools would wait for threads that are not in this process.
        if self.process != process::id() {
            mem::forget(self.parts.take());
        }
    }
}

impl Model {
    /// The model in this process.
    pub(crate) fn loaded(&self) -> Result<Arc<Loaded>> {
        let mut held = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if held.process != process::id() {
            *held = Arc::new(self.recipe.load()?);
        }
        Ok(Arc::clone(&held))
    }

    /// Works with the model without the interpreter's lock.
    fn unlocked<T: Send>(&self, py: Python<'_>, work: impl FnOnce(&LongClip) -> Result<T> + Send) -> PyResult<T> {
        unlocked(py, || self.loaded()?.with(work))
    }

    /// A fact that needs no computing.
    fn fact<T: Send>(&self, py: Python<'_>, fact: impl FnOnce(&LongClip) -> T + Send) -> PyResult<T> {
        self.unlocked(py, |model| Ok(fact(model)))
    }

    /// What formats note of a run with this model.
    pub(crate) fn settings(&self, task: Task) -> Settings {
        Settings {
            task,
            labels: Vec::new(),
            groups: Vec::new(),
            layout: Layout::Long,
            fields: Fields::Carried,
            bars: Bars::None,
            model: self.name.clone(),
            dtype: self.dtype().to_owned(),
        }
    }

    pub(crate) fn thread_count(&self) -> usize {
        self.recipe.threads()
    }

    pub(crate) fn computes_on_cpu(&self) -> bool {
        self.recipe.options.device == DeviceChoice::Cpu
    }
}

/// Says in Python's log what the hub is doing, since it may take minutes.
fn log_progress(progress: Progress<'_>, announced: &mut Vec<String>) {
    let line = match progress {
        Progress::Downloading { file, bytes_total, .. } => {
            format!("downloading `{file}` ({} MB)", bytes_total / 1_000_000)
        }
        Progress::Waiting { file } => format!("another process downloads `{file}`; waiting for it"),
        _ => return,
    };
    if announced.contains(&line) {
        return;
    }
    Python::attach(|py| {
        let logger = py
            .import("logging")
            .and_then(|logging| logging.call_method1("getLogger", ("longclip",)));
        // A log that can't be written to is no reason not to load a model.
        let _ = logger.and_then(|logger| logger.call_method1("warning", ("%s", &line)));
    });
    announced.push(line);
}

#[pymethods]
impl Model {
    #[new]
    fn new(py: Python<'_>, request: Request) -> PyResult<Self> {
        unlocked(py, || {
            let mut announced = Vec::new();
            let found = names::resolve(
                request.name.as_deref(),
                &environment::places(),
                &environment::hub(),
                &mut |progress| log_progress(progress, &mut announced),
            )?;
            let recipe = request.recipe(found.source)?;
            Ok::<_, Halt>(Model {
                loaded: Mutex::new(Arc::new(recipe.load()?)),
                recipe,
                name: found.name,
                notice: found.notice,
            })
        })
    }

    #[getter]
    fn embed_dim(&self, py: Python<'_>) -> PyResult<usize> {
        self.fact(py, |model| model.sizes().embed_dim)
    }

    #[getter]
    fn input_resolution(&self, py: Python<'_>) -> PyResult<usize> {
        self.fact(py, |model| model.sizes().image_resolution_px)
    }

    #[getter]
    fn context_length(&self, py: Python<'_>) -> PyResult<usize> {
        self.fact(py, |model| model.sizes().context_length)
    }

    #[getter]
    fn text_width(&self, py: Python<'_>) -> PyResult<usize> {
        self.fact(py, |model| model.sizes().text_width)
    }

    /// The multiplier of cosines, `exp(logit_scale)`.
    #[getter]
    fn multiplier(&self, py: Python<'_>) -> PyResult<f64> {
        self.fact(py, |model| model.logit_scale().multiplier())
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        self.recipe.options.number_type.name()
    }

    #[getter]
    fn threads(&self) -> usize {
        self.thread_count()
    }

    /// Embeddings `(n, embed_dim)` of normalised pixels `(n, 3, R, R)`.
    fn encode_pixels<'py>(&self, py: Python<'py>, pixels: &[u8], n: usize) -> PyResult<Bound<'py, PyByteArray>> {
        let embeddings = self.unlocked(py, |model| {
            let values = to_floats(pixels)?;
            let resolution_px = model.sizes().image_resolution_px;
            let pictures: Vec<Pixels> = values
                .chunks(values.len().div_ceil(n.max(1)).max(1))
                .map(|picture| Pixels::from_normalised(picture.to_vec(), resolution_px))
                .collect::<Result<_>>()?;
            model.encode_images(&pictures)
        })?;
        floats(py, embeddings.0.values())
    }

    /// Embeddings `(n, embed_dim)` of pictures; the first that can't be used is an exception.
    fn encode_pictures<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<PyRef<'_, Picture>>,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let pictures = Pictures::of(&pictures);
        let values = unlocked(py, || {
            let mut values = Vec::new();
            run::over(self, pictures, |_, embedding| {
                values.extend(embedding?);
                Ok(())
            })?;
            Ok::<_, Halt>(values)
        })?;
        floats(py, &values)
    }

    /// Embeddings `(n, embed_dim)` of token ids `(n, n_tokens)`.
    fn encode_token_ids<'py>(&self, py: Python<'py>, ids: &[u8], n: usize) -> PyResult<Bound<'py, PyByteArray>> {
        let embeddings = self.unlocked(py, |model| {
            let ids = to_ids(ids)?;
            model.encode_token_ids(&rows(&ids, n))
        })?;
        floats(py, embeddings.0.values())
    }

    /// Hidden states `(n, n_tokens, text_width)` of token ids `(n, n_tokens)`, behind the final norm.
    fn encode_token_ids_hidden<'py>(&self, py: Python<'py>, ids: &[u8], n: usize) -> PyResult<Bound<'py, PyByteArray>> {
        let values = self.unlocked(py, |model| {
            let ids = to_ids(ids)?;
            let states = rows(&ids, n).into_iter().map(|row| model.encode_token_ids_hidden(row));
            let states: Vec<Embeddings> = states.collect::<Result<_>>()?;
            Ok(states
                .iter()
                .flat_map(|states| states.values().to_vec())
                .collect::<Vec<f32>>())
        })?;
        floats(py, &values)
    }

    /// An Arrow stream with the columns `embedding` and `error` behind its own.
    fn widen<'py>(
        &self,
        py: Python<'py>,
        stream: PyBackedBytes,
        output: StreamOutput,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let settings = self.settings(Task::Embeddings(self.embed_dim(py)?));
        let judge = |embedding: &[f32]| {
            let mut embedding = embedding.to_vec();
            if output.normalize {
                model::normalize(&mut embedding);
            }
            Row {
                embedding: Some(embedding),
                ..Row::default()
            }
        };
        let written = unlocked(py, || widened(self, stream, &settings, judge))?;
        Ok(PyBytes::new(py, &written))
    }
}

/// The rows of a table of `n` rows.
fn rows(ids: &[u32], n: usize) -> Vec<&[u32]> {
    match ids.len() / n.max(1) {
        0 => vec![&[]; n],
        n_tokens => ids.chunks(n_tokens).collect(),
    }
}
