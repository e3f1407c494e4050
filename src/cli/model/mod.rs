//! `longclip model`: lists, downloads, describes, checks and converts models.

mod convert;
mod info;
mod list;
mod pull;
mod verify;

use std::io::{self, Write};

use clap::Subcommand;
use longclip::weights::Checkpoint;
use longclip::weights::names::{Resolved, known_names};

use super::Outcome;
use super::find_model::find_model;
use super::model_flags::ReadingFlags;
use super::named::TextOr;
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

/// The model that is described or checked.
#[derive(Debug, Clone, clap::Args)]
struct ModelArg {
    /// A name, a file, a folder, or OWNER/REPO
    ///
    /// As `--model` of other commands takes it [default: the model that they use]. Example: `longclip-b`
    #[arg(value_parser = TextOr(known_names), hide_possible_values = true)]
    model: Option<String>,
    #[command(flatten)]
    reading: ReadingFlags,
}

impl ModelArg {
    /// Finds the model, and opens it.
    fn open(&self, report: Report) -> longclip::Result<(Resolved, Checkpoint)> {
        let found = find_model(self.model.as_deref(), report)?;
        let checkpoint = open(&found, self.reading, report)?;
        Ok((found, checkpoint))
    }
}

/// Opens a model as it would be used: names and shapes are checked, values only when they are read.
fn open(found: &Resolved, reading: ReadingFlags, report: Report) -> longclip::Result<Checkpoint> {
    let checkpoint = Checkpoint::open_source(&found.source, &reading.options())?;
    report.model_notices(checkpoint.notices());
    Ok(checkpoint)
}

/// Prints a result.
fn print(text: &str) -> Outcome {
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Done)
}
