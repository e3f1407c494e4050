//! Labels as JSON: a list of names, or an object from names to their prompts.
//!
//! `["cat", "dog"]`, `{"cat": "a photo of a cat", "dog": ["a dog", "a puppy"]}`, or with groups
//! `{"cat": {"prompts": ["a cat"], "group": "animal"}}`. Duplicate names are kept, so that the list can report them.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{FilePosition, bad};
use crate::error::{Error, Result};
use crate::labels::Label;

pub(super) fn parse(name: &str, text: &str) -> Result<Vec<Label>> {
    let Labels(labels) = serde_json::from_str(text).map_err(|error| not_labels(name, &error))?;
    Ok(labels)
}

fn not_labels(name: &str, error: &serde_json::Error) -> Error {
    let position = FilePosition {
        line: error.line(),
        column: error.column().max(1),
    };
    let whole = error.to_string();
    let problem = whole.rfind(" at line ").map_or(whole.as_str(), |at| &whole[..at]);
    bad(
        name,
        position,
        problem,
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
