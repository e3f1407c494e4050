//! `longclip model verify`: reads every tensor, and compares hashes with the hub's and outputs with recorded ones.

use longclip::model::verify::{Check, CheckResult, verify};
use longclip::output::cells::columns;

use super::ModelArg;
use crate::cli::Outcome;
use crate::cli::find_model::Machine;
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
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    format: PrintFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let (found, checkpoint) = args.model.open(report)?;
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
