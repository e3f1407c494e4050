//! `longclip sort INPUT... --into DIR --move|--copy|--link`: one folder per label, with the photos that it fits best.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longclip::input::{Content, Item, Name};
use longclip::labels::Notice;
use longclip::output::transfer::{Manner, Placed, Rehearsal, place};
use longclip::output::{Best, Progress, Tally, Terminal, folder_names};
use longclip::session::{Classifier, ScorePlan, Scorer, Seen, Sink, Verdict};
use longclip::text::{printable, start_of};
use longclip::{Error, Grouping, Result};

use super::Outcome;
use super::image_run::ImageRun;
use super::input_flags::{InputFlags, PictureFlags};
use super::label_flags::LabelFlags;
use super::model_flags::ModelFlags;
use super::progress::{self, Expected, Failures};
use super::report::Report;
use super::run_flags::RunFlags;
use super::score_flags::ScoreFlags;
use super::terminal::stdout_terminal;

const EXAMPLES: &str = "\
Examples:
  longclip sort photos/ --into sorted --copy --labels \"a cat\" \"a dog\"
  longclip sort photos/ --into sorted --move --labels-file l.txt --dry-run
  longclip sort photos/ --into sorted --link --labels-file l.txt --reject";

const NOTES: &str = "\
Nothing is ever overwritten: a photo whose name is taken gets a number after its
name, and one that is there already stays.
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
    scores: ScoreFlags,
    /// The folder in which the labels' folders are made
    ///
    /// It is made if it does not exist, and can't be in a folder that is sorted. Example: `--into sorted`
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    #[command(flatten)]
    manner: MannerFlags,
    /// Sort by one label alone
    ///
    /// Every photo then goes into its folder.
    #[arg(hide_short_help = true, long)]
    force: bool,
    /// Only say what would go where
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
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
    args.scores.refuse_detached_margin(&args.input)?;
    let (input, labelling) = args.labels.plan(&args.input, report)?;
    let scores = args.scores.plan(labelling.grouping)?;
    input.inputs.refuse_unreadable()?;
    if labelling.list.is_empty() {
        return Err(longclip::labels::LabelSet::none_given().into());
    }
    // A folder below an input would be searched again and again while photos are moved into it.
    if args.input.names_folder_around(&args.into) {
        let problem = format!("`{}` is in a folder that is to be sorted", args.into.display());
        return Err(Error::usage(problem, "choose a folder outside it").into());
    }
    let loaded = args.model.load(report)?;
    let choice = Choice::of(&scores, args);
    let scorer = Scorer::new(&loaded.model, &labelling, scores)?;
    let is_of_sorting = |notice: &&Notice| !matches!(notice, Notice::OnlyLabel { .. });
    let notices: Vec<Notice> = scorer.notices().iter().filter(is_of_sorting).cloned().collect();
    report.notices(&notices);
    let shelves = match labelling.grouping {
        Grouping::None => scorer.answers(),
        Grouping::ByGroup => scorer.groups(),
    };
    if let ([only], Choice::OfSeveral) = (&shelves[..], choice) {
        return Err(no_choice(only).into());
    }
    let mut sorter = Sorter {
        classifier: Classifier::new(&loaded.model, &labelling, &scorer),
        report,
        grouping: labelling.grouping,
        choice,
        folders: shelves.iter().cloned().zip(folder_names(&shelves)).collect(),
        into: args.into.clone(),
        action: if args.dry_run {
            Action::Rehearse(Rehearsal::default())
        } else {
            Action::Place(args.manner.manner())
        },
        out: io::stdout(),
        terminal: stdout_terminal(|| None),
        tally: Tally::of(&shelves),
    };
    let run = ImageRun {
        results: match sorter.terminal {
            Some(_) => progress::Results::OnTerminal(Failures::NotShown),
            None => progress::Results::Elsewhere,
        },
        ..args.run.plan(&loaded, &args.pictures, report)
    };
    let (_, exit) = run.over(
        Expected::Of(&input.inputs),
        input.inputs.items(),
        Progress::default(),
        &mut sorter,
    )?;
    for line in sorter
        .terminal
        .map_or_else(Vec::new, |terminal| sorter.tally.lines(terminal))
    {
        writeln!(sorter.out, "{line}").map_err(Error::write("stdout"))?;
    }
    Ok(exit)
}

/// What a photo's folder is chosen from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// At least two labels or groups.
    OfSeveral,
    /// One is enough: photos that it doesn't fit stay, or are to go there too.
    OfOne,
}

