//! The flags that say how results are printed and where, and the open output that they come to.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use longclip::files::{Destination, Excerpt, Target};
use longclip::input::{Inputs, Items, Skipped};
use longclip::output::{
    self, Bars, FORMATS, Format, FormatInfo, Holds, Layout, Progress, Record, Settings, Task, Template, Vectors,
};
use longclip::session::resume::HeldRun;
use longclip::{Error, Result};

use super::hint::reason;
use super::progress;
use super::report::Report;
use super::shards::ShardFile;
use super::targets::{self, ForceFlag, Resuming, Writing, file_named};

/// How results are printed, and where.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputFlags {
    #[arg(short, long, visible_alias = "out", value_name = "FORMAT", value_parser = FormatChoice::parse, help = format_help(), long_help = format_long_help())]
    format: Option<FormatChoice>,
    /// Write to a file, `-` is stdout; formats that can be continued grow there, others get the name when they are whole. With
    /// `--shard` a folder, in which each shard has its file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Continue after the results that the `--output` of an interrupted run holds
    #[arg(long, requires = "output", conflicts_with = "force")]
    resume: bool,
    #[command(flatten)]
    pub(super) force: ForceFlag,
    /// A column for each label, in their order, instead of a row or a list element
    #[arg(long, hide_short_help = true)]
    wide: bool,
}

/// A format, as chosen.
#[derive(Clone)]
pub(super) enum FormatChoice {
    Named(&'static FormatInfo),
    /// A line of one's own.
    Template(Template),
}

impl std::fmt::Debug for FormatChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FormatChoice {
    fn parse(text: &str) -> Result<Self, String> {
        if Template::is_meant(text) {
            let template = Template::parse(text).map_err(|error| reason(&error))?;
            return Ok(FormatChoice::Template(template));
        }
        let known = || FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", ");
        output::by_name(text).map(FormatChoice::Named).ok_or_else(|| {
            format!(
                "expected one of {}, or a template as '{{path}} {{label}}'; a file is named by `--output`",
                known()
            )
        })
    }

    fn name(&self) -> &str {
        match self {
            FormatChoice::Named(format) => format.name,
            FormatChoice::Template(_) => "of a template",
        }
    }

    pub(super) fn holds(&self, what: Holds) -> bool {
        match self {
            FormatChoice::Named(format) => format.holds(what),
            FormatChoice::Template(_) => what == Holds::Labels,
        }
    }

    /// Whether a file of it can be continued.
    fn can_continue(&self) -> bool {
        match self {
            FormatChoice::Named(format) => format.holds(Holds::Continuable),
            FormatChoice::Template(template) => template.held(Box::new(io::empty())).is_some(),
        }
    }

    /// Whether a file may be of this format, although nothing in it says so: a line of one's own looks like anything.
    /// What it holds is compared with the input before it is continued; half a line can't be.
    fn may_have_written(&self, file: &Excerpt) -> bool {
        matches!(self, FormatChoice::Template(_)) && file.first_line().1
    }

    fn make(&self, settings: &Settings) -> Result<Box<dyn Format>> {
        match self {
            FormatChoice::Named(format) => (format.make)(settings),
            FormatChoice::Template(template) => Ok(Box::new(template.clone())),
        }
    }
}

/// The names alone.
fn format_help() -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    format!(
        "{}, or a template as '{{path}} {{label}}' [default: table]",
        names.join(", ")
    )
}

/// Each format, and what it is for.
fn format_long_help() -> String {
    let lines = FORMATS
        .iter()
        .map(|format| format!("\n  {}: {}", format.name, format.about));
    format!(
        "How to print [default: by the ending of --output, else table; ndjson for vectors]:{}\n  \
         TEMPLATE: a line for each picture, as '{{path}}\\t{{label}}\\t{{score:.3}}'; also {{logit}}, {{cosine}}, {{group}}, {{error}}, \
         {{label.2}} (the second label), {{field.NAME}}",
        lines.collect::<String>()
    )
}

