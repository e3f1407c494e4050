//! Which files a command may write: what [`longclip::files`] decides, in the words of the command line.
//!
//! Every flag that names a file to write goes through [`Writing::target`] before anything is opened.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use longclip::files::{Destination, Excerpt, Existing, Looking, Refusal, Target, cache_folder};
use longclip::input::Inputs;
use longclip::output::{self, FormatChoice};
use longclip::text::printable_results;
use longclip::weights::names::ModelSource;
use longclip::{Error, Result};

use super::find_model::located;
use super::model_flags::ModelFlags;

/// The folder of this user's cache for `kind`, if the system names one.
pub(super) fn cache_of(kind: &str) -> Option<PathBuf> {
    cache_folder(kind, |name| std::env::var_os(name).map(PathBuf::from))
}

/// What a page that is written to `page` puts before the relative path of a file to link to it. Links of a page that is in the
/// folder of the run, above it or below it stay right when all are moved together.
pub(super) fn links_from(page: Option<&Path>) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let Some(folder) = page.map(|page| here.join(page.parent().unwrap_or(Path::new("")))) else {
        return output::folder_url(&here);
    };
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    match (folder.strip_prefix(&here), here.strip_prefix(&folder)) {
        (Ok(below), _) => "../".repeat(below.components().count()),
        (_, Ok(above)) => output::relative_url(above),
        _ => output::folder_url(&here),
    }
}

/// Whether files that exist may be replaced.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct ForceFlag {
    /// Replace files that exist
    ///
    /// Also files that longclip did not write; never a file that this run reads.
    #[arg(long, help_heading = "Output")]
    pub(super) force: bool,
}

/// Whether results that exist may be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resuming {
    /// They can't be.
    Never,
    /// They could be, and it was not asked for.
    Possible,
    Asked,
}

impl Resuming {
    /// `asked` says whether it was asked for; `None` if the format can't be continued.
    pub(super) fn of(asked: Option<bool>) -> Self {
        match asked {
            None => Resuming::Never,
            Some(false) => Resuming::Possible,
            Some(true) => Resuming::Asked,
        }
    }
}

