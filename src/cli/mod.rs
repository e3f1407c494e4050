//! The command line: one file per command, each in three steps: args (as typed), plan (as checked), run.
//!
//! Only here are terminals, flags, the environment and exit codes. Results go to stdout, everything else to stderr.

mod bar;
mod bench;
mod classify;
mod completions;
mod data_flags;
mod embed;
mod eval;
mod facts;
mod find_model;
mod format_choice;
mod help;
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
mod other_names;
mod output_flags;
mod print_format;
mod progress;
mod report;
mod run_flags;
mod run_report;
mod score;
mod score_flags;
#[cfg(feature = "parquet")]
mod search;
mod shard_flags;
mod sort;
mod sort_undo;
#[cfg(feature = "arrow")]
mod stream;
mod tag;
mod targets;
mod terminal;
mod this_command;
mod tokens;
#[cfg(feature = "train")]
mod train;
mod typed;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgAction, FromArgMatches, Parser, Subcommand};
use longclip::error::{caught, note_panic};

use self::help::{Length, command};
use self::report::{Exit, Report, Verbosity};
use self::terminal::ColorWhen;

const EXAMPLES: &str = "\
Examples:
  longclip classify photo.jpg --labels \"a cat\" \"a dog\" \"a landscape\"
  longclip sort photos/ --into sorted --copy --labels \"a cat\" \"a dog\"
  longclip search photos/ \"a cat asleep on a sofa\"";

const EXIT_CODES: &str = "\
Exit codes:
  0    all done
  1    some inputs failed, the others are done
  2    nothing could be done: a flag is wrong, a folder or list is missing, or
       every input failed
  130  interrupted; a note says how to continue";

/// Finds which of your labels fits a photo; a label can be a whole paragraph
#[derive(Debug, Parser)]
#[command(
    name = "longclip",
    version,
    propagate_version = true,
    disable_help_flag = true,
    disable_version_flag = true,
    after_help = EXAMPLES,
    after_long_help = EXIT_CODES
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    general: GeneralFlags,
    /// Print the notices of its data and its crates
    #[arg(long = "licenses", help_heading = "General", display_order = 905)]
    _licenses: bool,
}

/// The flags of all commands.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "General")]
struct GeneralFlags {
    /// Print nothing on stderr but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 900)]
    quiet: bool,
    /// Print more on stderr: model, device, times
    #[arg(short, long, global = true, display_order = 901)]
    verbose: bool,
    /// Colour the output: auto, always or never
    ///
    /// `auto` colours on a terminal, unless $NO_COLOR is set. Example: `--color always | less -R`
    // Read by `ColorWhen::apply`, before there are flags.
    #[arg(
        long = "color",
        alias = "colour",
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        display_order = 902
    )]
    _color: ColorWhen,
    /// Print help; `--help` prints more
    #[arg(short = 'h', long = "help", global = true, action = ArgAction::Help, display_order = 903)]
    _help: Option<bool>,
    /// Print the version; `--version` prints more
    #[arg(short = 'V', long = "version", global = true, action = ArgAction::Version, display_order = 904)]
    _version: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Classify(classify::Args),
    Embed(embed::Args),
    Eval(eval::Args),
    Sort(sort::Args),
    Tag(tag::Args),
    #[cfg(feature = "parquet")]
    Search(search::Args),
    Score(score::Args),
    Tokens(tokens::Args),
    #[cfg(feature = "train")]
    Train(train::Args),
    Model(model::Args),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the command line of this process.
pub(crate) fn main() -> ExitCode {
    // A panic becomes an error and is reported, at the latest here.
    std::panic::set_hook(Box::new(note_panic));
    if licenses::are_asked_for() {
        return licenses::print();
    }
    let typed: Vec<OsString> = std::env::args_os().collect();
    let words: Vec<String> = typed.iter().map(|word| word.to_string_lossy().into()).collect();
    ColorWhen::apply(&words);
    let command = command(Length::asked(&words));
    let understood = typed::understood(typed, &command);
    let parsed = other_names::matches(&understood, command).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = parsed.unwrap_or_else(|error| error.exit());
    let report = Report::new(match cli.general {
        GeneralFlags { quiet: true, .. } => Verbosity::Quiet,
        GeneralFlags { verbose: true, .. } => Verbosity::Verbose,
        GeneralFlags { .. } => Verbosity::Normal,
    });
    if let Some(waiting) = terminal::waiting_for_stdin(&words) {
        report.note(waiting);
    }
    let outcome = caught(|| match cli.command {
        Command::Classify(args) => classify::run(&args, report),
        Command::Embed(args) => embed::run(&args, report),
        Command::Eval(args) => eval::run(&args, report),
        Command::Sort(args) => sort::run(&args, report),
        Command::Tag(args) => tag::run(&args, report),
        #[cfg(feature = "parquet")]
        Command::Search(args) => search::run(&args, report),
        Command::Score(args) => score::run(&args, report),
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

/// The result of a command; an error is exit code 2.
type Outcome = anyhow::Result<Exit>;
