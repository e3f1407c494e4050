//! `longclip sort INPUT... --into DIR --move|--copy|--link`: one folder per label, with the photos that it fits best.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longclip::files::Destination;
use longclip::input::{Content, Inputs, Item};
use longclip::labels::Notice;
use longclip::output::transfer::Manner;
use longclip::output::{Progress, Tally, Terminal, moves_log};
use longclip::session::{Classifier, Resuming, Scorer, Seen, Sink, SortPlan, Sorted, Sorter, Verdict};
use longclip::text::start_of;
use longclip::{Error, Grouping, Result};

use super::Outcome;
use super::image_run::ImageRun;
use super::input_flags::InputFlags;
use super::label_flags::{GroupFlag, LabelFlags};
use super::progress::{Expected, Results};
use super::report::Report;
use super::run_flags::EncodingFlags;
use super::score_flags::ScoreFlags;
use super::sort_undo;
use super::targets::{self, ForceFlag};
use super::terminal::stdout_terminal;

const EXAMPLES: &str = "\
Examples:
  longclip sort photos/ --into sorted --copy --labels \"a cat\" \"a dog\"
  longclip sort photos/ --into sorted --move --labels-file l.txt --dry-run
  longclip sort --undo moves.ndjson";

const NOTES: &str = "\
More examples:
  longclip sort photos/ --into sorted --link --labels-file l.txt --reject
  longclip sort photos/ --into s --move --label cat --reject --log moves.ndjson

Nothing is ever overwritten: a photo whose name is taken gets a number after its
name, and one that is there already stays. Sidecars (.xmp, .aae), raw files and
movies of the same name go with their photo.
With `--threshold`, a photo that no label fits well enough stays where it is;
with `--reject` it goes to a folder of its own; with `--group-by` there is a
folder for each group. In a pipe each line says what went where.
Exit codes: 0 all images done, 1 some failed, 2 nothing could be done or all
failed, 130 interrupted.";

/// Copy, move or link photos into a folder for each label
#[derive(Debug, clap::Args)]
#[command(override_usage = "longclip sort [OPTIONS] INPUT... --into DIR --copy --labels LABEL...", after_help = EXAMPLES, after_long_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    labels: LabelFlags,
    #[command(flatten)]
    group: GroupFlag,
    #[command(flatten)]
    scores: ScoreFlags,
    /// The folder in which the labels' folders are made
    ///
    /// It is made if it does not exist, and can't be in a folder that is sorted. Example: `--into sorted`
    #[arg(long, value_name = "DIR", required_unless_present = "undo")]
    into: Option<PathBuf>,
    #[command(flatten)]
    manner: MannerFlags,
    /// Sort by one label alone
    ///
    /// Every photo then goes into its folder.
    #[arg(hide_short_help = true, long)]
    force: bool,
    /// Only print what would go where
    #[arg(long)]
    dry_run: bool,
    /// Write to a file what went where, for `--undo`
    ///
    /// One JSON object per file: {"sorted", "from", "to", "placed"}, with absolute paths. A log that exists grows. Example:
    /// `--log moves.ndjson`
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    log: Option<PathBuf>,
    #[command(flatten)]
    encoding: EncodingFlags,
}

#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct MannerFlags {
    /// Move photos
    #[arg(long = "move")]
    moves: bool,
    /// Copy photos
    #[arg(long)]
    copy: bool,
    /// Make symbolic links to photos
    #[arg(long)]
    link: bool,
    /// Put back everything that a log lists
    ///
    /// The last file first. A file that was changed or is gone is reported and left unchanged, and nothing is
    /// overwritten. Example: `--undo moves.ndjson`
    #[arg(long, value_name = "LOG", exclusive = true)]
    undo: Option<PathBuf>,
}

