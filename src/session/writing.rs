//! Which files a command may write: what [`files`](crate::files) decides, with what the command reads.

use std::path::{Path, PathBuf};

use crate::error::{Control, Error, Hint, Result, hint};
use crate::files::{Excerpt, Existing, Looking, Refusal, Target};
use crate::input::Inputs;

/// Whether results that exist may be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resuming {
    /// They can't be.
    Never,
    /// They could be, and it was not asked for.
    Possible,
    /// It was asked for.
    Asked,
}

impl Resuming {
    /// `asked` says whether it was asked for; `None` if the format can't be continued.
    pub fn of(asked: Option<bool>) -> Self {
        match asked {
            None => Resuming::Never,
            Some(false) => Resuming::Possible,
            Some(true) => Resuming::Asked,
        }
    }
}

/// What a command writes: what it reads, which is never written, and what may be done with files that exist.
pub struct Writing<'a> {
    /// Files that the run reads, each with what it is.
    reads: Vec<(String, PathBuf)>,
    inputs: Option<&'a Inputs>,
    /// Whether a file is one that the inputs lead to, if they are a data set.
    found: Option<&'a dyn Fn(&Target) -> bool>,
    existing: Existing,
    /// Files that other flags write.
    taken: Vec<(&'static str, PathBuf)>,
}

impl<'a> Writing<'a> {
    /// A command that reads nothing yet. `existing` is what it may do with files that exist, unless it continues one.
    pub fn new(existing: Existing) -> Self {
        Writing {
            reads: Vec::new(),
            inputs: None,
            found: None,
            existing,
            taken: Vec::new(),
        }
    }

    /// Whether files that exist are replaced.
    pub fn replaces_existing(&self) -> bool {
        self.existing == Existing::Replace
    }

    /// The images that are read.
    #[must_use]
    pub fn inputs(mut self, inputs: &'a Inputs) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// Whether a file is one that a data set leads to. It is asked only about a file that is to be replaced.
    #[must_use]
    pub fn found(mut self, is_found: &'a dyn Fn(&Target) -> bool) -> Self {
        self.found = Some(is_found);
        self
    }

    /// More files that are read, with what a message calls each.
    #[must_use]
    pub fn reads<P: AsRef<Path>>(mut self, what: &str, files: impl IntoIterator<Item = P>) -> Self {
        let files = files
            .into_iter()
            .map(|file| (what.to_owned(), file.as_ref().to_owned()));
        self.reads.extend(files);
        self
    }

    /// More files that are read, each with what a message calls it.
    #[must_use]
    pub fn reads_each<'f, W: AsRef<str>>(self, files: impl IntoIterator<Item = (W, &'f Path)>) -> Self {
        let files = files.into_iter();
        files.fold(self, |writing, (what, file)| writing.reads(what.as_ref(), [file]))
    }

    /// Decides on a file that `flag` names. `is_ours` judges by content whether this program wrote what is there.
    ///
    /// # Errors
    /// [`Error::Usage`] if it may not be written; as [`Target::at`].
    pub fn target(
        &mut self,
        flag: &'static str,
        name: &Path,
        resuming: Resuming,
        is_ours: impl FnOnce(&Excerpt) -> bool,
    ) -> Result<Target> {
        let target = Target::at(name)?;
        let existing = match (self.existing, resuming) {
            (Existing::Keep, Resuming::Asked) => Existing::Continue,
            (existing, _) => existing,
        };
        if let Some((other, _)) = self.taken.iter().find(|(_, taken)| target.is(taken)) {
            return Err(Error::usage(
                format!("`{flag}` and `{other}` both write `{}`", name.display()),
                "name two files",
            ));
        }
        let what = self.what_is(&target);
        let is_found = || self.found.is_some_and(|is_found| is_found(&target));
        let is_read = |looking| {
            what.is_some()
                || self.inputs.is_some_and(|inputs| inputs.have(&target, looking))
                || (looking == Looking::Everywhere && is_found())
        };
        if let Some(refusal) = target.refusal(existing, is_read, is_ours)? {
            let what = what.unwrap_or("one of the inputs");
            return Err(in_words(refusal, flag, name, resuming, what));
        }
        self.taken.push((flag, target.path().to_owned()));
        Ok(target)
    }

    /// Refuses a file that the run reads, whatever it holds.
    ///
    /// # Errors
    /// [`Error::Usage`]; as [`Target::at`].
    pub fn refuse_input(&self, flag: &'static str, name: &Path) -> Result<()> {
        let target = Target::at(name)?;
        let what = self.what_is(&target);
        let is_input = |inputs: &Inputs| inputs.have(&target, Looking::AtNames);
        let what = what.or_else(|| self.inputs.is_some_and(is_input).then_some("one of the inputs"));
        what.map_or(Ok(()), |what| {
            Err(in_words(Refusal::Input, flag, name, Resuming::Never, what))
        })
    }

    /// What a message calls a target that is one of the files that are read, other than the images.
    fn what_is(&self, target: &Target) -> Option<&str> {
        let mut reads = self.reads.iter();
        reads.find(|(_, file)| target.is(file)).map(|(what, _)| what.as_str())
    }
}

fn in_words(refusal: Refusal, flag: &str, name: &Path, resuming: Resuming, what: &str) -> Error {
    let name = name.display();
    let results = format!("`{name}` holds results already");
    let (problem, hint) = match (refusal, resuming) {
        (Refusal::Input, _) => (
            format!("`{flag} {name}` would overwrite {what}"),
            Hint::from("name another file: what a run reads is never written"),
        ),
        (Refusal::Results, Resuming::Never) => (
            results,
            hint!("{} replaces them; or name another file", Control::ReplaceFiles),
        ),
        (Refusal::Results, Resuming::Possible | Resuming::Asked) => (
            results,
            hint!(
                "{} continues them, {} replaces them; or name another file",
                Control::Resume,
                Control::ReplaceFiles
            ),
        ),
        (Refusal::Foreign, _) => (
            format!("`{name}` exists, and it does not look like results of longclip"),
            hint!("name another file; {} replaces this one", Control::ReplaceFiles),
        ),
        (Refusal::Stream, _) => (
            format!("only a file can be continued, and `{name}` is not one"),
            hint!("leave out {}, or name a file", Control::Resume),
        ),
    };
    Error::Usage {
        problem,
        hint: Some(hint),
    }
}
