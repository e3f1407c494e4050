//! Choices of the library as values of flags: their names are the library's own.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use longclip::named::Named;

/// Parses a choice by its name; the help lists the names.
pub(super) fn named<T: Named + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::ALL.iter().map(|choice| choice.name())).try_map(|name: String| T::from_name(&name))
}

/// A parser of values that are more than names: completions offer the names.
#[derive(Clone)]
pub(super) struct Offering<T> {
    pub(super) names: fn() -> Vec<&'static str>,
    pub(super) parse: fn(&str) -> Result<T, String>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Offering<T> {
    type Value = T;

    fn parse_ref(&self, command: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let parse = self.parse;
        let parser = StringValueParser::new().try_map(move |text| parse(&text));
        parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}

/// A text that may be one of these names.
pub(super) fn text_or(names: fn() -> Vec<&'static str>) -> Offering<String> {
    Offering {
        names,
        parse: |text| Ok(text.to_owned()),
    }
}
