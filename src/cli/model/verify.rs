//! `longclip model verify`: reads every tensor, and compares hashes with the hub's and outputs with recorded ones.

use longclip::model::verify::{Check, CheckResult, verify};
use longclip::output::cells::columns;
use longclip::weights::names::known_names;

use super::open;
use crate::cli::Outcome;
use crate::cli::find_model::{Machine, find_model};
use crate::cli::model_flags::ReadingFlags;
use crate::cli::named::text_or;
use crate::cli::print_format::PrintFlags;
use crate::cli::report::{Exit, Report};
use crate::cli::terminal::stdout_columns;

const EXAMPLES: &str = "\
Examples:
  longclip model verify
  longclip model verify longclip-b
  longclip model verify longclip-b --format json";

const NOTES: &str = "\
A check that can't be made here (no network, no recordings of this model) is
reported as such and does not count as a failure. Exit code 2 if a check fails.";

/// Check a model's numbers, its file's hash and its outputs
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES, after_long_help = NOTES
)]
pub(super) struct Args {
    /// A name, a file, a folder, or OWNER/REPO
    ///
    /// As `--model` of other commands takes it [default: the model that they use]. Example: `longclip model verify
    /// longclip-b`
    #[arg(value_parser = text_or(known_names), hide_possible_values = true)]
    model: Option<String>,
    #[command(flatten)]
    format: PrintFlags,
    #[command(flatten)]
    reading: ReadingFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let found = find_model(args.model.as_deref(), report)?;
    let checkpoint = open(&found, args.reading, report)?;
    let checks = verify(&found, checkpoint, &Machine::from_environment().hub)?;
    args.format.print(|| table(&checks), || &checks)?;
    let failed = checks.iter().any(|check| check.result == CheckResult::Failed);
    Ok(if failed { Exit::Refused } else { Exit::Done })
}

fn table(checks: &[Check]) -> String {
    let row = |check: &Check| {
        let result = match check.result {
            CheckResult::Ok => "ok",
            CheckResult::Failed => "FAILED",
            CheckResult::NotChecked => "not checked",
        };
        vec![check.check.to_owned(), result.to_owned(), check.detail.clone()]
    };
    columns(&checks.iter().map(row).collect::<Vec<_>>(), stdout_columns())
}
