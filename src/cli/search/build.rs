//! `longclip search build INPUT... -o INDEX`: builds or updates an index.

use std::path::{Path, PathBuf};

use longclip::error::counted;
use longclip::files::Target;
use longclip::input::{Inputs, Item};
use longclip::output::Progress;
use longclip::search::{Changes, Finished, Index, Update};
use longclip::session::{Ended, Seen, Sink, Verdict};
use longclip::{Error, Result};

use super::model;
use crate::cli::Outcome;
use crate::cli::image_run::ImageRun;
use crate::cli::input_flags::{InputFlags, PictureFlags};
use crate::cli::model_flags::ModelFlags;
use crate::cli::progress::Expected;
use crate::cli::report::{Exit, Report};
use crate::cli::run_flags::RunFlags;
use crate::cli::targets::{ForceFlag, Resuming, Writing, file_named};

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
#[command(after_help = EXAMPLES, after_long_help = NOTES)]
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
    run: RunFlags,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    if args.input.is_empty() {
        let hint = "name some: `longclip search build photos/ -o photos.parquet`";
        return Err(Error::usage("no images given", hint).into());
    }
    let inputs = args.input.plan(None)?.inputs;
    inputs.refuse_unreadable()?;
    let target = args.target(&inputs)?;
    let before = match args.force.force {
        true => None,
        false => Index::open_if_there(target.path())?,
    };
    let origin = before.as_ref().map(|index| (&*args.output, index.origin()));
    let (loaded, origin) = model::load(&args.model, &args.pictures, origin, report)?;
    let update = Update::begin(target, before, origin)?;
    let run = args.run.plan(&loaded, &args.pictures, report);
    let (exit, finished) = encode_new(update, &inputs, &run)?;
    match finished {
        None => {}
        Some(Finished::Nothing(n_before)) => return Err(nothing_left(&args.output, n_before).into()),
        Some(finished) => report.note(format!("{}: {}", args.output.display(), in_words(&finished))),
    }
    Ok(exit)
}

/// Encodes the images that an index doesn't have, and writes it. `None` if the run was cut short.
pub(super) fn encode_new(update: Update, inputs: &Inputs, run: &ImageRun<'_>) -> Result<(Exit, Option<Finished>)> {
    let report = run.report;
    if update.n_resumed() > 0 {
        report.note(format!(
            "resuming an interrupted build, which had encoded {} images",
            update.n_resumed()
        ));
    }
    let items = update.only_new(inputs.items());
    let mut builder = Builder { update };
    let (ended, watch) = run.through(Expected::Of(inputs), items, Progress::default(), &mut builder)?;
    if watch.counts().n_taken() > 0 {
        report.note(format!("encoded: {}", watch.summary()));
    }
    watch.report_cut(ended, None);
    let exit = watch.exit(ended);
    let finished = match ended {
        Ended::AtTheEnd => Some(builder.update.finish()?),
        Ended::Interrupted | Ended::TooManyFailed => {
            if let Some(journal) = builder.update.leave()? {
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
        let mut writing = Writing::new(self.force).model(&self.model).inputs(inputs);
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

/// Adds embeddings to the index.
struct Builder {
    update: Update,
}

impl Sink for Builder {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let encoded = match seen {
            Ok(seen) => self.update.encoded(&item, &seen.embedding),
            Err(error) => {
                self.update.failed(&item);
                Err(error)
            }
        };
        match encoded {
            Ok(()) => Ok(Verdict::Done),
            Err(error @ Error::Write { .. }) => Err(error),
            Err(error) => Ok(Verdict::Failed(error)),
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.update.flush()
    }

    fn n_known(&self) -> u64 {
        self.update.n_known()
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

/// The result in words, without zero counts.
pub(super) fn in_words(finished: &Finished) -> String {
    let (changes, is_up_to_date) = match finished {
        Finished::Nothing(_) => return "no images".into(),
        Finished::Written(changes) => (changes, false),
        Finished::UpToDate(changes) => (changes, true),
    };
    let Changes {
        n_pictures,
        n_new,
        n_changed,
        n_kept,
        n_dropped,
        n_out_of_reach,
        n_twice,
    } = changes;
    let mut words = counted(n_pictures, "image");
    if is_up_to_date {
        words += ", up to date";
    } else {
        let counts = [
            (n_new, "new"),
            (n_changed, "changed"),
            (n_kept, "unchanged"),
            (n_dropped, "dropped"),
        ];
        for (n, what) in counts.into_iter().filter(|(n, _)| **n > 0) {
            words += &format!(", {n} {what}");
        }
    }
    if *n_out_of_reach > 0 {
        words += &format!("; {n_out_of_reach} kept, because their folder or archive can't be read");
    }
    if *n_twice > 0 {
        words += &format!("; {n_twice} named more than once, and stored once");
    }
    words
}