/// The format of shards where none is named.
const OF_SHARDS: &str = if cfg!(feature = "parquet") { "parquet" } else { "ndjson" };

impl OutputFlags {
    /// Whether an interrupted run is gone on with.
    pub(super) fn resumes(&self) -> bool {
        self.resume
    }

    /// What `--output` names, if it is not stdout.
    fn file(&self) -> Option<&Path> {
        file_named(self.output.as_deref())
    }

    /// The folder that `--output` names, where it is one: for shards.
    pub(super) fn folder(&self) -> Option<&Path> {
        let path = self.file()?;
        let ends_as_one = path.to_string_lossy().ends_with(std::path::is_separator);
        (ends_as_one || path.is_dir()).then_some(path)
    }

    /// The format that was asked for, by name or by the file's ending, else `default`.
    pub(super) fn format(&self, default: &'static str) -> Result<FormatChoice> {
        if let Some(format) = &self.format {
            return Ok(format.clone());
        }
        let default = if self.folder().is_some() { OF_SHARDS } else { default };
        let ending = self.file().and_then(|path| path.extension()?.to_str());
        let ending = match ending {
            Some("jsonl") => Some("ndjson"),
            other => other,
        };
        if self.file().is_some() && ending.and_then(output::by_name).is_none() && default == "table" {
            return Err(Error::usage(
                "the ending of `--output` is not a format's",
                "name one: `--format ndjson`",
            ));
        }
        let named = ending.and_then(output::by_name).or_else(|| output::by_name(default));
        named.map(FormatChoice::Named).ok_or_else(|| {
            let hint = "this build has fewer formats; `--help` lists them";
            Error::usage(format!("no format `{default}`"), hint)
        })
    }

    pub(super) fn layout(&self) -> Layout {
        if self.wide { Layout::Wide } else { Layout::Long }
    }

    /// Whether results go where progress would be drawn.
    fn is_on_terminal(&self) -> bool {
        self.file().is_none() && io::stdout().is_terminal()
    }

    /// Where results go, as far as progress is concerned.
    pub(super) fn where_to(&self) -> progress::Results {
        if self.is_on_terminal() {
            progress::Results::OnTerminal
        } else {
            progress::Results::Elsewhere
        }
    }

    /// Refuses what the format can't hold.
    pub(super) fn check(&self, format: &FormatChoice, task: Task) -> Result<()> {
        #[cfg(feature = "arrow")]
        if format.holds(Holds::Batches) {
            return Err(output::arrow::needs_batches());
        }
        let (needs, what) = match task {
            Task::Labels(Vectors::None) => (Holds::Labels, "labels"),
            Task::Labels(Vectors::Beside(_)) => (Holds::LabelsWithVectors, "vectors beside labels"),
            Task::Embeddings(_) => (Holds::Vectors, "vectors"),
        };
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
                format!("the format {} has no place for {what}", format.name()),
                format!("these have: {}", that_hold(needs)),
            );
        }
        if self.wide && !format.holds(Holds::Wide) {
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
                format!("{} is nothing for a terminal", format.name()),
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
                format!(
                    "`--in arrow` gives its batches back, and {} has no place for them",
                    format.name()
                ),
                "use `--out arrow`",
            ));
        }
        if self.wide || self.resume {
            return Err(Error::usage(
                format!(
                    "`--{}` changes nothing in an Arrow stream",
                    if self.wide { "wide" } else { "resume" }
                ),
                "leave it out",
            ));
        }
        self.check_place(&format)
    }

    /// Whether results in this format can be continued, and whether that was asked for.
    pub(super) fn resuming(&self, format: &FormatChoice) -> Resuming {
        match (format.can_continue(), self.resume) {
            (true, true) => Resuming::Asked,
            (true, false) => Resuming::Possible,
            (false, _) => Resuming::Never,
        }
    }

    /// The file that results go to; `None` for stdout, and for a folder of shards. Refuses one that may not be written.
    pub(super) fn target(&self, format: &FormatChoice, writing: &mut Writing<'_>) -> Result<Option<Target>> {
        let resuming = self.resuming(format);
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
                    "`--resume` continues a file, and the output is none",
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

    /// Refuses to resume behind texts: they are done in no time, and are no input that can be drawn again.
    pub(super) fn check_texts_resume(&self, n_texts: usize) -> Result<()> {
        if self.resume && n_texts > 0 {
            return Err(Error::usage(
                "`--resume` is for pictures, and there are texts",
                "embed texts into a file of their own",
            ));
        }
        Ok(())
    }

    /// Opens the output, and takes from `items` what it holds already. Nothing is changed before [`Results::begin`].
    pub(super) fn open(
        &self,
        format: &FormatChoice,
        settings: &Settings,
        items: &mut Items,
        place: OutputPlace<'_>,
    ) -> Result<(Results, HeldRun)> {
        let made = format.make(settings)?;
        let mut held = HeldRun::default();
        let destination = match (&place.target, &place.shard) {
            (_, Some(shard)) => shard.create()?,
            (None, None) => targets::stdout(),
            (Some(target), None) if !format.can_continue() => Destination::whole(target)?,
            (Some(target), None) => {
                if self.resume {
                    held = HeldRun::read(target.path(), &*made, items)?;
                }
                Destination::growing(target)?
            }
        };
        let results = Results {
            format: made,
            destination,
            held: held.progress,
            shard: place.shard.map(|shard| (shard, place.inputs.options.skipped.clone())),
        };
        Ok((results, held))
    }
}

