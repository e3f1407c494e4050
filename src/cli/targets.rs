//! The files that a command writes, as its flags name them; `-` is stdout.
//!
//! Every flag that names a file to write goes through [`Writing::target`] before anything is opened.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use longclip::Result;
use longclip::files::{Destination, Existing, Target, cache_folder};
use longclip::output::{self, EscapingWriter, FormatChoice};
use longclip::session::Writing;
use longclip::weights::names::ModelSource;

use super::find_model::located;
use super::model_flags::ModelFlags;

/// The folder of this user's cache for `kind`, if the system names one.
pub(super) fn cache_of(kind: &str) -> Option<PathBuf> {
    cache_folder(kind, |name| std::env::var_os(name).map(PathBuf::from))
}

/// What a page that is written to `page` puts before the relative path of a file to link to it.
pub(super) fn links_from(page: Option<&Path>) -> String {
    output::links_from(page, &std::env::current_dir().unwrap_or_default())
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

impl ForceFlag {
    /// What may be done with files that exist.
    pub(super) fn existing(self) -> Existing {
        match self.force {
            true => Existing::Replace,
            false => Existing::Keep,
        }
    }
}

/// What a command with this model may write.
pub(super) fn writing<'a>(force: ForceFlag, model: &ModelFlags) -> Writing<'a> {
    Writing::new(force.existing()).reads("the model", model_files(model.name()))
}

/// The files of a model by its name, if it is on this machine.
pub(super) fn model_files(name: Option<&str>) -> Vec<PathBuf> {
    match located(name) {
        Some(ModelSource::Path(path)) if path.is_dir() => {
            let entries = path.read_dir().into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect()
        }
        Some(ModelSource::Path(path)) => vec![path],
        Some(ModelSource::Nano) | None => Vec::new(),
    }
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
        true => Destination::stream(Box::new(EscapingWriter::new(io::stdout())), "stdout"),
        false => stdout(),
    }
}
