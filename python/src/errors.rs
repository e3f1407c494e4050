//! Turns the library's errors into exceptions of `longclip/errors.py`, and runs work without the interpreter's lock.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use longclip::error::{Control, Hint};
use longclip::{Error, ErrorKind};
use pyo3::prelude::*;

pyo3::import_exception!(longclip.errors, ComputeError);
pyo3::import_exception!(longclip.errors, FileError);
pyo3::import_exception!(longclip.errors, InternalError);
pyo3::import_exception!(longclip.errors, MissingFileError);
pyo3::import_exception!(longclip.errors, ModelError);
pyo3::import_exception!(longclip.errors, NetworkError);
pyo3::import_exception!(longclip.errors, PictureError);
pyo3::import_exception!(longclip.errors, UnknownModelError);
pyo3::import_exception!(longclip.errors, UsageError);

/// Why work was left: an error of the library, or an exception such as that of Ctrl-C.
pub(crate) enum Halt {
    Failed(Error),
    Raised(PyErr),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}

impl From<PyErr> for Halt {
    fn from(error: PyErr) -> Self {
        Halt::Raised(error)
    }
}

impl From<Halt> for PyErr {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Failed(error) => exception(&error),
            Halt::Raised(error) => error,
        }
    }
}

/// Runs work without the interpreter's lock. A panic in it, which would be a defect of ours, is an exception too.
pub(crate) fn unlocked<T, E>(py: Python<'_>, work: impl FnOnce() -> Result<T, E> + Send) -> PyResult<T>
where
    T: Send,
    E: Into<Halt> + Send,
{
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(done) => done.map_err(|error| error.into().into()),
        Err(panic) => Err(InternalError::new_err((
            format!("this should not have happened: {}", said(&*panic)),
            "please report it, with what was done before",
        ))),
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// The exception that says what the error says.
pub(crate) fn exception(error: &Error) -> PyErr {
    let (message, hint) = (error.to_string(), error.hint().and_then(|hint| in_python(&hint)));
    match error {
        Error::Read { path, source } | Error::Write { path, source } => of_a_file(message, path, source),
        Error::System { source, .. } => FileError::new_err((message, hint, source.raw_os_error(), None::<String>)),
        Error::Picture { name, .. } | Error::Sample { name, .. } => {
            PictureError::new_err((message, hint, name.clone()))
        }
        Error::UnknownModel { .. } => UnknownModelError::new_err((message, hint)),
        Error::Compute { .. } => ComputeError::new_err((message, hint)),
        _ => match error.kind() {
            ErrorKind::Model => ModelError::new_err((message, hint)),
            ErrorKind::Network => NetworkError::new_err((message, hint)),
            _ => UsageError::new_err((message, hint)),
        },
    }
}

fn of_a_file(message: String, path: &Path, source: &io::Error) -> PyErr {
    let arguments = (
        message,
        None::<String>,
        source.raw_os_error(),
        path.display().to_string(),
    );
    match source.kind() {
        io::ErrorKind::NotFound => MissingFileError::new_err(arguments),
        _ => FileError::new_err(arguments),
    }
}

/// An error as one line: what happened, and what to do.
pub(crate) fn reason(error: &Error) -> String {
    error.reason(argument)
}

/// Advice as a Python program can follow it: flags are arguments here. `None` if Python has none of what it names.
pub(crate) fn in_python(hint: &Hint) -> Option<String> {
    hint.worded(argument)
}

fn argument(control: &Control) -> Option<String> {
    Some(match control {
        Control::CpuDevice => "`device=\"cpu\"`".into(),
        Control::BuildFeature(feature) => format!("`pip install ./python -C build-args=\"--features {feature}\"`"),
        Control::Nano => "`load(\"nano\")`".into(),
        Control::ListModels => "`longclip model list`".into(),
        Control::PullModel(name) => format!("`longclip model pull {name}`"),
        Control::IgnoreSurplus => "`ignore_surplus=True`".into(),
        Control::Activation => "`activation=\"gelu\"`".into(),
        Control::TextPositions(name) => format!("`positions=\"{name}\"`"),
        Control::TruncateLongText => "`long_text=\"truncate\"`".into(),
        Control::ChunkLongText => "`long_text=\"chunk\"`".into(),
        Control::Labels => "`labels=[\"a cat\", \"a dog\"]`, or the path of a file of labels".into(),
        Control::Reject => "`reject`".into(),
        Control::IndependentScore => "`score=\"independent\"`".into(),
        Control::TextField
        | Control::MaxPixels
        | Control::UrlTimeout
        | Control::ArrowInput
        | Control::BuildIndex(_)
        | Control::Resume
        | Control::ReplaceFiles => return None,
    })
}