/// What a command writes: what it reads, which is never written, and what may be done with files that exist.
pub(super) struct Writing<'a> {
    /// Files that the run reads, each with what it is.
    reads: Vec<(String, PathBuf)>,
    inputs: Option<&'a Inputs>,
    /// Whether a file is one that the inputs lead to, if they are a data set.
    found: Option<&'a dyn Fn(&Target) -> bool>,
    pub(super) force: ForceFlag,
    /// Files that other flags write.
    taken: Vec<(&'static str, PathBuf)>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(force: ForceFlag) -> Self {
        Writing {
            reads: Vec::new(),
            inputs: None,
            found: None,
            force,
            taken: Vec::new(),
        }
    }

    /// The images that are read.
    pub(super) fn inputs(mut self, inputs: &'a Inputs) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// Whether a file is one that a data set leads to. It is asked only about a file that is to be replaced.
    pub(super) fn found(mut self, is_found: &'a dyn Fn(&Target) -> bool) -> Self {
        self.found = Some(is_found);
        self
    }

    /// More files that are read, with what a message calls each.
    pub(super) fn reads<P: AsRef<Path>>(mut self, what: &str, files: impl IntoIterator<Item = P>) -> Self {
        let files = files
            .into_iter()
            .map(|file| (what.to_owned(), file.as_ref().to_owned()));
        self.reads.extend(files);
        self
    }

    /// More files that are read, each with what a message calls it.
    pub(super) fn reads_each<'f, W: AsRef<str>>(self, files: impl IntoIterator<Item = (W, &'f Path)>) -> Self {
        let files = files.into_iter();
        files.fold(self, |writing, (what, file)| writing.reads(what.as_ref(), [file]))
    }

    /// The model's files.
    pub(super) fn model(self, flags: &ModelFlags) -> Self {
        self.model_named(flags.name())
    }

    /// The files of a model by its name, if it is on this machine.
    pub(super) fn model_named(self, name: Option<&str>) -> Self {
        match located(name) {
            Some(ModelSource::Path(path)) if path.is_dir() => {
                let entries = path.read_dir().into_iter().flatten().flatten();
                self.reads("the model", entries.map(|entry| entry.path()))
            }
            Some(ModelSource::Path(path)) => self.reads("the model", [path]),
            Some(ModelSource::Nano) | None => self,
        }
    }

    /// Decides on a file that `flag` names. `is_ours` judges by content whether this program wrote what is there.
    pub(super) fn target(
        &mut self,
        flag: &'static str,
        name: &Path,
        resuming: Resuming,
        is_ours: impl FnOnce(&Excerpt) -> bool,
    ) -> Result<Target> {
        let target = Target::at(name)?;
        let existing = match (self.force.force, resuming) {
            (true, _) => Existing::Replace,
            (false, Resuming::Asked) => Existing::Continue,
            (false, Resuming::Possible | Resuming::Never) => Existing::Keep,
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
    pub(super) fn refuse_input(&self, flag: &'static str, name: &Path) -> Result<()> {
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
    let (problem, hint) = match (refusal, resuming) {
        (Refusal::Input, _) => (
            format!("`{flag} {name}` would overwrite {what}"),
            "name another file: what a run reads is never written",
        ),
        (Refusal::Results, Resuming::Never) => (
            format!("`{name}` holds results already"),
            "`--force` replaces them; or name another file",
        ),
        (Refusal::Results, Resuming::Possible | Resuming::Asked) => (
            format!("`{name}` holds results already"),
            "`--resume` continues them, `--force` replaces them; or name another file",
        ),
        (Refusal::Foreign, _) => (
            format!("`{name}` exists, and it does not look like results of longclip"),
            "name another file; `--force` replaces this one",
        ),
        (Refusal::Stream, _) => (
            format!("`--resume` continues a file, and `{name}` is not one"),
            "leave out `--resume`, or name a file",
        ),
    };
    Error::usage(problem, hint)
}

/// What `-` means in place of a file to write: stdout.
pub(super) fn file_named(name: Option<&Path>) -> Option<&Path> {
    name.filter(|name| *name != Path::new("-"))
}

/// Opens a file that gets its name when it is whole, or stdout.
pub(super) fn whole(target: Option<&Target>) -> Result<Destination> {
    match target {
        Some(target) => Destination::whole(target),
        None => Ok(stdout()),
    }
}

pub(super) fn stdout() -> Destination {
    Destination::stream(Box::new(io::stdout()), "stdout")
}

/// Stdout for results in a format. On a terminal, control characters in names and labels are escaped in all formats; files
/// and pipes get values as they are.
pub(super) fn stdout_for(format: &FormatChoice) -> Destination {
    // A table is escaped already, and may have colours.
    match io::stdout().is_terminal() && format.name() != "table" {
        true => Destination::stream(Box::new(Escaping::new(io::stdout())), "stdout"),
        false => stdout(),
    }
}

/// Writes text for a terminal.
struct Escaping<W> {
    out: W,
    /// The beginning of a character whose other bytes are to come.
    begun: Vec<u8>,
}

impl<W: Write> Escaping<W> {
    fn new(out: W) -> Self {
        let begun = Vec::new();
        Escaping { out, begun }
    }
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let n_whole = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.begun.len(),
        };
        let text = String::from_utf8_lossy(&self.begun[..n_whole]);
        self.out.write_all(printable_results(&text).as_bytes())?;
        drop(text);
        self.begun.drain(..n_whole);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_escapes_however_text_is_cut() {
        let text = "größer\t\u{1b}[31m\u{202e}猫\n";
        let mut out = Escaping::new(Vec::new());
        for byte in text.bytes() {
            out.write_all(&[byte]).unwrap();
        }
        assert_eq!(String::from_utf8(out.out).unwrap(), "größer\t\\u001b[31m\\u202e猫\n");
    }
}
