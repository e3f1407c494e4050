//! The labels and scores that a Python program asks for.

use std::path::PathBuf;

use longclip::labels::files::{GROUP, read_labels};
use longclip::labels::{Label, LabelList, LongText, PublishedTemplates, Template};
use longclip::named::Named;
use longclip::score::Temperature;
use longclip::session::{Labelling, ScorePlan, Scorer};
use longclip::{Error, Grouping, LongClip, Result, Score};
use pyo3::prelude::*;

/// The arguments that describe labels and scores.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Request {
    /// Names, each with its prompts; none if a file has them.
    labels: Vec<(String, Vec<String>)>,
    labels_file: Option<PathBuf>,
    templates: Vec<String>,
    long_text: String,
    score: String,
    temperature: Option<f64>,
    reject: Option<f64>,
}

impl Request {
    /// Encodes the labels, and what their scores need.
    pub(crate) fn scorer(&self, model: &LongClip) -> Result<Scorer> {
        let plan = ScorePlan {
            score: Score::from_name(&self.score)?,
            temperature: self.temperature.map(temperature).transpose()?,
            reject: self.reject,
            ..ScorePlan::default()
        };
        plan.check(Grouping::None)?;
        let labelling = Labelling {
            list: self.list()?,
            templates: self.templates()?,
            long_text: LongText::from_name(&self.long_text)?,
            ..Labelling::default()
        };
        Scorer::new(model, &labelling, plan)
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
            // Groups are read but not used: records from Python have no sums by group.
            list.extend(read_labels(file, GROUP)?)?;
        }
        Ok(list)
    }

    fn templates(&self) -> Result<Vec<Template>> {
        let mut templates = Vec::new();
        for text in &self.templates {
            match PublishedTemplates::from_name(text) {
                Ok(set) => templates.extend(set.templates()),
                Err(_) => templates.push(Template::new(text)?),
            }
        }
        Ok(templates)
    }
}

fn temperature(value: f64) -> Result<Temperature> {
    Temperature::new(value).ok_or_else(|| {
        Error::usage(
            format!("a temperature of {value}"),
            "give a number above 0: above 1 probabilities are flatter, below 1 sharper",
        )
    })
}

/// A value that an argument can't have.
pub(crate) fn unknown(argument: &str, value: &str, known: &str) -> Error {
    Error::usage(format!("`{argument}` is `{value}`"), format!("it may be {known}"))
}
