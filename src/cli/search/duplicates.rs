//! `longclip search duplicates WHERE`: groups of images that show the same, each with the one to keep first.

use std::ops::ControlFlow;
use std::time::Instant;

use longclip::search::found::copies;
use longclip::search::{Copied, Duplicates, groups_in_words};
use longclip::session::Counts;

use super::place::{Place, PlaceFlags};
use super::questions::cosine;
use super::results::{ResultFlags, print};
use crate::cli::Outcome;
use crate::cli::input_flags::to_one_square;
use crate::cli::interrupt::stop_on_interrupt;
use crate::cli::progress::{self, Expected, ProgressLine};
use crate::cli::report::{Exit, Report};

const EXAMPLES: &str = "\
Examples:
  longclip search duplicates photos/
  longclip search duplicates photos/ -o duplicates.html
  longclip search duplicates photos/ -f '{field.copy} {path}'";

const NOTES: &str = "\
Each group begins with the image to keep: the one with the most pixels; of these,
the largest file; of these, the earliest. `exact` files have the same bytes, `near`
ones show the same. Nothing is deleted or moved.";

/// Find images that show the same: copies, and resized or edited ones
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = NOTES, mut_arg("fit", to_one_square))]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceFlags,
    /// The smallest cosine of images that show the same
    ///
    /// From -1 to 1; 1 finds only images that the model can't distinguish. Example: `--threshold 0.98`
    #[arg(
        long,
        value_name = "X",
        default_value_t = THRESHOLD,
        allow_negative_numbers = true,
        value_parser = cosine,
        help_heading = "Search"
    )]
    threshold: f32,
    #[command(flatten)]
    results: ResultFlags,
}

/// By docs/scripts/near_duplicates.py: with nano, 0.97 finds all photos that were made smaller, 95% of those that were made
/// brighter, and 70% of those that were cropped; of 296 photos, many of them in series, it groups 23. 0.95 groups 69.
const THRESHOLD: f32 = 0.97;

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let format = args.results.format()?;
    let inputs = args.place.inputs()?;
    let writing = args.place.writing(args.results.force, inputs.as_ref());
    let target = args.results.target(writing)?;
    let place = match args.place.open(inputs.as_ref(), report)? {
        ControlFlow::Continue(place) => place,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let Some(groups) = groups(args, &place, report)? else {
        report.note("interrupted");
        return Ok(Exit::Interrupted);
    };
    let folder = &place.index.origin().folder;
    let found = groups.iter().map(|group| copies(group, folder, &place.names));
    let answers = found.filter_map(|found| Some((found.first()?.path.clone(), found)));
    print(&place, &format, target.as_ref(), answers.collect(), report)?;
    report.note(groups_in_words(&groups, place.index.len()));
    Ok(place.exit)
}

/// `None` if Ctrl-C ended the search.
fn groups(args: &Args, place: &Place, report: Report) -> longclip::Result<Option<Vec<Vec<Copied>>>> {
    let stop = stop_on_interrupt();
    let expected = Expected::Exactly(place.index.len() as u64);
    let mut line = ProgressLine::begin(report, &expected, 0, progress::Results::Elsewhere);
    let began = Instant::now();
    let duplicates = Duplicates {
        threshold: args.threshold,
        threads: &place.loaded.kernel_threads(),
    };
    let found = duplicates.find(&place.index, &mut |n_compared| {
        let n_done = n_compared as u64;
        let counts = Counts {
            n_done,
            ..Counts::default()
        };
        line.show(counts, n_done as f64 / began.elapsed().as_secs_f64());
        !stop.is_requested()
    });
    line.end();
    found
}
