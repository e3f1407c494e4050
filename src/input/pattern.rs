//! Expands patterns, for shells that don't: `*`, `?`, `[a-z]`, and `**` for any folders, in byte order.

use std::iter::Peekable;
use std::path::Path;

use glob::{MatchOptions, Paths};

use crate::error::{Error, Result};

/// Whether a name may be a pattern, if no file has this name.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .any(|byte| b"*?[".contains(byte))
}

/// The files that match a pattern, at least one. Hidden names match only a pattern that begins with a dot.
///
/// # Errors
/// [`Error::Picture`] if it is not a pattern, or no file matches.
pub(super) fn matches(pattern: &Path) -> Result<Peekable<Paths>> {
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

/// Refuses a pattern that no file matches.
pub(super) fn refuse_empty(pattern: &Path) -> Result<()> {
    matches(pattern).map(drop)
}
