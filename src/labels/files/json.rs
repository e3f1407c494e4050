//! Labels as JSON: a list of names, or an object from names to their prompts.
//!
//! `["cat", "dog"]`, `{"cat": "a photo of a cat", "dog": ["a dog", "a puppy"]}`, or with groups
//! `{"cat": {"prompts": ["a cat"], "group": "animal"}}`. Duplicate names are kept, so that the list can report them.
//! On lines of their own: `"cat"`, `{"label": "cat", "prompts": ["a cat"], "group": "animal"}`, or any of the above.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{FilePosition, bad};
use crate::error::{Error, Result};
use crate::labels::Label;
use crate::plain_text;

pub(super) fn parse(name: &str, text: &str) -> Result<Vec<Label>> {
    let Labels(labels) = serde_json::from_str(text).map_err(|error| not_labels(name, &error))?;
    Ok(labels)
}

/// Labels as JSON on each line; `None` for a blank line.
pub(super) fn parse_lines(name: &str, text: &str) -> Result<Vec<Option<Label>>> {
    let mut labels = Vec::new();
    for (number, line) in (1..).zip(plain_text::lines(text)) {
        if line.trim().is_empty() {
            labels.push(None);
            continue;
        }
        let wrong = |error: serde_json::Error| not_labels_at(name, number, &error);
        match serde_json::from_str(line).map_err(wrong)? {
            Value::String(_) => {
                let NonBlank(label) = serde_json::from_str(line).map_err(wrong)?;
                labels.push(Some(Label::plain(label)));
            }
            Value::Object(row) if row.contains_key("label") => {
                let row: LabelRow = serde_json::from_str(line).map_err(wrong)?;
                labels.push(Some(row.into()));
            }
            _ => {
                let Labels(more) = serde_json::from_str(line).map_err(wrong)?;
                labels.extend(more.into_iter().map(Some));
            }
        }
    }
    Ok(labels)
}

/// A list of texts.
pub(super) fn parse_texts(name: &str, text: &str) -> Result<Vec<String>> {
    let texts: Vec<TextValue> = serde_json::from_str(text).map_err(|error| not_texts(name, error.line(), &error))?;
    Ok(texts.into_iter().map(TextValue::text).collect())
}

/// Texts as JSON on each line.
pub(super) fn parse_text_lines(name: &str, text: &str) -> Result<Vec<String>> {
    let text_of = |(number, line)| {
        let value: TextValue = serde_json::from_str(line).map_err(|error| not_texts(name, number, &error))?;
        Ok(value.text())
    };
    json_lines(text).map(text_of).collect()
}

/// The lines that are not blank, with their numbers.
fn json_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(plain_text::lines(text));
    lines.filter(|(_, line)| !line.trim().is_empty())
}

/// A text, or an object with it.
#[derive(Deserialize)]
#[serde(untagged)]
enum TextValue {
    Text(String),
    Field { text: String },
}

impl TextValue {
    fn text(self) -> String {
        match self {
            TextValue::Text(text) | TextValue::Field { text } => text,
        }
    }
}

fn not_texts(name: &str, line: usize, error: &serde_json::Error) -> Error {
    let position = FilePosition {
        line,
        column: error.column().max(1),
    };
    let problem = match error.is_data() {
        true => "expected a text".to_owned(),
        false => without_place(error),
    };
    bad(
        name,
        position,
        &problem,
        "write `[\"one text\", \"another\"]`, or a text on each line",
    )
}

/// A label on a line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelRow {
    label: NonBlank,
    prompt: Option<NonBlank>,
    #[serde(default)]
    prompts: Vec<NonBlank>,
    group: Option<NonBlank>,
}

impl From<LabelRow> for Label {
    fn from(row: LabelRow) -> Self {
        let prompts = row.prompt.into_iter().chain(row.prompts);
        Label {
            name: row.label.0,
            prompts: prompts.map(|NonBlank(prompt)| prompt).collect(),
            group: row.group.map(|NonBlank(group)| group),
        }
    }
}

fn without_place(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let problem = whole.rfind(" at line ").map_or(whole.as_str(), |at| &whole[..at]);
    problem.to_owned()
}

fn not_labels(name: &str, error: &serde_json::Error) -> Error {
    not_labels_at(name, error.line(), error)
}

fn not_labels_at(name: &str, line: usize, error: &serde_json::Error) -> Error {
    let position = FilePosition {
        line,
        column: error.column().max(1),
    };
    bad(
        name,
        position,
        &without_place(error),
        "write `[\"a cat\", \"a dog\"]`, or `{\"cat\": [\"a photo of a cat\"], \"dog\": \"a dog\"}`",
    )
}

struct Labels(Vec<Label>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelsVisitor).map(Labels)
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Vec<Label>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of labels, or an object from labels to prompts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Label>, A::Error> {
        let mut labels = Vec::new();
        while let Some(NonBlank(name)) = seq.next_element()? {
            labels.push(Label::plain(name));
        }
        Ok(labels)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Label>, A::Error> {
        let mut labels = Vec::new();
        while let Some(NonBlank(name)) = map.next_key()? {
            let (prompts, group) = match map.next_value()? {
                LabelValue::One(NonBlank(prompt)) => (vec![NonBlank(prompt)], None),
                LabelValue::Several(prompts) => (prompts, None),
                LabelValue::PromptsAndGroup(full) => (full.prompts, full.group.map(|NonBlank(group)| group)),
            };
            let prompts = prompts.into_iter().map(|NonBlank(prompt)| prompt).collect();
            labels.push(Label { name, prompts, group });
        }
        Ok(labels)
    }
}

/// A non-blank string. Blank ones are rejected while parsing, where their position is known.
struct NonBlank(String);

impl<'de> Deserialize<'de> for NonBlank {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(de::Error::custom("the text is empty"));
        }
        Ok(NonBlank(text))
    }
}

/// The value of a name.
enum LabelValue {
    One(NonBlank),
    Several(Vec<NonBlank>),
    PromptsAndGroup(PromptsAndGroup),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptsAndGroup {
    #[serde(default)]
    prompts: Vec<NonBlank>,
    group: Option<NonBlank>,
}

impl<'de> Deserialize<'de> for LabelValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelValueVisitor)
    }
}

struct LabelValueVisitor;

impl<'de> Visitor<'de> for LabelValueVisitor {
    type Value = LabelValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a prompt, a list of prompts, or an object with `prompts` and `group`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LabelValue, E> {
        if text.trim().is_empty() {
            return Err(E::custom("the text is empty"));
        }
        Ok(LabelValue::One(NonBlank(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<LabelValue, A::Error> {
        let mut prompts = Vec::new();
        while let Some(prompt) = seq.next_element()? {
            prompts.push(prompt);
        }
        if prompts.is_empty() {
            return Err(de::Error::custom("the list of prompts is empty"));
        }
        Ok(LabelValue::Several(prompts))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LabelValue, A::Error> {
        PromptsAndGroup::deserialize(de::value::MapAccessDeserializer::new(map)).map(LabelValue::PromptsAndGroup)
    }
}
