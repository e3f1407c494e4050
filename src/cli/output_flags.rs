//! The flags that say how and where results are printed, and the checked plan that results from them.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use longclip::files::{Destination, Excerpt, Target};
use longclip::input::{Inputs, Items, Skipped};
use longclip::output::{self, FORMATS, FormatChoice, Holds, IN_FULL_MAX, Layout, Settings, Task, Terminal};
use longclip::session::resume::HeldRun;
use longclip::session::shards::{Facts, ShardFile};
use longclip::session::{RecordWriter, Resuming, Writing};
use longclip::{Error, Result};
use serde::Serialize;

use super::format_choice::{FormatOf, Printed, needs};
use super::input_flags::InputPlan;
use super::progress::{self, Failures};
use super::report::Report;
use super::shard_flags::say_that_all_are_there;
use super::targets::{self, ForceFlag, file_named};
use super::terminal::stdout_terminal;
use super::this_command::continuing;

/// How results are printed, and where.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputFlags {
    // The resulting format is compared instead.
    #[serde(skip)]
    // Each command describes it by `Printed::format_flag`.
    #[arg(short, long, alias = "out", value_name = "FORMAT", value_parser = FormatOf(Task::Tags), hide_possible_values = true)]
    format: Option<FormatChoice>,
    /// Write to a file; its ending names the format
    ///
    /// ndjson, csv and tsv grow during the run and can be resumed; other files get their name when they are complete.
    /// `-` is stdout. With `--shard` it is a folder, in which each shard has its file. Example: `--output
    /// results.ndjson`
    // The place of records does not change them.
    #[serde(skip)]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Continue the `--output` of an interrupted run
    ///
    /// Images that the file has already are not computed again. Example: `--output results.ndjson --resume`
    // It is refused with shards.
    #[serde(skip)]
    #[arg(long, requires = "output", conflicts_with = "force")]
    resume: bool,
    // It changes which files are replaced, not what is in them.
    #[command(flatten)]
    #[serde(skip)]
    pub(super) force: ForceFlag,
}

/// The layout of labels that all images have.
#[derive(Debug, Clone, Copy, clap::Args, Serialize)]
#[command(next_help_heading = "Output")]
pub(super) struct LayoutFlag {
    /// One row per image, with a column for each label
    ///
    /// For csv, tsv and parquet, instead of a row or a list element per label. Example: `--wide --output
    /// results.csv`
    #[arg(long, hide_short_help = true)]
    pub(super) wide: bool,
}

impl LayoutFlag {
    pub(super) fn layout(self) -> Layout {
        if self.wide { Layout::Wide } else { Layout::Long }
    }
}

/// The format of shards if none is named.
const OF_SHARDS: &str = if cfg!(feature = "parquet") { "parquet" } else { "ndjson" };

/// Where results go, and in which format, as checked.
pub(super) struct OutputPlan {
    format: FormatChoice,
    pub(super) layout: Layout,
    /// The file; `None` for stdout, and for a shard.
    target: Option<Target>,
    /// What a page puts before relative paths to link to files.
    links_from: String,
    resume: bool,
    shard: Option<ShardFile>,
    /// What of the input was skipped, which a shard may not be silent about.
    skipped: Skipped,
    is_on_terminal: bool,
}

impl OutputFlags {
    /// Checks what was asked for.
    pub(super) fn plan(&self, printed: Printed, inputs: &Inputs, writing: &mut Writing<'_>) -> Result<OutputPlan> {
        let format = self.format(printed.default)?;
        self.check(&format, printed)?;
        Ok(OutputPlan {
            shard: self.shard(inputs, &format)?,
            target: self.target(&format, writing)?,
            format,
            links_from: self.links_from(),
            layout: printed.layout,
            resume: self.resume,
            skipped: inputs.options.skipped.clone(),
            is_on_terminal: self.is_on_terminal(),
        })
    }

    /// The file that results go to; `None` for stdout, and for a folder of shards. Refuses one that may not be written.
    fn target(&self, format: &FormatChoice, writing: &mut Writing<'_>) -> Result<Option<Target>> {
        let resuming = Resuming::of(format.can_continue().then_some(self.resume));
        if self.resume && resuming == Resuming::Never {
            return Err(Error::usage(
                format!("the format {} can't be resumed", format.name()),
                "ndjson, csv, tsv and templates of one line can",
            ));
        }
        let file = self.file().filter(|_| self.folder().is_none());
        let Some(file) = file else {
            return match resuming == Resuming::Asked {
                true => Err(Error::usage(
                    "`--resume` continues a file, but none is named",
                    "name one by `--output`",
                )),
                false => Ok(None),
            };
        };
        let is_ours = |file: &Excerpt| output::is_results(file) || format.may_have_written(file);
        writing.target("--output", file, resuming, is_ours).map(Some)
    }

