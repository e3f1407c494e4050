//! The flags that say how and where results are printed.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use longclip::files::{Excerpt, Target};
use longclip::input::Inputs;
use longclip::output::{self, FormatChoice, Holds, IN_FULL_MAX, Layout, Task};
use longclip::session::shards::ShardFile;
use longclip::session::{OutputPlace, OutputPlan, Resuming, Writing};
use longclip::{Error, Result};
use serde::Serialize;

use super::format_choice::{FormatOf, Printed};
use super::targets::{self, ForceFlag, file_named};
use super::terminal::stdout_terminal;

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

impl OutputFlags {
    /// Checks what was asked for.
    pub(super) fn plan(&self, printed: Printed, inputs: &Inputs, writing: &mut Writing<'_>) -> Result<OutputPlan> {
        let format = self.format(printed.default)?;
        self.check(&format, printed)?;
        let shard = self.shard(inputs, &format)?;
        let place = match (shard, self.target(&format, writing)?) {
            (Some(shard), _) => OutputPlace::Shard(shard, inputs.options.skipped.clone()),
            (None, Some((target, resuming))) => OutputPlace::File(target, resuming),
            (None, None) => OutputPlace::Stream(targets::stdout_for(&format)),
        };
        let n_images = || inputs.count_up_to(IN_FULL_MAX as usize + 1);
        let is_printed = self.file().is_none() && format.name() == "table";
        Ok(OutputPlan {
            terminal: is_printed.then(|| stdout_terminal(n_images)).flatten(),
            links_from: self.links_from(),
            carries_fields: inputs.may_bring_fields(),
            layout: printed.layout,
            format,
            place,
        })
    }

    /// The file that results go to; `None` for stdout, and for a folder of shards. Refuses one that may not be written.
    fn target(&self, format: &FormatChoice, writing: &mut Writing<'_>) -> Result<Option<(Target, Resuming)>> {
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
        let target = writing.target("--output", file, resuming, is_ours)?;
        Ok(Some((target, resuming)))
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

    /// Refuses what the format can't hold.
    fn check(&self, format: &FormatChoice, printed: Printed) -> Result<()> {
        format.check(printed.task)?;
        if printed.layout == Layout::Wide && !format.holds(Holds::Wide) {
            return Err(Error::usage(
                format!("`--wide` changes nothing in the format {}", format.name()),
                format!("it is for {}", output::names_that_hold(Holds::Wide)),
            ));
        }
        self.check_place(format)
    }

    fn check_place(&self, format: &FormatChoice) -> Result<()> {
        if format.holds(Holds::Binary) && self.file().is_none() && io::stdout().is_terminal() {
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