impl Choice {
    fn of(scores: &ScorePlan, args: &Args) -> Self {
        match scores.gives_all_to_one() && !args.force {
            true => Choice::OfSeveral,
            false => Choice::OfOne,
        }
    }
}

/// The error for a single label or group that would get every photo.
fn no_choice(only: &str) -> Error {
    Error::usage(
        format!("every photo would go to `{}`, the only label or group", start_of(only)),
        "give others; or `--reject`, or `--score independent --threshold 0.5`, by which photos that it does not fit are left \
         out; `--force` sorts all of them",
    )
}

/// Puts each photo into the folder of its best label.
struct Sorter<'a> {
    classifier: Classifier<'a>,
    report: Report,
    grouping: Grouping,
    choice: Choice,
    /// The folder of each label or group.
    folders: HashMap<String, String>,
    into: PathBuf,
    action: Action,
    out: io::Stdout,
    terminal: Option<Terminal>,
    tally: Tally,
}

/// How photos are handled.
enum Action {
    Place(Manner),
    /// A dry run: only reports what would be done.
    Rehearse(Rehearsal),
}

/// Where a photo is, and where it goes and why; nowhere if no label fits well enough.
struct Way {
    from: PathBuf,
    to: Option<(PathBuf, Placed, Best)>,
}

impl Sorter<'_> {
    fn sort(&mut self, item: &Item, seen: Result<Seen>) -> Result<Way> {
        let seen = seen?;
        let Content::File(from) = &item.content else {
            return Err(Error::Picture {
                name: item.name.to_string(),
                problem: "only files can be sorted".into(),
                hint: Some("save it to a file first".into()),
            });
        };
        if let (Some([only]), Choice::OfSeveral) = (item.labels.as_deref(), self.choice) {
            return Err(no_choice(only));
        }
        let answer = self.classifier.answer(item, &seen.embedding);
        self.report.notices(&self.classifier.take_notices());
        let answer = answer?;
        let best = match self.grouping {
            Grouping::None => Best::of(&answer.labels, &[]),
            Grouping::ByGroup => Best::of(&[], &answer.groups),
        };
        let Some(best) = best else {
            return Ok(Way {
                from: from.clone(),
                to: None,
            });
        };
        let folder = self.into.join(self.folder(&best.answer));
        let name = from.file_name().unwrap_or(from.as_os_str());
        let (to, placed) = match &mut self.action {
            Action::Place(manner) => place(from, &folder, Path::new(name), *manner)?,
            Action::Rehearse(rehearsal) => rehearsal.place(from, &folder, Path::new(name))?,
        };
        Ok(Way {
            from: from.clone(),
            to: Some((to, placed, best)),
        })
    }

    /// The folder of a label or a group, which may be from a record's own labels.
    fn folder(&self, shelf: &str) -> String {
        match self.folders.get(shelf) {
            Some(folder) => folder.clone(),
            None => folder_names(&[shelf.to_owned()]).swap_remove(0),
        }
    }

    /// What is printed about a photo: for a program where it was and where it is, for a person also why.
    fn line(&self, way: &Way) -> String {
        const STAYS: &str = "stays: no label reaches the threshold";
        let from = shown(&way.from);
        let Some((to, placed, best)) = &way.to else {
            return match self.terminal {
                Some(terminal) => Best::moved(None, terminal, &from, STAYS),
                None => format!("{from} {STAYS}"),
            };
        };
        let note = match placed {
            Placed::New => "",
            Placed::WasThere => " (was there)",
        };
        let Some(terminal) = self.terminal else {
            return format!("{from} -> {}{note}", shown(to));
        };
        let below = to.strip_prefix(&self.into).unwrap_or(to);
        let is_renamed = below.file_name() != way.from.file_name();
        let folder = below.parent().filter(|_| !is_renamed);
        let to = folder.map_or_else(|| shown(below), |folder| shown(folder) + "/");
        Best::moved(Some(best), terminal, &from, &(to + note))
    }
}

impl Sink for Sorter<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        match self.sort(&item, seen) {
            Ok(way) => {
                writeln!(self.out, "{}", self.line(&way)).map_err(Error::write("stdout"))?;
                let best = way.to.as_ref().map(|(_, _, best)| best.answer.as_str());
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

/// A path as a terminal can show it. Bytes that are not UTF-8 are escaped too.
fn shown(path: &Path) -> String {
    printable(&Name::from(path).to_string()).into_owned()
}