/// Where results go, as checked: a file, the file of a shard, or stdout.
pub(super) struct OutputPlace<'a> {
    pub(super) target: Option<Target>,
    pub(super) shard: Option<ShardFile>,
    pub(super) inputs: &'a Inputs,
}

/// An open output.
pub(super) struct Results {
    format: Box<dyn Format>,
    destination: Destination,
    /// What stays of an interrupted run.
    held: Progress,
    /// The shard whose file this is, if it is one's, and what of its input was skipped.
    shard: Option<(ShardFile, Skipped)>,
}

impl Results {
    /// Leaves in a file what is held of an interrupted run, and writes what stands before the first record.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.destination.keep(self.held.end)?;
        if self.held.n_records == 0 {
            let begun = self.format.begin(&mut self.destination);
            begun.map_err(|source| self.destination.error(source))?;
        }
        Ok(())
    }

    /// A record as it would be written.
    pub(super) fn encoded(&mut self, record: &Record) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let encoded = self.format.record(record, &mut bytes);
        encoded.map_err(|source| self.destination.error(source))?;
        Ok(bytes)
    }

    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        let written = self.format.record(record, &mut self.destination);
        written.map_err(|source| self.destination.error(source))
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        let flushed = self.destination.flush();
        flushed.map_err(|source| self.destination.error(source))
    }

    /// Everything is written.
    pub(super) fn finish(mut self, report: Report) -> Result<()> {
        self.end()?;
        if let Some((shard, skipped)) = &self.shard {
            shard.refuse_unread(skipped)?;
        }
        self.destination.finish()?;
        self.shard.map_or(Ok(()), |(shard, _)| shard.is_whole(report))
    }

    /// The run was cut short: what there is can be read, and doesn't pass as all.
    pub(super) fn leave(mut self, report: Report) -> Result<()> {
        self.end()?;
        let partial = self.destination.leave()?;
        if let Some((shard, _)) = &self.shard {
            shard.is_given_up(report);
        }
        if let Some(partial) = partial {
            report.note(format!("what was done until now is in `{}`", partial.display()));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let ended = self.format.end(&mut self.destination);
        ended.map_err(|source| self.destination.error(source))
    }
}

/// Bars where a person looks at a terminal that may show them.
pub(super) fn bars(flags: &OutputFlags) -> Bars {
    if !flags.is_on_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Bars::None;
    }
    let width_columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .unwrap_or(100);
    Bars::Drawn { width_columns }
}
