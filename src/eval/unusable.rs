//! What an evaluation can't use of its data, each with its place: it is told, and left out or the end of it.

use crate::error::Error;
use crate::input::records;

/// A sample, a line, some of the data, that can't be used.
#[derive(Debug)]
pub struct Unusable {
    /// Where it stands.
    pub place: String,
    /// Why not.
    pub error: Error,
}

impl Unusable {
    /// What stands at `place` has this problem.
    pub fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        let place = place.into();
        Unusable {
            error: records::unusable(&place, problem),
            place,
        }
    }

    /// As a reader of samples says it, which knows the place.
    pub(super) fn of(error: Error, place: impl Into<String>) -> Self {
        let place = match &error {
            Error::Sample { name, .. } => name.clone(),
            _ => place.into(),
        };
        Unusable { place, error }
    }
}

/// The place first, then the problem.
impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.error {
            Error::Sample { name, problem } => write!(f, "{name}: {problem}"),
            other => write!(f, "{other}"),
        }
    }
}
