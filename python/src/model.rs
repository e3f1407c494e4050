//! The model class of the Python package: its properties, and embeddings of pixels, images, token ids and Arrow streams.

use std::sync::{Arc, Mutex, PoisonError};

use longclip::Result;
use longclip::input::Item;
use longclip::model::{self, Embeddings, LongClip};
use longclip::named::Named;
use longclip::output::arrow::Row;
use longclip::output::{Settings, Task};
use longclip::preprocess::Pixels;
use longclip::score::{OneView, Views};
use longclip::session::{ModelPlan, Seen, Sink, Verdict};
use longclip::weights::names::ModelSource;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes};

use crate::errors::{Halt, in_python, unlocked};
use crate::loaded::{Loaded, Request};
use crate::numbers::{floats, to_floats, to_ids};
use crate::picture::Picture;
use crate::run::{self, Pictures};
use crate::stream::widened;

/// A loaded model.
#[pyclass(frozen, module = "longclip._native")]
pub(crate) struct Model {
    source: ModelSource,
    pub(crate) plan: ModelPlan,
    loaded: Mutex<Arc<Loaded>>,
    #[pyo3(get)]
    pub(crate) name: String,
    /// A line that the person should read: another model than they may expect was chosen.
    #[pyo3(get)]
    notice: Option<String>,
}

/// What a stream is given.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct StreamOutput {
    normalize: bool,
    fit: Option<String>,
}

impl Model {
    /// The model in this process.
    pub(crate) fn loaded(&self) -> Result<Arc<Loaded>> {
        let mut held = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.is_at_home() {
            *held = Arc::new(Loaded::open(&self.plan, &self.source)?);
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
            carries_fields: true,
            ..Settings::new(task, &self.name, self.dtype())
        }
    }
}

#[pymethods]
impl Model {
    #[new]
    fn new(py: Python<'_>, request: Request) -> PyResult<Self> {
        unlocked(py, || {
            let found = request.find()?;
            let plan = request.plan()?;
            Ok::<_, Halt>(Model {
                loaded: Mutex::new(Arc::new(Loaded::open(&plan, &found.source)?)),
                source: found.source,
                plan,
                name: found.name,
                notice: found.notice.as_ref().and_then(in_python),
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
        self.plan.compute.number_type.name()
    }

    #[getter]
    fn threads(&self) -> usize {
        self.plan.n_threads()
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
    #[pyo3(signature = (pictures, fit))]
    fn encode_pictures<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<PyRef<'_, Picture>>,
        fit: Option<&str>,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let pictures = Pictures::of(&pictures);
        let values = unlocked(py, || {
            let fitting = run::fitting(fit)?;
            let mut rows = Rows {
                values: Vec::new(),
                one: run::one_view(fitting, "`encode_image` returns")?,
            };
            run::over(self, fitting, |run, watch| {
                run.over(pictures.into_items(), watch, &mut rows)
            })?;
            Ok::<_, Halt>(rows.values)
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

    /// Hidden states `(n, n_tokens, text_width)` of token ids `(n, n_tokens)`, after the final norm.
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

    /// An Arrow stream with the columns `embedding` and `error` after its own.
    fn widen<'py>(
        &self,
        py: Python<'py>,
        stream: PyBackedBytes,
        output: StreamOutput,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let settings = self.settings(Task::Embeddings(self.embed_dim(py)?));
        let (fitting, one) = unlocked(py, || {
            let fitting = run::fitting(output.fit.as_deref())?;
            Ok::<_, Halt>((fitting, run::one_view(fitting, "rows without labels have")?))
        })?;
        let judge = |views: Views| {
            let mut embedding = views.into_embedding(one);
            if output.normalize {
                model::normalize(&mut embedding);
            }
            Row {
                embedding: Some(embedding),
                ..Row::default()
            }
        };
        let written = unlocked(py, || widened(self, stream, fitting, &settings, judge))?;
        Ok(PyBytes::new(py, &written))
    }
}

/// Embeddings end to end, `(n, embed_dim)`; the first image that can't be used ends the run.
struct Rows {
    values: Vec<f32>,
    one: OneView,
}

impl Sink for Rows {
    fn take(&mut self, _item: Item, seen: Result<Seen>) -> Result<Verdict> {
        self.values.extend(seen?.views.into_embedding(self.one));
        Ok(Verdict::Done)
    }
}

/// The rows of a table of `n` rows.
fn rows(ids: &[u32], n: usize) -> Vec<&[u32]> {
    match ids.len() / n.max(1) {
        0 => vec![&[]; n],
        n_tokens => ids.chunks(n_tokens).collect(),
    }
}