impl MannerFlags {
    fn manner(&self) -> Manner {
        match (self.moves, self.copy) {
            (true, _) => Manner::Move,
            (_, true) => Manner::Copy,
            _ => Manner::Link,
        }
    }
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    if let Some(log) = &args.manner.undo {
        return sort_undo::run(log, report);
    }
    args.scores.refuse_detached_margin(&args.input)?;
    let command = "longclip sort --into sorted --copy";
    let (inputs, labelling) = args.labels.plan(&args.input, &args.group, command, report)?;
    let scores = args.scores.plan(labelling.grouping)?;
    if labelling.list.is_empty() {
        return Err(longclip::labels::LabelSet::none_given().into());
    }
    let into = args.into(&inputs)?;
    let log = args.log.as_deref().map(|log| args.open_log(log, &inputs)).transpose()?;
    let loaded = args.encoding.model.load(report)?;
    let needs_several = scores.gives_all_to_one() && !args.force;
    let scorer = Scorer::new(&loaded.model, &labelling, scores)?;
    let is_of_sorting = |notice: &&Notice| !matches!(notice, Notice::OnlyLabel { .. });
    let notices: Vec<Notice> = scorer.notices().iter().filter(is_of_sorting).cloned().collect();
    report.notices(&notices);
    let shelves = match labelling.grouping {
        Grouping::None => scorer.answers(),
        Grouping::ByGroup => scorer.groups(),
    };
    if let ([only], true) = (&shelves[..], needs_several) {
        return Err(no_choice(only).into());
    }
    let plan = SortPlan {
        into: into.to_owned(),
        manner: args.manner.manner(),
        is_rehearsal: args.dry_run,
        log,
    };
    let classifier = Classifier::new(&loaded.model, &labelling, &scorer);
    let mut sorting = Sorting {
        sorter: Sorter::new(classifier, labelling.grouping, &shelves, plan),
        report,
        needs_several,
        out: io::stdout(),
        terminal: stdout_terminal(|| None),
        tally: Tally::of(&shelves),
    };
    let run = ImageRun {
        results: match sorting.terminal {
            Some(_) => Results::OnTerminal { show_failures: false },
            None => Results::Elsewhere,
        },
        ..args.encoding.plan(&loaded, report)
    };
    let (_, exit) = run.over(Expected::Of(&inputs), inputs.items(), Progress::default(), &mut sorting)?;
    let tally = sorting.terminal.map(|terminal| sorting.tally.lines(terminal));
    for line in tally.unwrap_or_default() {
        writeln!(sorting.out, "{line}").map_err(Error::write("stdout"))?;
    }
    Ok(exit)
}

impl Args {
    /// The folder of folders.
    fn into(&self, inputs: &Inputs) -> Result<&Path> {
        let into = self.into.as_deref().unwrap_or(Path::new("."));
        // A folder below an input would be searched again and again while photos are moved into it.
        match inputs.are_around(into) {
            true => Err(Error::usage(
                format!("`{}` is in a folder that is to be sorted", into.display()),
                "choose a folder outside it",
            )),
            false => Ok(into),
        }
    }

    /// Opens the log after what it says already.
    fn open_log(&self, log: &Path, inputs: &Inputs) -> Result<Destination> {
        let writing = targets::writing(ForceFlag::default(), &self.encoding.model).inputs(inputs);
        let writing = writing.reads_each(self.labels.files());
        let target = writing
            .reads("the file of neutral prompts", self.scores.file())
            .target("--log", log, Resuming::Asked, moves_log::is_log)?;
        let n_bytes = std::fs::metadata(target.path()).map_or(0, |metadata| metadata.len());
        let mut destination = Destination::growing(&target)?;
        destination.keep(n_bytes)?;
        Ok(destination)
    }
}

/// The error for a single label or group that would get every photo.
fn no_choice(only: &str) -> Error {
    Error::usage(
        format!("every photo would go to `{}`, the only label or group", start_of(only)),
        "give more labels, or leave out photos that it does not fit, with `--reject` or `--score independent --threshold 0.5`; \
         `--force` sorts all of them",
    )
}

/// Puts each photo into the folder of its best label, and prints where.
struct Sorting<'a> {
    sorter: Sorter<'a>,
    report: Report,
    /// Whether a single label or group would get every photo.
    needs_several: bool,
    out: io::Stdout,
    terminal: Option<Terminal>,
    tally: Tally,
}

impl Sorting<'_> {
    fn sort(&mut self, item: &Item, seen: Result<Seen>) -> Result<Sorted> {
        let seen = seen?;
        if let (Content::File(_), Some([only]), true) = (&item.content, item.labels.as_deref(), self.needs_several) {
            return Err(no_choice(only));
        }
        let sorted = self.sorter.sort(item, &seen.views);
        self.report.notices(&self.sorter.take_notices());
        sorted
    }
}

impl Sink for Sorting<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        if self.sorter.has_gone_along(&item) {
            return Ok(Verdict::Done);
        }
        match self.sort(&item, seen) {
            Ok(sorted) => {
                writeln!(self.out, "{}", sorted.line(self.sorter.folder(), self.terminal))
                    .map_err(Error::write("stdout"))?;
                let best = sorted.to.as_ref().map(|(_, _, best)| best.answer.as_str());
                self.tally.add(best.unwrap_or("stay: no label reaches the threshold"));
                Ok(Verdict::Done)
            }
            Err(error) => Ok(Verdict::Failed(error)),
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(Error::write("stdout"))
    }
}
