//! Expands patterns, for shells that don't: `*`, `?`, `[a-z]`, and `**` for any folders, in byte order.

use std::iter::Peekable;
use std::path::{Path, PathBuf};

use glob::{GlobError, MatchOptions, Paths};

use super::Item;
use crate::error::{Error, Result};

/// Whether a name may be a pattern, if no file has this name.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
}

/// The files that match a pattern, or why there are none. Hidden names match only a pattern that begins with a dot.
pub(super) fn matches(pattern: &Path) -> Result<impl Iterator<Item = Result<PathBuf, Item>> + use<>, Item> {
    let matches = expanded(pattern).map_err(|error| Item::unusable(pattern.display().to_string(), error))?;
    Ok(matches.map(|found| found.map_err(unreadable)))
}

fn expanded(pattern: &Path) -> Result<Peekable<Paths>> {
    let rules = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let name = pattern.display().to_string();
    let refused = |problem: String| Error::Picture {
        name: name.clone(),
        problem,
        hint: Some("`*` matches any name, `**` any folders".into()),
    };
    let matches = glob::glob_with(&name, rules).map_err(|error| refused(format!("it is not a pattern: {error}")))?;
    let mut matches = matches.peekable();
    match matches.peek() {
        None => Err(refused("no file matches".into())),
        Some(_) => Ok(matches),
    }
}

fn unreadable(error: GlobError) -> Item {
    let path = error.path().to_owned();
    Item::unusable(path.display().to_string(), Error::read(&path)(error.into()))
}

/// Refuses a pattern that no file matches.
pub(super) fn refuse_empty(pattern: &Path) -> Result<()> {
    expanded(pattern).map(drop)
}
