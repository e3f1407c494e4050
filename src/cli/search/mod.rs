//! `longclip search`: the images that are nearest to a text or an image, those that show the same, and an index of images.

mod build;
mod duplicates;
mod model;
mod place;
mod query;
mod questions;
mod results;

use super::Outcome;
use super::report::Report;

const EXAMPLES: &str = "\
Examples:
  longclip search photos/ \"a cat asleep on a sofa\"
  longclip search photos/ --image photo.jpg -o found.html
  longclip search duplicates photos/";

/// Find images by a text or by an image, and duplicates
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Query(query::Args),
    Duplicates(duplicates::Args),
    Build(build::Args),
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    match &args.command {
        Command::Query(args) => query::run(args, report),
        Command::Duplicates(args) => duplicates::run(args, report),
        Command::Build(args) => build::run(args, report),
    }
}
