//! `longclip search build INPUT... -o INDEX`: builds or updates an index.

use std::path::{Path, PathBuf};

use longclip::files::Target;
use longclip::input::Inputs;
use longclip::output::Progress;
use longclip::score::OneView;
use longclip::search::{Finished, Index, Update};
use longclip::session::{Ended, Indexing, Resuming};
use longclip::{Error, Result};

use super::model;
use crate::cli::Outcome;
use crate::cli::image_run::ImageRun;
use crate::cli::input_flags::{InputFlags, to_one_square};
use crate::cli::progress::Expected;
use crate::cli::report::{Exit, Report};
use crate::cli::run_flags::EncodingFlags;
use crate::cli::targets::{self, ForceFlag, file_named};

const EXAMPLES: &str = "\
Examples:
  longclip search build photos/ -o photos.parquet
  longclip search build photos/ scans/ --model longclip-b -o all.parquet
  longclip search build --files-from names.txt -o photos.parquet";

const NOTES: &str = "\
Run again, it encodes what is new or changed, and drops what is gone or no longer
named. The index stays complete until the new one is; after an interruption, the
next build continues from what was encoded.
Exit codes: 0 all images are in, 1 some failed and are tried again next time,
2 nothing could be done, 130 interrupted.";

/// Make an index of images, or bring it up to date
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = NOTES, mut_arg("fit", to_one_square))]
pub(super) struct Args {
    #[command(flatten)]
    input: InputFlags,
    /// The index to make or to update
    ///
    /// A Parquet file of paths and embeddings. Example: `-o photos.parquet`
    #[arg(short, long, value_name = "INDEX")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceFlag,
    #[command(flatten)]
    encoding: EncodingFlags,
}

/// What a message says that an index does with embeddings.
pub(super) const HOLDS: &str = "an index holds";

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    if args.input.is_empty() {
        let hint = "name some: `longclip search build photos/ -o photos.parquet`";
        return Err(Error::usage("no images given", hint).into());
    }
    let one = args.encoding.pictures.one_view(HOLDS)?;
    let inputs = args.input.plan(None)?;
    let target = args.target(&inputs)?;
    let before = match args.force.force {
        true => None,
        false => Index::open_if_there(target.path())?,
    };
    let origin = before.as_ref().map(|index| (&*args.output, index.origin()));
    let (loaded, origin) = model::load(&args.encoding.model, &args.encoding.pictures.reading(), origin, report)?;
    let update = Update::begin(target, before, origin)?;
    let run = args.encoding.plan(&loaded, report);
    let (exit, finished) = encode_new(update, &inputs, &run, one)?;
    match finished {
        None => {}
        Some(Finished::Nothing(n_before)) => return Err(nothing_left(&args.output, n_before).into()),
        Some(finished) => report.note(format!("{}: {}", args.output.display(), finished)),
    }
    Ok(exit)
}

/// Encodes the images that an index doesn't have, and writes it. `None` if the run was cut short.
pub(super) fn encode_new(
    mut update: Update,
    inputs: &Inputs,
    run: &ImageRun<'_>,
    one: OneView,
) -> Result<(Exit, Option<Finished>)> {
    let report = run.report;
    if update.n_resumed() > 0 {
        report.note(format!(
            "resuming an interrupted build, which had encoded {} images",
            update.n_resumed()
        ));
    }
    let items = update.only_new(inputs.items());
    let mut indexing = Indexing {
        update: &mut update,
        one,
    };
    let (ended, watch) = run.through(Expected::Of(inputs), items, Progress::default(), &mut indexing)?;
    if watch.counts().n_taken() > 0 {
        report.note(format!("encoded: {}", watch.summary()));
    }
    watch.report_cut(ended, None);
    let exit = watch.exit(ended);
    let finished = match ended {
        Ended::AtTheEnd => Some(update.finish()?),
        Ended::Interrupted | Ended::TooManyFailed => {
            if let Some(journal) = update.leave()? {
                report.note(format!(
                    "`{}` holds what was encoded; the next build continues from it",
                    journal.display()
                ));
            }
            None
        }
    };
    // Said once, and not by each search of a folder that has not changed.
    if !matches!(finished, Some(Finished::UpToDate(_))) {
        watch.report_skipped(&inputs.options.skipped.counts());
    }
    Ok((exit, finished))
}

impl Args {
    /// The index, which an update replaces: what is not one is refused when it is opened.
    fn target(&self, inputs: &Inputs) -> Result<Target> {
        if file_named(Some(&self.output)).is_none() {
            return Err(Error::usage("an index is a file, and `-` is stdout", "name a file"));
        }
        let mut writing = targets::writing(self.force, &self.encoding.model).inputs(inputs);
        let target = writing.target("--output", &self.output, Resuming::Asked, |_| true)?;
        match target.is_file() {
            true => Ok(target),
            false => Err(Error::usage(
                format!("an index is a file, and `{}` is not", self.output.display()),
                "name a file",
            )),
        }
    }
}

fn nothing_left(index: &Path, n_before: usize) -> Error {
    match n_before {
        0 => Error::usage(
            format!("there is no image for `{}`", index.display()),
            "name images or folders of images: `longclip search build photos/ -o index.parquet`",
        ),
        _ => Error::usage(
            format!(
                "none of the {n_before} images in `{}` is left; the index stays as it is",
                index.display()
            ),
            "is the disk mounted? If the images are meant to be gone, remove the index",
        ),
    }
}
