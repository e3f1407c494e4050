//! `longclip sort INPUT... --into DIR --move|--copy|--link`: a folder for each label, with the photos that it fits best.

mod folders;
mod place;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longclip::input::{Content, Item};
use longclip::output::Progress;
use longclip::{Error, Result};

use self::folders::folder_names;
use self::place::{Manner, Placed, place};
use super::Outcome;
use super::classify::{LabelFlags, Scorer, plan};
use super::input_flags::{InputFlags, PictureFlags};
use super::model_flags::ModelFlags;
use super::pictures::{Run, Seen, Sink, Thumbnails, Verdict};
use super::progress;
use super::report::Report;
use super::run_flags::RunFlags;

const EXAMPLES: &str = "\
Examples:
  longclip sort photos/ --into sorted --copy --labels \"a cat\" \"a dog\" \"a landscape\"
  longclip sort photos/ --into sorted --move --labels-file labels.txt --dry-run

Nothing is ever overwritten: a photo whose name is taken gets a number behind it, and one that is there already stays.
Each line of the output says what went where.";

/// Copy, move or link photos into a folder for each label
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    labels: LabelFlags,
    /// The folder in which the labels' folders are made
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    #[command(flatten)]
    manner: MannerFlags,
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

pub(in crate::cli) fn run(args: &Args, report: Report) -> Outcome {
    let (inputs, labels) = plan(&args.input, &args.labels, report)?;
    if labels.is_empty() {
        return Err(longclip::labels::LabelSet::none_given().into());
    }
    // While photos are moved into it, a folder below an input would be walked over and over.
    if args.input.names_folder_around(&args.into) {
        let problem = format!("`{}` lies in a folder that is to be sorted", args.into.display());
        return Err(Error::usage(problem, "choose a folder beside it").into());
    }
    let model = args.model.load(report)?;
    let folders = folder_names(&labels);
    let mut sorter = Sorter {
        scorer: Scorer::new(&model, labels, &args.labels, report)?,
        folders,
        into: args.into.clone(),
        action: if args.dry_run { None } else { Some(args.manner.manner()) },
        out: io::stdout(),
    };
    let run = Run {
        model: &model,
        preprocess: args.pictures.apply(model.preprocess()),
        settings: args.run.pipeline(&args.model, &model),
        most_failures: args.run.most_failures(),
        thumbnails: Thumbnails::None,
        results: progress::Results::OnTerminal,
        report,
    };
    let (_, exit) = run.over(&inputs, inputs.items(), Progress::default(), &mut sorter)?;
    Ok(exit)
}

/// Puts each photo where its best label says.
struct Sorter<'a> {
    scorer: Scorer<'a>,
    /// By the labels' order.
    folders: Vec<String>,
    into: PathBuf,
    /// What is done; nothing in a dry run.
    action: Option<Manner>,
    out: io::Stdout,
}

impl Sorter<'_> {
    fn sort(&mut self, item: &Item, seen: Result<Seen>) -> Result<(PathBuf, PathBuf, Placed)> {
        let seen = seen?;
        let Content::File(from) = &item.content else {
            return Err(Error::Picture {
                name: item.name.to_string(),
                problem: "only files can be sorted".into(),
                hint: Some("save it to a file first".into()),
            });
        };
        let best = self.scorer.score(item, &seen.embedding)?.swap_remove(0).label;
        let idx = self.scorer.labels().iter().position(|label| *label == best);
        let folder = idx.map_or_else(|| folder_names(&[best]).swap_remove(0), |idx| self.folders[idx].clone());
        let folder = self.into.join(folder);
        let name = from.file_name().unwrap_or(from.as_os_str());
        match self.action {
            Some(manner) => {
                place(from, &folder, Path::new(name), manner).map(|(to, placed)| (from.clone(), to, placed))
            }
            None => Ok((from.clone(), folder.join(name), Placed::New)),
        }
    }
}

impl Sink for Sorter<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> anyhow::Result<Verdict> {
        match self.sort(&item, seen) {
            Ok((from, to, placed)) => {
                let note = match placed {
                    Placed::New => "",
                    Placed::WasThere => " (was there)",
                };
                writeln!(self.out, "{} -> {}{note}", from.display(), to.display())?;
                Ok(Verdict::Done)
            }
            Err(error) => Ok(Verdict::Failed(error)),
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}
