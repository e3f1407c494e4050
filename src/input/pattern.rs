//! Patterns, for shells that don't expand them: `*`, `?`, `[a-z]`, and `**` for any folders, in byte order.

use std::path::Path;

use glob::MatchOptions;

use super::{InputOptions, Item, Items, Patterns, named};
use crate::error::Error;

/// Whether a name that no file has may be a pattern.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
}

/// What a pattern stands for; hidden names only where it says so.
pub(super) fn items(pattern: &Path, options: &InputOptions) -> Items {
    let rules = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let name = pattern.display().to_string();
    let refused = |problem: String| {
        let error = Error::Picture {
            name: name.clone(),
            problem,
            hint: Some("`*` stands for any name, `**` for any folders".into()),
        };
        super::one(Item::unusable(name.clone(), error))
    };
    let matches = match glob::glob_with(&name, rules) {
        Ok(matches) => matches,
        Err(error) => return refused(format!("it is no pattern: {error}")),
    };
    let mut matches = matches.peekable();
    if matches.peek().is_none() {
        return refused("no file matches".into());
    }
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
