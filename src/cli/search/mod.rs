//! `longclip search build|query`: an index of images, and the images in it that are nearest to a text or an image.

mod build;
mod model;
mod query;
mod results;

use super::Outcome;
use super::report::Report;

const EXAMPLES: &str = "\
Examples:
  longclip search build photos/ -o photos.parquet
  longclip search query photos.parquet \"a cat asleep on a sofa\"
  longclip search query photos.parquet --image photo.jpg -o found.html";

/// Find images by a text or by an image
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Build(build::Args),
    Query(query::Args),
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    match &args.command {
        Command::Build(args) => build::run(args, report),
        Command::Query(args) => query::run(args, report),
    }
}
