//! The one error of this crate: what happened, what was expected and found, and what to do about it.
//!
//! Everything public returns it. `Display` is one line without a final stop; [`Error::hint`] is the advice that the
//! command line prints below it. [`Error::kind`] decides the exit code and whether a run goes on, at one place.
//! One enum and not one a module: in one crate finer types fight composition, and a caller can still match.

use std::io;
use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request was wrong: a flag, a label, a name.
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

/// What went wrong. Field names say what each value is; paths are as the person named them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file as named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file as named.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something that is not about a named file: a thread, a temporary file.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was being done, as a verb and its object.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The request can't be carried out as it stands: flags that exclude each other, an empty label, a missing value.
    #[error("{problem}")]
    Usage {
        /// What is wrong with it.
        problem: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// One picture can't be used.
    #[error("cannot use the picture `{name}`: {problem}")]
    Picture {
        /// The picture as named.
        name: String,
        /// What was expected and found.
        problem: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// What comes in is no stream of record batches, or breaks off. What came before was read.
    #[error("cannot read the Arrow stream on {name}: {problem}")]
    Stream {
        /// What it is called: a file, or stdin.
        name: String,
        /// Which batch, what was expected and found.
        problem: String,
    },
    /// One sample of a training's data can't be used.
    #[error("cannot use the sample `{name}`: {problem}")]
    Sample {
        /// Where it stands.
        name: String,
        /// What was expected and found.
        problem: String,
    },
    /// A file is not weights at all, or damaged as a whole.
    #[error("`{}` is not {expected}: found {found}", path.display())]
    NotWeights {
        /// The file.
        path: PathBuf,
        /// What it should have been.
        expected: String,
        /// What it looks like.
        found: String,
    },
    /// A pickle names something that a state dict does not need. Nothing of it was run.
    #[error("`{}` holds a Python object that is not weights, `{global}`; nothing of it was run", path.display())]
    ForeignPickle {
        /// The file.
        path: PathBuf,
        /// Module and name of what it asked for.
        global: String,
    },
    /// A tensor is of a number type that weights don't have.
    #[error("tensor `{tensor}` of `{}` has the type {found}; weights are f32, f16, bf16, f64 or i8", path.display())]
    UnreadableTensor {
        /// The file.
        path: PathBuf,
        /// Its name in the file.
        tensor: String,
        /// Its type.
        found: String,
    },
    /// The file's tensors are not those of a CLIP: missing, surplus, misshapen or not finite. Lists them all.
    #[error("`{}` does not hold a whole CLIP ({layout} layout): {}", path.display(), problems.join("; "))]
    BadTensors {
        /// The file.
        path: PathBuf,
        /// The key layout that its names follow.
        layout: String,
        /// One line a problem, each with the tensor, what was expected and what was found.
        problems: Vec<String>,
        /// What to do about it.
        hint: Option<String>,
    },
    /// No model goes by this name here.
    #[error("no model `{name}`: {problem}")]
    UnknownModel {
        /// The name as given.
        name: String,
        /// Where it was looked for.
        problem: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The hub or a URL could not be reached, or answered with something else.
    #[error("cannot fetch `{url}`: {problem}")]
    Network {
        /// What was asked for.
        url: String,
        /// What happened.
        problem: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The arithmetic of a device failed.
    #[error("{doing} failed: {source}")]
    Compute {
        /// What was being computed, on what.
        doing: String,
        /// What candle said.
        source: candle_core::Error,
    },
}

impl Error {
    /// What kind of thing this is, from which exit codes follow.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Usage { .. } | Error::Stream { .. } => ErrorKind::Usage,
            Error::Picture { .. } | Error::Sample { .. } => ErrorKind::Input,
            Error::NotWeights { .. }
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

    /// What to do about it, in one line, where there is something.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Usage { hint, .. }
            | Error::Picture { hint, .. }
            | Error::BadTensors { hint, .. }
            | Error::UnknownModel { hint, .. }
            | Error::Network { hint, .. } => hint.as_deref(),
            Error::ForeignPickle { .. } => {
                Some("save only the tensors: `torch.save(model.state_dict(), \"weights.pt\")`, or as safetensors")
            }
            Error::Stream { .. } => Some(
                "what is expected is a stream as `pyarrow.ipc.new_stream` writes it; results of the batches before are whole",
            ),
            Error::NotWeights { .. } => Some(
                "fetch or save the file again, or name another: `longclip model list` shows the models that have names",
            ),
            Error::Read { .. }
            | Error::Write { .. }
            | Error::System { .. }
            | Error::Sample { .. }
            | Error::UnreadableTensor { .. }
            | Error::Compute { .. } => None,
        }
    }

    /// All of it in one line, for a record's `error`: what happened, and what to do.
    pub fn reason(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}; {hint}"),
            None => self.to_string(),
        }
    }

    /// A request that can't be carried out, with what to do instead.
    pub fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
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

/// So many of something, as a message says it.
///
/// ```
/// assert_eq!(longclip::error::counted(1, "picture"), "1 picture");
/// assert_eq!(longclip::error::counted(0, "picture"), "0 pictures");
/// ```
pub fn counted(n: impl std::fmt::Display, what: &str) -> String {
    let n = n.to_string();
    let ending = if n == "1" { "" } else { "s" };
    format!("{n} {what}{ending}")
}