    /// As [`OutputFlags::target`], of a stream of batches.
    #[cfg(feature = "arrow")]
    pub(super) fn stream_target(&self, mut writing: Writing<'_>) -> Result<Option<Target>> {
        let target = |file| writing.target("--output", file, Resuming::Never, output::is_results);
        self.file().map(target).transpose()
    }

    /// What `--output` names, if it is not stdout.
    fn file(&self) -> Option<&Path> {
        file_named(self.output.as_deref())
    }

    /// The shard's file that was asked for, if `--output` is a folder.
    fn shard(&self, inputs: &Inputs, format: &FormatChoice) -> Result<Option<ShardFile>> {
        let Some(folder) = self.folder() else {
            return Ok(None);
        };
        let refused = |problem: String, hint: &'static str| Err(Error::usage(problem, hint));
        let Some(shard) = inputs.options.shard else {
            return refused(
                format!("`--output {}` is a folder, and the run is one file", folder.display()),
                "name a file in it, or write shards: `--shard 0/8` to `--shard 7/8`",
            );
        };
        let FormatChoice::Named(format) = format else {
            return refused(
                "shards of a folder are files of a named format".into(),
                "choose one, such as `--format parquet`",
            );
        };
        if format.name == "table" {
            return refused(
                "a table is for people, and shards are for programs".into(),
                "choose another, such as `--format parquet`",
            );
        }
        if self.resume {
            return refused(
                "`--resume` changes nothing: a shard that was interrupted starts from its beginning".into(),
                "leave it out: a second run skips shards that are done",
            );
        }
        // A disk that is not mounted must not look like a folder without images.
        inputs.refuse_unreadable()?;
        Ok(Some(ShardFile::new(folder, shard, format.name)))
    }

    /// The folder that `--output` names, if it is one: for shards.
    fn folder(&self) -> Option<&Path> {
        let path = self.file()?;
        let ends_as_one = path.to_string_lossy().ends_with(std::path::is_separator);
        (ends_as_one || path.is_dir()).then_some(path)
    }

    /// The format that was asked for, by name or by the file's ending, else `default`.
    fn format(&self, default: &'static str) -> Result<FormatChoice> {
        if let Some(format) = &self.format {
            return Ok(format.clone());
        }
        let default = if self.folder().is_some() { OF_SHARDS } else { default };
        let of_ending = self.file().and_then(FormatChoice::of_ending);
        if let (Some(file), None, "table") = (self.file(), &of_ending, default) {
            return Err(Error::usage(
                format!("`{}` does not end in the name of a format", file.display()),
                "end it in .ndjson, .csv, .parquet or .html, or choose a format: `--format ndjson`",
            ));
        }
        of_ending.map_or_else(|| FormatChoice::by_name(default), Ok)
    }

    fn links_from(&self) -> String {
        // The name of a shard's file doesn't matter.
        let page = self.folder().map(|folder| folder.join("shard"));
        targets::links_from(page.as_deref().or(self.file()))
    }

    /// Whether results go where progress would be drawn.
    fn is_on_terminal(&self) -> bool {
        self.file().is_none() && io::stdout().is_terminal()
    }

    /// Refuses what the format can't hold.
    fn check(&self, format: &FormatChoice, printed: Printed) -> Result<()> {
        #[cfg(feature = "arrow")]
        if format.holds(Holds::Batches) {
            return Err(output::arrow::needs_batches());
        }
        let (needs, what) = needs(printed.task);
        let that_hold = |what: Holds| {
            let names = FORMATS
                .iter()
                .filter(|format| format.holds(what) && !format.holds(Holds::Batches))
                .map(|format| format.name);
            names.collect::<Vec<_>>().join(", ")
        };
        let refused = |problem: String, hint: String| Err(Error::usage(problem, hint));
        if !format.holds(needs) {
            return refused(
                format!("the format {} can't hold {what}", format.name()),
                format!("these have: {}", that_hold(needs)),
            );
        }
        if printed.layout == Layout::Wide && !format.holds(Holds::Wide) {
            return refused(
                format!("`--wide` changes nothing in the format {}", format.name()),
                format!("it is for {}", that_hold(Holds::Wide)),
            );
        }
        self.check_place(format)
    }

