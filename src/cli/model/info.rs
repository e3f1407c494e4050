//! `longclip model info`: describes a model by its tensors and the config next to them.

use longclip::output::cells::columns;
use longclip::weights::Description;
use longclip::weights::names::known_names;

use super::open;
use crate::cli::Outcome;
use crate::cli::find_model::find_model;
use crate::cli::model_flags::ReadingFlags;
use crate::cli::named::text_or;
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
    /// A name, a file, a folder, or OWNER/REPO
    ///
    /// As `--model` of other commands takes it [default: the model that they use]. Example: `longclip model info
    /// longclip-b`
    #[arg(value_parser = text_or(known_names), hide_possible_values = true)]
    model: Option<String>,
    /// Also list each tensor with its shape and type
    #[arg(long)]
    tensors: bool,
    #[command(flatten)]
    format: PrintFlags,
    #[command(flatten)]
    reading: ReadingFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let found = find_model(args.model.as_deref(), report)?;
    let checkpoint = open(&found, args.reading, report)?;
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
