//! Labels that are encoded once, and pictures that are held against them: records as the command line writes them.

use std::path::PathBuf;

use longclip::input::Name;
use longclip::labels::files::read_labels;
use longclip::labels::{
    Combine, Label, LabelList, LabelSet, LongText, PromptEncoder, PublishedTemplates, Recipe, Template, neutral_prompts,
};
use longclip::model::{MeasuredTexts, TextEmbeddings};
use longclip::output::arrow::Row;
use longclip::output::{self, Outcome, Record, Subject, Task, Vectors};
use longclip::score::{Neutral, Scores, Scoring, Temperature};
use longclip::{Error, Grouping, LongClip, NONE_OF_THESE, Result, in_order, labelled};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::errors::{Halt, unlocked};
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

/// Labels and scores as they are asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Request {
    /// Names, each with its prompts; none where a file has them.
    labels: Vec<(String, Vec<String>)>,
    labels_file: Option<PathBuf>,
    templates: Vec<String>,
    long_text: String,
    score: String,
    temperature: Option<f64>,
    reject: Option<f64>,
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

/// Groups of a table's labels are read and not used: `classify` has no sums by group here.
const GROUP_COLUMN: &str = "group";

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

impl Request {
    fn list(&self) -> Result<LabelList> {
        let mut list = LabelList::default();
        let group = None;
        let given = self.labels.iter().cloned();
        list.extend(given.map(|(name, prompts)| Label {
            name,
            prompts,
            group: group.clone(),
        }))?;
        if let Some(file) = &self.labels_file {
            list.extend(read_labels(file, GROUP_COLUMN)?)?;
        }
        Ok(list)
    }

    fn templates(&self) -> Result<Vec<Template>> {
        let mut templates = Vec::new();
        for text in &self.templates {
            match text.as_str() {
                "imagenet80" => templates.extend(PublishedTemplates::ImageNet80.templates()),
                "imagenet7" => templates.extend(PublishedTemplates::ImageNet7.templates()),
                own => templates.push(Template::new(own)?),
            }
        }
        Ok(templates)
    }

    fn long_text(&self) -> Result<LongText> {
        match self.long_text.as_str() {
            "truncate" => Ok(LongText::Truncate),
            "error" => Ok(LongText::Refuse),
            "chunk" => Ok(LongText::Chunk),
            other => Err(unknown("long_text", other, "`truncate`, `error` or `chunk`")),
        }
    }

    fn scoring(&self, model: &LongClip, labels: &LabelSet, encoder: &mut PromptEncoder<'_>) -> Result<Scoring> {
        let scale = model.logit_scale();
        let scoring = match (self.score.as_str(), self.reject) {
            ("softmax", None) => Scoring::softmax(scale),
            ("softmax", Some(margin)) => Scoring::softmax_or_none(scale, neutral(encoder)?, margin),
            (_, Some(_)) => {
                return Err(Error::usage(
                    "`reject` is for the score `softmax`",
                    "leave out `score`, or leave out `reject`",
                ));
            }
            ("independent", None) => Scoring::independent(scale, neutral(encoder)?),
            ("cosine", None) if self.temperature.is_some() => {
                return Err(Error::usage(
                    "`temperature` changes nothing: the score `cosine` has no logits to divide",
                    "leave it out, or choose another score",
                ));
            }
            ("cosine", None) => Scoring::cosine(scale),
            ("raw-dot", None) => match labels.averaged() {
                Some(label) => {
                    return Err(Error::usage(
                        format!("the score `raw-dot` compares features as they are, and that of `{label}` is a mean"),
                        "give a prompt a label, or use another score",
                    ));
                }
                None => Scoring::raw_dot(scale),
            },
            (other, None) => {
                return Err(unknown(
                    "score",
                    other,
                    "`softmax`, `independent`, `cosine` or `raw-dot`",
                ));
            }
        };
        let Some(value) = self.temperature else {
            return Ok(scoring);
        };
        let temperature = Temperature::new(value).ok_or_else(|| {
            Error::usage(
                format!("a temperature of {value}"),
                "give a number above 0: above 1 probabilities are flatter, below 1 sharper",
            )
        })?;
        Ok(scoring.temperature(temperature))
    }
}

fn neutral(encoder: &mut PromptEncoder<'_>) -> Result<Neutral> {
    let rows = encoder.encode(&neutral_prompts())?;
    Ok(Neutral::new(MeasuredTexts::new(TextEmbeddings(rows))).expect("there are built-in neutral prompts"))
}

fn unknown(argument: &str, value: &str, known: &str) -> Error {
    Error::usage(format!("`{argument}` is `{value}`"), format!("it may be {known}"))
}

#[pymethods]
impl Classifier {
    #[new]
    fn new(py: Python<'_>, model: Py<Model>, request: Request) -> PyResult<Self> {
        let held = model.get();
        let (labels, scoring) = unlocked(py, || {
            held.loaded()?.with(|clip| {
                let templates = request.templates()?;
                let recipe = Recipe {
                    templates: &templates,
                    combine: Combine::Mean,
                };
                let mut encoder = PromptEncoder::new(clip).long_text(request.long_text()?);
                let labels = LabelSet::encode(&request.list()?, &recipe, &mut encoder)?;
                let scoring = request.scoring(clip, &labels, &mut encoder)?;
                Ok::<_, Error>((labels, scoring))
            })
        })?;
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
    write().map_err(|source| Error::Write {
        path: "records in memory".into(),
        source,
    })?;
    Ok(bytes)
}
