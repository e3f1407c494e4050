//! Labels that are encoded once, and images that are scored against them: records as the command line writes them.

use std::num::NonZeroUsize;

use longclip::Result;
use longclip::input::Item;
use longclip::labels::{LabelSet, Notice};
use longclip::named::Named;
use longclip::output::arrow::Row;
use longclip::output::{self, Task, Vectors};
use longclip::score::{OneView, Views};
use longclip::session::{Ended, Fitting, OnError, RecordOptions, RecordWriter, Scorer, Seen, Sink, Verdict};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::{Halt, in_python, reason, unlocked};
use crate::labelling::{Request, unknown};
use crate::model::Model;
use crate::picture::Picture;
use crate::run::{self, Pictures};
use crate::stream::{Written, widened};

/// Labels with one model's embeddings, and how images are scored against them.
#[pyclass(frozen, module = "longclip._native")]
pub(crate) struct Classifier {
    model: Py<Model>,
    scorer: Scorer,
    fitting: Option<Fitting>,
}

/// What a run writes.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Output {
    format: String,
    top_k: Option<NonZeroUsize>,
    embeddings: bool,
    on_error: String,
}

/// What a stream is given.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct StreamOutput {
    embeddings: bool,
}

#[pymethods]
impl Classifier {
    #[new]
    #[pyo3(signature = (model, request, fit))]
    fn new(py: Python<'_>, model: Py<Model>, request: Request, fit: Option<&str>) -> PyResult<Self> {
        let held = model.get();
        let (scorer, fitting) = unlocked(py, || {
            let fitting = run::fitting(fit)?;
            let scorer = held.loaded()?.with(|clip| request.scorer(clip))?;
            match scorer.labels() {
                Some(_) => Ok((scorer, fitting)),
                None => Err(LabelSet::none_given()),
            }
        })?;
        Ok(Classifier { model, scorer, fitting })
    }

    /// What records may say: the labels, and "none of these" if that is an answer.
    #[getter]
    fn answers(&self) -> Vec<String> {
        self.scorer.answers()
    }

    /// What the user should know of their labels.
    #[getter]
    fn notices(&self) -> Vec<String> {
        let line = |notice: &Notice| match notice.advice().as_ref().and_then(in_python) {
            Some(advice) => format!("{notice}; {advice}"),
            None => notice.to_string(),
        };
        self.scorer.notices().iter().map(line).collect()
    }

    /// Records of images, in order, in one of the command line's formats.
    fn run<'py>(
        &self,
        py: Python<'py>,
        pictures: Vec<PyRef<'_, Picture>>,
        output: Output,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let pictures = Pictures::of(&pictures);
        let model = self.model.get();
        let written = unlocked(py, || self.write(model, pictures, &output))?;
        Ok(PyBytes::new(py, &written))
    }

    /// An Arrow stream with the columns `label`, `scores`, `embedding` if it is asked for, and `error` after its own.
    fn widen<'py>(
        &self,
        py: Python<'py>,
        stream: PyBackedBytes,
        output: StreamOutput,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let model = self.model.get();
        let settings = self.settings(output.embeddings.then_some(self.embed_dim()));
        let embeddings = unlocked(py, || output.embeddings.then(|| self.one_view()).transpose())?;
        let judge = |views: Views| {
            let columns = self.scorer.columns(self.labels(), &views);
            Row {
                label: columns.best,
                scores: Some(columns.scores),
                embedding: embeddings.map(|one| views.into_embedding(one)),
                ..Row::default()
            }
        };
        let written = unlocked(py, || widened(model, stream, self.fitting, &settings, judge))?;
        Ok(PyBytes::new(py, &written))
    }
}

impl Classifier {
    fn labels(&self) -> &LabelSet {
        self.scorer.labels().expect("`new` refuses to be without labels")
    }

    fn write(&self, model: &Model, pictures: Pictures, output: &Output) -> Result<Vec<u8>, Halt> {
        let name = &output.format;
        let format = output::by_name(name).ok_or_else(|| unknown("format", name, "one of the command line's"))?;
        let options = RecordOptions {
            top_k: output.top_k,
            embeddings: output.embeddings.then(|| self.one_view()).transpose()?,
        };
        let on_error = OnError::from_name(&output.on_error)?;
        let settings = self.settings(output.embeddings.then_some(self.embed_dim()));
        let written = Written::default();
        let mut writer = RecordWriter::new((format.make)(&settings)?, written.destination());
        writer.begin()?;
        let judge = &mut |_: &Item, seen: Seen| {
            let answer = self.scorer.answer(self.labels(), &seen.views);
            Ok(Ok((options.outcome(answer, seen.views), None)))
        };
        let mut sink = writer.sink(judge, reason);
        run::over(model, self.fitting, |run, watch| {
            let pictures = pictures.into_items();
            match on_error {
                OnError::Skip => run.over(pictures, watch, &mut sink),
                OnError::Fail => run.over(pictures, watch, &mut Strict(&mut sink)),
            }
        })?;
        drop(sink);
        writer.close(Ended::AtTheEnd)?;
        Ok(written.take())
    }

    /// What embeddings need.
    fn one_view(&self) -> Result<OneView> {
        run::one_view(self.fitting, "`embeddings=True` returns")
    }

    fn embed_dim(&self) -> usize {
        self.labels().embeddings().0.embed_dim()
    }

    /// What a format needs to know; `embed_dim` if records have embeddings.
    fn settings(&self, embed_dim: Option<usize>) -> output::Settings {
        let vectors = embed_dim.map_or(Vectors::None, Vectors::Beside);
        output::Settings {
            labels: self.scorer.answers(),
            ..self.model.get().settings(Task::Labels(vectors))
        }
    }
}

/// Ends the run at the first image that can't be used.
struct Strict<'a>(&'a mut dyn Sink);

impl Sink for Strict<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        self.0.take(item, Ok(seen?))
    }
}
