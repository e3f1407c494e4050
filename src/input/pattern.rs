//! Patterns, for shells that don't expand them: `*`, `?`, `[a-z]`, and `**` for any folders, in byte order.

use std::iter::Peekable;
use std::path::Path;

use glob::{MatchOptions, Paths};

use super::{InputOptions, Item, Items, Patterns, named};
use crate::error::{Error, Result};

/// Whether a name that no file has may be a pattern.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
}

/// What a pattern stands for; hidden names only where it says so.
pub(super) fn items(pattern: &Path, options: &InputOptions) -> Items {
    let matches = match matches(pattern) {
        Ok(matches) => matches,
        Err(error) => return super::one(Item::unusable(pattern.display().to_string(), error)),
    };
    let options = options.clone();
    Box::new(matches.flat_map(move |found| match found {
        Ok(path) => named(path, Patterns::Literal, &options),
        Err(error) => {
            let path = error.path().to_owned();
            super::one(Item::unusable(
                path.display().to_string(),
                Error::read(&path)(error.into()),
            ))
        }
    }))
}

/// Refuses a pattern that no file matches.
pub(super) fn refuse_empty(pattern: &Path) -> Result<()> {
    matches(pattern).map(drop)
}

fn matches(pattern: &Path) -> Result<Peekable<Paths>> {
    let rules = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let name = pattern.display().to_string();
    let refused = |problem: String| Error::Picture {
        name: name.clone(),
        problem,
        hint: Some("`*` stands for any name, `**` for any folders".into()),
    };
    let matches = glob::glob_with(&name, rules).map_err(|error| refused(format!("it is no pattern: {error}")))?;
    let mut matches = matches.peekable();
    match matches.peek() {
        None => Err(refused("no file matches".into())),
        Some(_) => Ok(matches),
    }
}
