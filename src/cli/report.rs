//! Notes, warnings and errors on stderr, and what they mean for the exit code.
//!
//! Nothing else in the program writes to stderr, but for progress bars on a terminal. A stderr that is closed or full
//! must not end a run, so what can't be written there is lost.

use std::collections::HashMap;
use std::io::{self, Write};
use std::mem::{Discriminant, discriminant};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use longclip::Error;
use longclip::error::{masked, without_number};
use longclip::labels::{Notice, NoticeKind};
use longclip::text::printable;
use longclip::weights::names::known_names;

use super::hint::in_flags;
use super::typed::closest;

/// What the process says when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: all that was asked for is done.
    Done,
    /// 1: some inputs failed, the others are done.
    SomeFailed,
    /// 2: nothing could be done.
    Refused,
    /// 130: Ctrl-C; what was done until then is well kept.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::SomeFailed => 1,
            Exit::Refused => 2,
            Exit::Interrupted => 130,
        })
    }
}

/// Problems of one kind that are listed one by one; the others are counted.
pub(super) const LISTED_MAX: usize = 5;

/// Counts what failed, and reports the first ones.
pub(super) struct Failures {
    report: Report,
    pub(super) n: usize,
}

impl Failures {
    pub(super) fn new(report: Report) -> Self {
        Failures { report, n: 0 }
    }

    pub(super) fn add(&mut self, name: &str, error: &Error) {
        self.n += 1;
        if self.n <= LISTED_MAX {
            self.report.failed_input(name, error);
        }
    }

    /// How a run over `n_all` ends.
    pub(super) fn exit(&self, n_all: usize) -> Exit {
        match self.n {
            0 => Exit::Done,
            n if n == n_all => Exit::Refused,
            _ => Exit::SomeFailed,
        }
    }
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verbosity {
    /// Errors only.
    Quiet,
    /// What a person needs to know: warnings, a model that was chosen for them.
    Normal,
    /// Details: devices, sizes, times.
    Verbose,
}

/// Writes messages to stderr.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    verbosity: Verbosity,
}

/// What a line is, as its first word says.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Error,
    Warning,
    Hint,
    Note,
    Detail,
}

impl Kind {
    /// The first word, and its colour: bold red, yellow or cyan.
    fn word(self) -> (&'static str, &'static str) {
        match self {
            Kind::Error => ("error: ", "1;31"),
            Kind::Warning => ("warning: ", "1;33"),
            Kind::Hint => ("hint: ", "1;36"),
            Kind::Note => ("note: ", "1"),
            Kind::Detail => ("", ""),
        }
    }
}

/// Writes a line to stderr, in one piece, as a terminal can show it.
fn say(kind: Kind, text: impl std::fmt::Display) {
    let text = without_number(&text.to_string());
    let text = masked(&text);
    let text = printable(&text);
    let (word, colour) = kind.word();
    let is_coloured = !word.is_empty() && AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    let line = match is_coloured {
        true => format!("\x1b[{colour}m{}\x1b[0m {text}\n", word.trim_end()),
        false => format!("{word}{text}\n"),
    };
    let _ = io::stderr().write_all(line.as_bytes());
}

impl Report {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        Report { verbosity }
    }

    pub(super) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// A detail: a device, a size, a time.
    pub(super) fn detail(&self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Verbose {
            say(Kind::Detail, text);
        }
    }

    /// Something that failed, although the run reached its end.
    pub(super) fn error(&self, text: impl std::fmt::Display) {
        say(Kind::Error, text);
    }

    /// How many failed, which is printed at any verbosity.
    pub(super) fn failures(&self, text: impl std::fmt::Display) {
        match self.verbosity {
            Verbosity::Quiet => self.error(text),
            Verbosity::Normal | Verbosity::Verbose => self.note(text),
        }
    }

    /// Something that was decided for the person.
    pub(super) fn note(&self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            say(Kind::Note, text);
        }
    }

    /// Something that is probably not what the person wants.
    pub(super) fn warning(&self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            say(Kind::Warning, text);
        }
    }

    /// What would probably serve the person better.
    pub(super) fn hint(&self, text: impl std::fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            say(Kind::Hint, text);
        }
    }

    /// What a person should know about their labels. Of many labels with the same problem, the first are listed.
    pub(super) fn notices(&self, notices: &[Notice]) {
        let mut n_of_kind: HashMap<Discriminant<Notice>, usize> = HashMap::new();
        for notice in notices {
            let n = n_of_kind.entry(discriminant(notice)).or_default();
            *n += 1;
            if *n > LISTED_MAX {
                continue;
            }
            let advice = notice.advice().and_then(|advice| in_flags(&advice));
            let line = advice.map_or(notice.to_string(), |advice| format!("{notice}; {advice}"));
            match notice.kind() {
                NoticeKind::Warning => self.warning(line),
                NoticeKind::Note => self.note(line),
                NoticeKind::Hint => self.hint(line),
            }
        }
        let n_more: usize = n_of_kind.values().map(|n| n.saturating_sub(LISTED_MAX)).sum();
        if n_more > 0 {
            self.note(format!("{n_more} more like these"));
        }
    }

    /// What a person should know about the weights of a model.
    pub(super) fn model_notices(&self, notices: &[longclip::weights::Notice]) {
        for notice in notices {
            match (notice.is_warning(), in_flags(&notice.words())) {
                (true, Some(words)) => self.warning(words),
                (false, Some(words)) => self.note(words),
                (_, None) => {}
            }
        }
    }

    /// One input that failed; the run continues.
    pub(super) fn failed_input(&self, name: &str, error: &Error) {
        let text = error.to_string();
        match text.contains(name) {
            true => say(Kind::Error, text),
            false => say(Kind::Error, format_args!("`{name}`: {text}")),
        }
        print_hint(error);
    }

    /// Reports why nothing could be done. A closed pipe is not a failure: its reader has seen enough.
    pub(super) fn failure(&self, error: &anyhow::Error) -> Exit {
        if is_closed_pipe(error) {
            return Exit::Done;
        }
        say(Kind::Error, one_line(error));
        if let Some(Error::UnknownModel { name, .. }) = error.downcast_ref::<Error>()
            && let Some(meant) = closest(name, known_names()).filter(|meant| meant != name)
        {
            say(Kind::Hint, format_args!("did you mean `{meant}`?"));
        }
        if let Some(error) = error.downcast_ref::<Error>() {
            print_hint(error);
        }
        Exit::Refused
    }
}

fn print_hint(error: &Error) {
    if let Some(hint) = error.hint().and_then(|hint| in_flags(&hint)) {
        say(Kind::Hint, hint);
    }
}

/// An error and its causes; our own messages name their source already.
fn one_line(error: &anyhow::Error) -> String {
    match error.downcast_ref::<Error>() {
        Some(known) => known.to_string(),
        None => format!("{error:#}"),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io_error| io_error.kind() == io::ErrorKind::BrokenPipe)
    })
}
