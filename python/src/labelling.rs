//! Labels and scores as a program asks for them, checked, and encoded with a model.

use std::path::PathBuf;

use longclip::labels::files::read_labels;
use longclip::labels::{
    Combine, Label, LabelList, LabelSet, LongText, PromptEncoder, PublishedTemplates, Recipe, Template, neutral_prompts,
};
use longclip::model::{MeasuredTexts, TextEmbeddings};
use longclip::score::{Neutral, Scoring, Temperature};
use longclip::{Error, LongClip, NONE_OF_THESE, Result};
use pyo3::prelude::*;

/// Groups of a table's labels are read and not used: `classify` has no sums by group here.
const GROUP_COLUMN: &str = "group";

/// Labels and scores as they are asked for.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Request {
    /// Names, each with its prompts; none where a file has them.
    labels: Vec<(String, Vec<String>)>,
    labels_file: Option<PathBuf>,
    templates: Vec<String>,
    long_text: String,
    score: String,
    temperature: Option<f64>,
    pub(crate) reject: Option<f64>,
}

impl Request {
    /// Encodes the labels, and what their scores need.
    pub(crate) fn encode(&self, model: &LongClip) -> Result<(LabelSet, Scoring)> {
        let templates = self.templates()?;
        let recipe = Recipe {
            templates: &templates,
            combine: Combine::Mean,
        };
        let mut encoder = PromptEncoder::new(model).long_text(self.long_text()?);
        let list = self.list()?;
        self.check_reject(&list)?;
        let labels = LabelSet::encode(&list, &recipe, &mut encoder)?;
        let scoring = self.scoring(model, &labels, &mut encoder)?;
        Ok((labels, scoring))
    }

    fn check_reject(&self, labels: &LabelList) -> Result<()> {
        match self.reject {
            Some(_) if labels.find(NONE_OF_THESE).is_some() => Err(Error::usage(
                format!("the label `{NONE_OF_THESE}` is what `reject` adds"),
                "leave it out, or leave out `reject`",
            )),
            Some(margin) if !margin.is_finite() => Err(Error::usage(
                format!("`reject` is {margin}"),
                "give so many logits above neutral prompts; 0.5 is the command line's",
            )),
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<LabelList> {
        let mut list = LabelList::default();
        let given = self.labels.iter().cloned();
        list.extend(given.map(|(name, prompts)| Label {
            name,
            prompts,
            group: None,
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

/// A value that an argument can't have.
pub(crate) fn unknown(argument: &str, value: &str, known: &str) -> Error {
    Error::usage(format!("`{argument}` is `{value}`"), format!("it may be {known}"))
}
