//! Labels as JSON: a list of names, or an object from names to what is read for them.
//!
//! `["cat", "dog"]`, `{"cat": "a photo of a cat", "dog": ["a dog", "a puppy"]}`, and where there are groups
//! `{"cat": {"prompts": ["a cat"], "group": "animal"}}`. A name that comes twice is kept twice, so that the list can say so.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Place, bad};
use crate::error::{Error, Result};
use crate::labels::Label;

pub(super) fn parse(name: &str, text: &str) -> Result<Vec<Label>> {
    let Labels(labels) = serde_json::from_str(text).map_err(|error| not_labels(name, &error))?;
    Ok(labels)
}

fn not_labels(name: &str, error: &serde_json::Error) -> Error {
    let place = Place {
        line: error.line(),
        column: error.column().max(1),
    };
    let whole = error.to_string();
    let problem = whole.rfind(" at line ").map_or(whole.as_str(), |at| &whole[..at]);
    bad(
        name,
        place,
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
        while let Some(Text(name)) = seq.next_element()? {
            labels.push(Label::plain(name));
        }
        Ok(labels)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Label>, A::Error> {
        let mut labels = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            let (prompts, group) = match map.next_value()? {
                Meaning::One(Text(prompt)) => (vec![Text(prompt)], None),
                Meaning::Several(prompts) => (prompts, None),
                Meaning::Full(full) => (full.prompts, full.group.map(|Text(group)| group)),
            };
            let prompts = prompts.into_iter().map(|Text(prompt)| prompt).collect();
            labels.push(Label { name, prompts, group });
        }
        Ok(labels)
    }
}

/// A string that says something; an empty one is refused here, where its place is known.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(de::Error::custom("the text is empty"));
        }
        Ok(Text(text))
    }
}

/// What stands behind a name.
enum Meaning {
    One(Text),
    Several(Vec<Text>),
    Full(Full),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    #[serde(default)]
    prompts: Vec<Text>,
    group: Option<Text>,
}

impl<'de> Deserialize<'de> for Meaning {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MeaningVisitor)
    }
}

struct MeaningVisitor;

impl<'de> Visitor<'de> for MeaningVisitor {
    type Value = Meaning;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a prompt, a list of prompts, or an object with `prompts` and `group`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Meaning, E> {
        if text.trim().is_empty() {
            return Err(E::custom("the text is empty"));
        }
        Ok(Meaning::One(Text(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Meaning, A::Error> {
        let mut prompts = Vec::new();
        while let Some(prompt) = seq.next_element()? {
            prompts.push(prompt);
        }
        if prompts.is_empty() {
            return Err(de::Error::custom("the list of prompts is empty"));
        }
        Ok(Meaning::Several(prompts))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Meaning, A::Error> {
        Full::deserialize(de::value::MapAccessDeserializer::new(map)).map(Meaning::Full)
    }
}
