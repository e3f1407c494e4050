//! Choices of the library as values of flags: their names are the library's own.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use longclip::named::Named;

/// Parses a choice by its name; the help lists the names.
pub(super) fn named<T: Named + Send + Sync>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(T::ALL.iter().map(|choice| choice.name())).try_map(|name: String| T::from_name(&name))
}
