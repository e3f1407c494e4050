//! A format as a user chooses it: one of the table by its name or a file's ending, or a line of the user's own.

use std::io;
use std::path::Path;

use super::{Format, FormatInfo, Holds, Settings, Task, Template, by_name, names_that_hold};
use crate::error::{Error, Result};
use crate::files::Excerpt;

/// A chosen format.
#[derive(Clone)]
pub enum FormatChoice {
    /// One of [`FORMATS`](super::FORMATS).
    Named(&'static FormatInfo),
    /// The user's own line.
    Template(Template),
}

impl std::fmt::Debug for FormatChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FormatChoice {
    /// The format of this name.
    ///
    /// # Errors
    /// [`Error::Usage`] if this build doesn't have it.
    pub fn by_name(name: &str) -> Result<Self> {
        let missing = || {
            Error::usage(
                format!("no format `{name}`"),
                "this build has fewer formats; choose another",
            )
        };
        by_name(name).map(FormatChoice::Named).ok_or_else(missing)
    }

    /// The format that a file's ending names.
    pub fn of_ending(path: &Path) -> Option<Self> {
        by_name(path.extension()?.to_str()?).map(FormatChoice::Named)
    }

    /// Its name, after the word "format".
    pub fn name(&self) -> &str {
        match self {
            FormatChoice::Named(format) => format.name,
            FormatChoice::Template(_) => "of a template",
        }
    }

    /// Whether it can hold this.
    pub fn holds(&self, what: Holds) -> bool {
        match self {
            FormatChoice::Named(format) => format.holds(what),
            FormatChoice::Template(_) => [Holds::Labels, Holds::Searches].contains(&what),
        }
    }

    /// Refuses records that it can't hold, and a format of batches.
    ///
    /// # Errors
    /// [`Error::Usage`], which names formats that can.
    pub fn check(&self, task: Task) -> Result<()> {
        #[cfg(feature = "arrow")]
        if self.holds(Holds::Batches) {
            return Err(super::arrow::needs_batches());
        }
        let (needs, what) = task.needs();
        match self.holds(needs) {
            true => Ok(()),
            false => Err(Error::usage(
                format!("the format {} can't hold {what}", self.name()),
                format!("these have: {}", names_that_hold(needs)),
            )),
        }
    }

    /// Whether a file of it can be continued.
    pub fn can_continue(&self) -> bool {
        match self {
            FormatChoice::Named(format) => format.holds(Holds::Continuable),
            FormatChoice::Template(template) => template.held(Box::new(io::empty())).is_some(),
        }
    }

    /// Whether it says why an image failed.
    pub fn has_errors(&self) -> bool {
        match self {
            FormatChoice::Named(_) => true,
            FormatChoice::Template(template) => template.has_errors(),
        }
    }

    /// Whether a file may be of this format although nothing in it says so: a line of a template looks like anything.
    /// What it holds is compared with the input before it is continued; half a line can't be.
    pub fn may_have_written(&self, file: &Excerpt) -> bool {
        matches!(self, FormatChoice::Template(_)) && file.first_line().1
    }

    /// Makes the format.
    ///
    /// # Errors
    /// As [`FormatInfo::make`].
    pub fn make(&self, settings: &Settings) -> Result<Box<dyn Format>> {
        match self {
            FormatChoice::Named(format) => (format.make)(settings),
            FormatChoice::Template(template) => Ok(Box::new(template.clone())),
        }
    }
}
