//! The one error of this crate: what happened, what was expected and found, and what to do about it.
//!
//! All public functions return it. `Display` is one line without a full stop; [`Error::hint`] is the advice that the
//! command line prints below it. [`Error::kind`] alone decides the exit code and whether a run continues. There is one
//! enum for all modules: finer types would be harder to combine, and a caller can still match on the variants.

mod caught;
mod hint;
mod masked;
mod words;

use std::io;
use std::path::{Path, PathBuf};

pub use self::caught::{Bug, caught, is_caught, note_panic};
pub(crate) use self::hint::hint;
pub use self::hint::{Control, Hint};
pub use self::masked::masked;
use self::words::Said;
pub(crate) use self::words::in_words;
pub use self::words::without_number;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request was wrong: an option, a label, a name.
    Usage,
    /// One input can't be used; the others can.
    Input,
    /// The model's file is missing, damaged or not a model.
    Model,
    /// The network or the hub failed.
    Network,
    /// The machine failed: a disk, a device, memory.
    System,
}

/// What went wrong. Paths are as the user named them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`: {}", in_words(path), Said(source))]
    Read {
        /// The file as named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {}", in_words(path), Said(source))]
    Write {
        /// The file as named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something that is not about a named file: a thread, a temporary file.
    #[error("cannot {doing}: {}", Said(source))]
    System {
        /// What was being done, as a verb and its object.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The request can't be carried out: options that exclude each other, an empty label, a missing value.
    #[error("{problem}")]
    Usage {
        /// What is wrong with it.
        problem: String,
        /// What to do instead.
        hint: Option<Hint>,
    },
    /// One image can't be used.
    #[error("cannot use the image `{name}`: {problem}")]
    Picture {
        /// The image as named.
        name: String,
        /// What was expected and found.
        problem: String,
        /// What to do about it.
        hint: Option<Hint>,
    },
    /// The input is not a stream of record batches, or it breaks off. The batches before that were read.
    #[error("cannot read the Arrow stream on {name}: {problem}")]
    Stream {
        /// Its name: a file, or stdin.
        name: String,
        /// Which batch, what was expected and found.
        problem: String,
    },
    /// One sample of a data set can't be used.
    #[error("cannot use the sample `{name}`: {problem}")]
    Sample {
        /// Where it is: the file and the line, or the name in an archive.
        name: String,
        /// What was expected and found.
        problem: String,
    },
    /// A file does not hold weights, or is damaged as a whole.
    #[error("`{}` is not {expected}: found {found}", path.display())]
    NotWeights {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        expected: String,
        /// What it looks like.
        found: String,
    },
    /// A model that this crate does not compute, or a file that it does not read, and what it is.
    #[error("cannot use `{}`: {problem}", path.display())]
    Unsupported {
        /// The weights, or the config that says how they are computed.
        path: PathBuf,
        /// What it is and how that was seen, or a key of the config, its value and what it means.
        problem: String,
        /// What to do about it.
        hint: Option<Hint>,
    },
    /// A pickle names a function or class that a state dict does not need. Nothing of it was run.
    #[error("`{}` holds a Python object that is not weights, `{global}`; nothing of it was run", path.display())]
    ForeignPickle {
        /// The file.
        path: PathBuf,
        /// Module and name of the function or class.
        global: String,
    },
    /// A tensor has a number type that weights don't have.
    #[error("tensor `{tensor}` of `{}` has the type {found}; weights are f32, f16, bf16, f64 or i8", path.display())]
    UnreadableTensor {
        /// The file.
        path: PathBuf,
        /// Its name in the file.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// The file's tensors are not those of a CLIP: some are missing, surplus, misshapen or not finite.
    #[error("`{}` does not hold a whole CLIP ({layout} layout): {}", path.display(), problems.join("; "))]
    BadTensors {
        /// The file.
        path: PathBuf,
        /// The key layout of its names.
        layout: String,
        /// One line per kind of problem, with the tensors, what was expected and what was found.
        problems: Vec<String>,
        /// What to do about it.
        hint: Option<Hint>,
    },
    /// No model has this name.
    #[error("no model `{name}`: {problem}")]
    UnknownModel {
        /// The name as given.
        name: String,
        /// Where it was searched.
        problem: String,
        /// What to do about it.
        hint: Option<Hint>,
    },
    /// The hub or a URL could not be reached, or its answer is not what was asked for.
    #[error("cannot fetch `{url}`: {problem}")]
    Network {
        /// The URL that was asked for.
        url: String,
        /// What happened.
        problem: String,
        /// What to do about it.
        hint: Option<Hint>,
    },
    /// A computation on a device failed.
    #[error("{doing} failed: {}", what_candle_said(source))]
    Compute {
        /// What was being computed.
        doing: String,
        /// What candle said.
        source: candle_core::Error,
    },
}

impl Error {
    /// The kind of this error, from which the exit code follows.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Usage { .. } | Error::Stream { .. } => ErrorKind::Usage,
            Error::Picture { .. } | Error::Sample { .. } => ErrorKind::Input,
            Error::NotWeights { .. }
            | Error::Unsupported { .. }
            | Error::ForeignPickle { .. }
            | Error::UnreadableTensor { .. }
            | Error::BadTensors { .. }
            | Error::UnknownModel { .. } => ErrorKind::Model,
            Error::Network { .. } => ErrorKind::Network,
            Error::Read { .. } | Error::Write { .. } | Error::System { .. } | Error::Compute { .. } => {
                ErrorKind::System
            }
        }
    }

    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Error::Usage { hint, .. }
            | Error::Picture { hint, .. }
            | Error::BadTensors { hint, .. }
            | Error::Unsupported { hint, .. }
            | Error::UnknownModel { hint, .. }
            | Error::Network { hint, .. } => hint.clone(),
            Error::ForeignPickle { .. } => Some(
                "save only the tensors: `torch.save(model.state_dict(), \"weights.pt\")`, or as safetensors".into(),
            ),
            Error::Stream { .. } => {
                Some("write it with `pyarrow.ipc.new_stream`; the results of the batches before it are complete".into())
            }
            Error::NotWeights { .. } => Some(hint!(
                "fetch or save the file again, or name another: {} shows the models that have names",
                Control::ListModels
            )),
            Error::UnreadableTensor { .. } => {
                Some("use the file with f32, f16 or bf16 numbers that this one was made from".into())
            }
            // What systems say of a thread that they refuse.
            Error::System { source, .. } if source.kind() == io::ErrorKind::WouldBlock => {
                Some("allow more threads: `ulimit -u`, or the limit of processes of the container".into())
            }
            Error::Read { .. }
            | Error::Write { .. }
            | Error::System { .. }
            | Error::Sample { .. }
            | Error::Compute { .. } => None,
        }
    }

    /// All of it in one line, for a record's `error`: what happened, and what to do in the words of an edge, as
    /// [`Hint::worded`] takes them.
    pub fn reason(&self, name: impl Fn(&Control) -> Option<String>) -> String {
        match self.hint().and_then(|hint| hint.worded(name)) {
            Some(hint) => format!("{self}; {hint}"),
            None => self.to_string(),
        }
    }

    /// A request that can't be carried out, with what to do instead.
    pub fn usage(problem: impl Into<String>, hint: impl Into<Hint>) -> Self {
        Error::Usage {
            problem: problem.into(),
            hint: Some(hint.into()),
        }
    }

    /// For `map_err`: a file that could not be read. Can be used more than once.
    ///
    /// ```
    /// let error = std::fs::read("missing.txt").map_err(longclip::Error::read("missing.txt")).unwrap_err();
    /// assert!(error.to_string().starts_with("cannot read `missing.txt`: "));
    /// ```
    pub fn read(path: impl AsRef<Path> + Copy) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Error::Read {
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// For `map_err`: a file that could not be written. Can be used more than once.
    pub fn write(path: impl AsRef<Path> + Copy) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Error::Write {
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// For `map_err`: something that the system refused, such as `start a thread`.
    pub fn system(doing: &str) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Error::System {
            doing: doing.to_owned(),
            source,
        }
    }

    /// Wraps what candle said with what was being done.
    pub fn compute(doing: impl Into<String>) -> impl FnOnce(candle_core::Error) -> Self {
        let doing = doing.into();
        move |source| Error::Compute { doing, source }
    }
}

/// An error of candle without the backtrace that follows its first line if `RUST_BACKTRACE` is set.
pub(crate) fn what_candle_said(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Bytes in powers of ten, as disks and download pages count them.
///
/// ```
/// assert_eq!(longclip::error::size_in_words(598_641_664), "598 MB");
/// ```
pub fn size_in_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// A number of things, in words.
///
/// ```
/// assert_eq!(longclip::error::counted(1, "image"), "1 image");
/// assert_eq!(longclip::error::counted(0, "image"), "0 images");
/// ```
pub fn counted(n: impl std::fmt::Display, what: &str) -> String {
    let n = n.to_string();
    match what.strip_suffix('y') {
        _ if n == "1" => format!("{n} {what}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_candle_said_has_no_backtrace() {
        let with_backtrace = candle_core::Error::WithBacktrace {
            inner: Box::new(candle_core::Error::Msg("out of memory".to_owned())),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        let error = Error::compute("encoding an image")(with_backtrace);
        assert_eq!(error.to_string(), "encoding an image failed: out of memory");
    }
}
