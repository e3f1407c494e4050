//! Choices of the library as values of flags: their names are the library's own.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use longclip::named::Named;

/// Parses a choice by its name; the help lists the names.
pub(super) fn named<T: Named + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::ALL.iter().map(|choice| choice.name())).try_map(|name: String| T::from_name(&name))
}

/// A text that may be one of these names, which completions offer.
#[derive(Clone)]
pub(super) struct TextOr(pub(super) fn() -> Vec<&'static str>);

impl TypedValueParser for TextOr {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.0)().into_iter().map(PossibleValue::new)))
    }
}
