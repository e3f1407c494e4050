//! `longclip search WHERE TEXT...`, or `longclip search query`: finds the images that are nearest to texts and images.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use longclip::output::Found;
use longclip::search::found::of_hits;
use longclip::search::{AnswerLimits, Asked, Question};

use super::place::{Place, PlaceFlags};
use super::questions::QuestionFlags;
use super::results::{ResultFlags, print};
use crate::cli::Outcome;
use crate::cli::input_flags::to_one_square;
use crate::cli::model_flags::warn_of_cut_texts;
use crate::cli::report::Report;

const EXAMPLES: &str = "\
Examples:
  longclip search photos/ \"a cat asleep on a sofa\"
  longclip search photos/ \"a cat\" -x \"a cat on grass\" -k 20
  longclip search photos.parquet --image photo.jpg -o found.html";

const NOTES: &str = "\
More examples:
  longclip search photos/ \"a receipt\" --format '{path}'
  longclip search photos/ --image sofa.jpg --add \"a cat\" --subtract 0.5:\"a dog\"

The word `query` may be left out. New and changed images of a folder or an archive
are encoded first; the index is in the cache ($XDG_CACHE_HOME/longclip/search).
`--exclude` drops images that are nearer to its text than to the text that you
search for. If you search for an image, it drops those that are nearer to its text
than that image is. By default, model and number type are those of the index.";

/// Print the images that are nearest to a text or an image
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = NOTES, mut_arg("fit", to_one_square))]
pub(super) struct Args {
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    questions: QuestionFlags,
    #[command(flatten)]
    results: ResultFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let query = args.questions.query()?;
    let format = args.results.format()?;
    let inputs = args.place.inputs()?;
    let writing = args.place.writing(args.results.force, inputs.as_ref());
    let writing = writing.reads("the file of texts", &args.questions.queries_from);
    let target = args
        .results
        .target(writing.reads("an image of the search", &args.questions.image))?;
    let place = match args.place.open(inputs.as_ref(), report)? {
        ControlFlow::Continue(place) => place,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let Place { index, loaded, .. } = &place;
    let began = Instant::now();
    warn_of_cut_texts(&loaded.model, query.all_texts(), "text", report);
    let asked = query.encode(&loaded.model, &place.reading.apply(loaded.model.preprocess()))?;
    let encoded = Instant::now();
    let limits = AnswerLimits {
        top_k: args.questions.top_k,
        threshold: args.questions.threshold,
    };
    let questions: Vec<Question> = asked.iter().map(|asked| asked.question.clone()).collect();
    let hits = index.nearest(&questions, limits, &loaded.kernel_threads());
    report.detail(format!(
        "{} images of {}: encoded in {:.0} ms, searched in {:.0} ms{}",
        index.len(),
        index.origin(),
        (encoded - began).as_secs_f64() * 1e3,
        encoded.elapsed().as_secs_f64() * 1e3,
        if index.is_searched_in_place() {
            ""
        } else {
            " (read into memory first)"
        }
    ));
    let found = of_hits(index, &place.names, &asked, &hits)?;
    report_problems(&asked, &found, args.place.name(), report);
    let names = asked.into_iter().map(|asked| asked.name);
    print(&place, &format, target.as_ref(), names.zip(found).collect(), report)?;
    Ok(place.exit)
}

/// Reports queries without results, and files that changed.
fn report_problems(asked: &[Asked], found: &[Vec<Found>], index: &Path, report: Report) {
    for (asked, _) in asked.iter().zip(found).filter(|(_, found)| found.is_empty()) {
        report.note(format!(
            "nothing found for `{}`: no image passes `--threshold` and `--exclude`",
            asked.name
        ));
    }
    let n_stale = found.iter().flatten().filter(|found| found.state.is_some()).count();
    if n_stale > 0 {
        report.note(format!(
            "{n_stale} of these {} gone or changed since `{}` was made; `longclip search build` brings it up to date",
            if n_stale == 1 { "is" } else { "are" },
            index.display()
        ));
    }
}
