//! What in a data set can't be used, with its place and the reason: one report for training and evaluations.

use crate::error::Error;

/// A sample, a line or a file of a data set that can't be used.
#[derive(Debug)]
pub struct Unusable {
    /// Where it is: a file and a line, a member of an archive, a path.
    pub place: String,
    /// Why it can't be used.
    pub error: Error,
}

impl Unusable {
    /// What is at `place` has this problem.
    pub fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Unusable::of(unusable(place, problem), "")
    }

    /// From an error that may name its own place; `place` if it does not.
    pub(crate) fn of(error: Error, place: impl Into<String>) -> Self {
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

/// The error of one sample.
pub(crate) fn unusable(place: impl Into<String>, problem: impl Into<String>) -> Error {
    Error::Sample {
        name: place.into(),
        problem: problem.into(),
    }
}