    fn check_place(&self, format: &FormatChoice) -> Result<()> {
        if format.holds(Holds::Binary) && self.is_on_terminal() {
            return Err(Error::usage(
                format!("{} is not meant for a terminal", format.name()),
                format!("name a file: `--output results.{}`", format.name()),
            ));
        }
        Ok(())
    }

    /// Refuses what a stream of batches has no place for.
    #[cfg(feature = "arrow")]
    pub(super) fn check_stream(&self) -> Result<()> {
        let format = self.format("arrow")?;
        if !format.holds(Holds::Batches) {
            return Err(Error::usage(
                format!("`--in arrow` writes Arrow batches, which {} can't hold", format.name()),
                "use `--out arrow`",
            ));
        }
        if self.resume {
            return Err(Error::usage(
                "`--resume` changes nothing in an Arrow stream",
                "leave it out",
            ));
        }
        self.check_place(&format)
    }
}

impl OutputPlan {
    pub(super) fn links_from(&self) -> String {
        self.links_from.clone()
    }

    pub(super) fn holds(&self, what: Holds) -> bool {
        self.format.holds(what)
    }

    /// What formats note of a run with this output over `input`, besides what `settings` say.
    pub(super) fn settings(&self, input: &InputPlan, settings: Settings) -> Settings {
        Settings {
            layout: self.layout,
            fields: input.fields,
            terminal: self.terminal(&input.inputs),
            links_from: self.links_from(),
            ..settings
        }
    }

    /// Where results go, as far as progress is concerned.
    pub(super) fn results(&self) -> progress::Results {
        if self.is_on_terminal {
            progress::Results::OnTerminal(match self.format.has_errors() {
                true => Failures::Shown,
                false => Failures::NotShown,
            })
        } else {
            progress::Results::Elsewhere
        }
    }

    /// The terminal that the results go to.
    fn terminal(&self, inputs: &Inputs) -> Option<Terminal> {
        let is_stdout = self.target.is_none() && self.shard.is_none();
        let n_images = || inputs.count_up_to(IN_FULL_MAX as usize + 1);
        (is_stdout && self.format.name() == "table").then(|| stdout_terminal(n_images))?
    }

    /// Refuses texts, if a shard is written or a run is resumed: they are not part of the input.
    pub(super) fn check_texts(&self, texts: &[String]) -> Result<()> {
        let flag = match (&self.shard, self.resume) {
            _ if texts.is_empty() => return Ok(()),
            (Some(_), _) => "--shard",
            (None, true) => "--resume",
            (None, false) => return Ok(()),
        };
        Err(Error::usage(
            format!("`{flag}` is for images, and there are texts"),
            "embed texts into a file of their own",
        ))
    }

    /// Whether this is a shard that is written already; agrees with its folder on what all shards are made with.
    pub(super) fn is_done(&self, facts: impl FnOnce() -> Facts, report: Report) -> Result<bool> {
        let Some(shard) = &self.shard else { return Ok(false) };
        shard.agree(facts())?;
        let Some(path) = shard.done() else { return Ok(false) };
        report.note(format!("shard {} is done already: `{}`", shard.shard(), path.display()));
        if let Some(mark) = shard.mark_if_last()? {
            say_that_all_are_there(shard.shard().count(), &mark, report);
        }
        Ok(true)
    }

    /// The command that continues this one if it is interrupted, if one can.
    pub(super) fn continued_by(&self) -> Option<String> {
        let is_file = self.target.as_ref().is_some_and(Target::is_file);
        (is_file && self.format.can_continue()).then(continuing)
    }

    /// Whether results that exist may be continued.
    pub(super) fn resuming(&self) -> Resuming {
        Resuming::of(self.format.can_continue().then_some(self.resume))
    }

    /// Opens the output, and takes from `items` what it holds already. Nothing is changed before [`RecordWriter::begin`].
    pub(super) fn open(self, settings: &Settings, items: &mut Items) -> Result<(RecordWriter, HeldRun)> {
        let made = self.format.make(settings)?;
        let mut held = HeldRun::default();
        let destination = match (&self.target, &self.shard) {
            (_, Some(shard)) => shard.create()?,
            (None, None) => targets::stdout_for(&self.format),
            (Some(target), None) if !self.format.can_continue() => Destination::whole(target)?,
            (Some(target), None) => {
                if self.resume {
                    held = HeldRun::read(target.path(), &*made, items)?;
                }
                Destination::growing(target)?
            }
        };
        let writer = RecordWriter {
            held: held.progress,
            shard: self.shard.map(|shard| (shard, self.skipped)),
            ..RecordWriter::new(made, destination)
        };
        Ok((writer, held))
    }
}
