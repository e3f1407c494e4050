//! The command line: one file per command, each in three steps: args (as typed), plan (as checked), run.
//!
//! Only here are terminals, flags, the environment and exit codes. Results go to stdout, everything else to stderr.

mod bench;
mod classify;
mod completions;
mod embed;
mod eval;
mod explain;
mod facts;
mod find_model;
mod format_choice;
mod hint;
mod image_run;
mod input_flags;
mod interrupt;
mod label_flags;
mod licenses;
mod man;
mod model;
mod model_flags;
mod named;
mod numbers;
mod output_flags;
mod print_format;
mod progress;
mod report;
mod results;
mod run_flags;
mod run_report;
mod score_flags;
#[cfg(feature = "parquet")]
mod search;
mod sort;
#[cfg(feature = "arrow")]
mod stream;
mod targets;
mod tokens;
#[cfg(feature = "train")]
mod train;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use longclip::error::{caught, note_panic};

use self::report::{Exit, Report, Verbosity};

/// What scripts can rely on, in `--help` and in the manual page.
const EXIT_CODES: &str = "\
Exit codes:
  0    all done
  1    some inputs failed, the others are done
  2    nothing could be done: a flag is wrong, a folder or list is missing, or every input failed
  130  interrupted; a note says how to continue";

/// Says which of the labels you give fits a photo. A label can be a whole paragraph.
#[derive(Debug, Parser)]
#[command(name = "longclip", version, propagate_version = true, max_term_width = 100, after_long_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    verbosity: VerbosityFlags,
    /// Print the notices of the data and the crates in this program
    #[arg(long = "licenses")]
    _licenses: bool,
}

/// How much is said on stderr.
#[derive(Debug, clap::Args)]
struct VerbosityFlags {
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more on stderr: model, device, times
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Classify(classify::Args),
    Embed(embed::Args),
    Eval(eval::Args),
    Sort(sort::Args),
    #[cfg(feature = "parquet")]
    Search(search::Args),
    Tokens(tokens::Args),
    #[cfg(feature = "train")]
    Train(train::Args),
    Model(model::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// What a command does, then examples, then its flags: most people look for a line to copy.
const HELP: &str = "{about}{after-help}\n\n{usage-heading} {usage}\n\n{all-args}";

/// The command line with all its commands, as parsed and as documented.
fn command() -> clap::Command {
    with_examples_first(Cli::command())
}

fn with_examples_first(command: clap::Command) -> clap::Command {
    command.help_template(HELP).mut_subcommands(with_examples_first)
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    // A panic becomes an error and is reported, at the latest here.
    std::panic::set_hook(Box::new(note_panic));
    if licenses::are_asked_for() {
        return licenses::print();
    }
    let parsed = Cli::from_arg_matches(&command().get_matches());
    let cli = parsed.unwrap_or_else(|error| error.exit());
    let report = Report::new(match cli.verbosity {
        VerbosityFlags { quiet: true, .. } => Verbosity::Quiet,
        VerbosityFlags { verbose: true, .. } => Verbosity::Verbose,
        VerbosityFlags { .. } => Verbosity::Normal,
    });
    let outcome = caught(|| match cli.command {
        Command::Classify(args) => classify::run(&args, report),
        Command::Embed(args) => embed::run(&args, report),
        Command::Eval(args) => eval::run(&args, report),
        Command::Sort(args) => sort::run(&args, report),
        #[cfg(feature = "parquet")]
        Command::Search(args) => search::run(&args, report),
        Command::Tokens(args) => tokens::run(&args, report),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(&args, report),
        Command::Model(args) => model::run(&args, report),
        Command::Bench(args) => bench::run(&args, report),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    });
    let outcome = outcome.unwrap_or_else(|bug| Err(longclip::Error::from(bug).into()));
    outcome.unwrap_or_else(|error| report.failure(&error)).into()
}

/// What a command comes to; an error is exit code 2.
type Outcome = anyhow::Result<Exit>;
