//! Labels that are encoded once, and pictures that are held against them: records as the command line writes them.

use longclip::input::Name;
use longclip::labels::LabelSet;
use longclip::output::arrow::Row;
use longclip::output::{self, Outcome, Record, Subject, Task, Vectors};
use longclip::score::{Scores, Scoring};
use longclip::{Error, Grouping, NONE_OF_THESE, Result, in_order, labelled};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::{Halt, unlocked};
use crate::labelling::{Request, unknown};
use crate::model::Model;
use crate::picture::Picture;
use crate::run::{self, Pictures};
use crate::stream::widened;

/// Labels with one model's embeddings, and how pictures are scored against them.
#[pyclass(frozen, module = "longclip._native")]
pub(crate) struct Classifier {
    model: Py<Model>,
    labels: LabelSet,
    scoring: Scoring,
    /// What records may say: the labels, and "none of these" where that is an answer.
    answers: Vec<String>,
}

/// What a run writes.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Output {
    format: String,
    top_k: Option<usize>,
    embeddings: bool,
    on_error: String,
}

/// What a stream is given.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct StreamOutput {
    embeddings: bool,
}

/// What a picture that can't be used means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnError {
    Fail,
    Skip,
}

#[pymethods]
impl Classifier {
    #[new]
    fn new(py: Python<'_>, model: Py<Model>, request: Request) -> PyResult<Self> {
        let held = model.get();
        let (labels, scoring) = unlocked(py, || held.loaded()?.with(|clip| request.encode(clip)))?;
        let none = request.reject.map(|_| NONE_OF_THESE.to_owned());
        Ok(Classifier {
            answers: labels.labels().iter().cloned().chain(none).collect(),
            labels,
            scoring,
            model,
        })
    }

    /// What records may say.
    #[getter]
    fn answers(&self) -> Vec<String> {
        self.answers.clone()
    }

    /// What the person should know of their labels.
    #[getter]
    fn notices(&self) -> Vec<String> {
        self.labels.notices().iter().map(ToString::to_string).collect()
    }

    /// Records of pictures, in order, in one of the command line's formats.
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

    /// An Arrow stream with the columns `label`, `scores`, `embedding` where it is asked for, and `error` behind its own.
    fn widen<'py>(
        &self,
        py: Python<'py>,
        stream: PyBackedBytes,
        output: StreamOutput,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let model = self.model.get();
        let embeddings = output.embeddings;
        let embed_dim = embeddings.then(|| self.embed_dim());
        let settings = self.settings(embed_dim);
        let judge = |embedding: &[f32]| {
            let scores = self.scores(embedding);
            let best = labelled(&scores, &self.labels, Grouping::None).into_iter().next();
            let none = scores.none.map(|none| none.probability as f32);
            Row {
                label: best.map(|best| best.label),
                scores: Some(in_order(&scores).into_iter().chain(none).collect()),
                embedding: embeddings.then(|| embedding.to_vec()),
                error: None,
            }
        };
        let written = unlocked(py, || widened(model, stream, &settings, judge))?;
        Ok(PyBytes::new(py, &written))
    }
}

impl Classifier {
    fn write(&self, model: &Model, pictures: Pictures, output: &Output) -> Result<Vec<u8>, Halt> {
        let on_error = match output.on_error.as_str() {
            "fail" => OnError::Fail,
            "skip" => OnError::Skip,
            other => return Err(unknown("on_error", other, "`fail` or `skip`").into()),
        };
        let mut records = Vec::new();
        run::over(model, pictures, |item, embedding| {
            let outcome = match embedding {
                Ok(embedding) => self.outcome(embedding, output),
                Err(error) if on_error == OnError::Fail => return Err(error.into()),
                Err(error) => Outcome::Failed(error.reason()),
            };
            records.push(Record {
                subject: match item.name {
                    Name::Path(path) => Subject::Path(path),
                    Name::Id(id) => Subject::Id(id),
                },
                fields: item.fields,
                outcome,
                thumbnail: None,
            });
            Ok(())
        })?;
        let embed_dim = output.embeddings.then(|| self.embed_dim());
        Ok(written(&output.format, &self.settings(embed_dim), &records)?)
    }

    fn embed_dim(&self) -> usize {
        self.labels.embeddings().0.embed_dim()
    }

    /// What formats note of a run; `embed_dim` are the numbers of each vector, where there are vectors.
    fn settings(&self, embed_dim: Option<usize>) -> output::Settings {
        let vectors = embed_dim.map_or(Vectors::None, Vectors::Beside);
        output::Settings {
            labels: self.answers.clone(),
            ..self.model.get().settings(Task::Labels(vectors))
        }
    }

    fn scores(&self, embedding: &[f32]) -> Scores {
        self.scoring.scores(embedding, self.labels.texts(), self.labels.rows())
    }

    fn outcome(&self, embedding: &[f32], output: &Output) -> Outcome {
        let scores = self.scores(embedding);
        let mut labels = labelled(&scores, &self.labels, Grouping::None);
        labels.truncate(output.top_k.unwrap_or(usize::MAX));
        Outcome::Labels {
            labels,
            groups: Vec::new(),
            embedding: output.embeddings.then(|| embedding.to_vec()),
        }
    }
}

/// Records as a format's bytes.
fn written(format: &str, settings: &output::Settings, records: &[Record]) -> Result<Vec<u8>> {
    let info = output::by_name(format).ok_or_else(|| unknown("format", format, "one of the command line's"))?;
    let mut format = (info.make)(settings)?;
    let mut bytes = Vec::new();
    let mut write = || {
        format.begin(&mut bytes)?;
        records
            .iter()
            .try_for_each(|record| format.record(record, &mut bytes))?;
        format.end(&mut bytes)
    };
    write().map_err(Error::system("write the records"))?;
    Ok(bytes)
}
