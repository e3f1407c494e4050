//! `longclip model info`: describes a model by its tensors and the config next to them.

use longclip::output::cells::columns;
use longclip::weights::Description;

use super::ModelArg;
use crate::cli::Outcome;
use crate::cli::print_format::PrintFlags;
use crate::cli::report::{Exit, Report};
use crate::cli::terminal::stdout_columns;
use crate::cli::version::instruction_set;

const EXAMPLES: &str = "\
Examples:
  longclip model info
  longclip model info longclip-b --tensors
  longclip model info checkpoints/longclip-B.pt --format json";

/// Show a model's sizes, layout, recipe, parameters and hashes
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES
)]
pub(super) struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// Also list each tensor with its shape and type
    #[arg(long)]
    tensors: bool,
    #[command(flatten)]
    format: PrintFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let (found, checkpoint) = args.model.open(report)?;
    let described = Description::of(&found, &checkpoint)?;
    let described = match args.tensors {
        true => described,
        false => described.without_tensors(),
    };
    args.format.print(|| table(&described), || &described)?;
    Ok(Exit::Done)
}

fn table(described: &Description) -> String {
    let rows = described.rows(instruction_set()).into_iter();
    let rows: Vec<_> = rows.map(|(name, value)| vec![name.to_owned(), value]).collect();
    let tensors: Vec<_> = described.tensor_rows().into_iter().map(Vec::from).collect();
    let fit = stdout_columns();
    columns(&rows, fit) + &columns(&tensors, fit)
}
