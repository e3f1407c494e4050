//! `longclip eval`: measures a model on the user's own data; one file per task.

mod compare;
mod encode;
mod page;
mod retrieval;
mod zeroshot;

use clap::Subcommand;

use super::Outcome;
use super::report::Report;

const EXAMPLES: &str = "\
Examples:
  longclip eval zeroshot --data classes/
  longclip eval zeroshot --data classes/ --report page.html
  longclip eval retrieval --data pairs.ndjson";

/// Measure how well a model does on your data
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
    Zeroshot(zeroshot::Args),
    Retrieval(retrieval::Args),
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    match &args.command {
        Command::Zeroshot(args) => zeroshot::run(args, report),
        Command::Retrieval(args) => retrieval::run(args, report),
    }
}
