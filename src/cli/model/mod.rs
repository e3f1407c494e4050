//! `longclip model`: lists, downloads, describes, checks and converts models.

mod convert;
mod info;
mod list;
mod pull;
mod verify;

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Subcommand;
use longclip::weights::Checkpoint;
use longclip::weights::hub::{self, Checksum};
use longclip::weights::names::Resolved;
use serde::Serialize;

use super::Outcome;
use super::model_flags::ReadingFlags;
use super::report::{Exit, Report};

const EXAMPLES: &str = "\
Examples:
  longclip model list
  longclip model pull longclip-b
  longclip model info longclip-b";

/// List, download, inspect, check and convert models
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    after_help = EXAMPLES
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Pull(pull::Args),
    Info(info::Args),
    Verify(verify::Args),
    Convert(convert::Args),
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Pull(args) => pull::run(args, report),
        Command::Info(args) => info::run(args, report),
        Command::Verify(args) => verify::run(args, report),
        Command::Convert(args) => convert::run(args, report),
    }
}

/// Opens a model as it would be used: names and shapes are checked, values only when they are read.
fn open(found: &Resolved, reading: ReadingFlags, report: Report) -> longclip::Result<Checkpoint> {
    let checkpoint = Checkpoint::open_source(&found.source, &reading.options())?;
    report.model_notices(checkpoint.notices());
    Ok(checkpoint)
}

/// A weights file, with its hash.
#[derive(Serialize)]
struct HashedFile {
    path: String,
    size_bytes: u64,
    sha256: String,
}

impl HashedFile {
    /// The hash of a file in the cache is known; another file is read.
    fn of(path: &Path) -> longclip::Result<Self> {
        let sha256 = match hub::recorded_checksum(path) {
            Some(Checksum::Sha256(hex)) => hex,
            Some(Checksum::GitBlob(_)) | None => hub::file_sha256(path, |_| ())?.hex().to_owned(),
        };
        Ok(HashedFile {
            path: path.display().to_string(),
            size_bytes: fs::metadata(path).map_or(0, |meta| meta.len()),
            sha256,
        })
    }
}

/// Prints a result.
fn print(text: &str) -> Outcome {
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Done)
}
