//! The flags that say how the results of a search are printed, and where.

use std::path::PathBuf;

use longclip::files::{Destination, Target};
use longclip::output::{self, FormatChoice, Found, Holds, Task};
use longclip::search::found::{add_thumbnails, record, settings};
use longclip::session::{Ended, RecordWriter, Resuming, Writing};
use longclip::{Error, Result};

use super::place::Place;
use crate::cli::format_choice::FormatOf;
use crate::cli::image_run::close;
use crate::cli::report::Report;
use crate::cli::targets::{ForceFlag, file_named, links_from, stdout_for};

/// How and where results are printed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ResultFlags {
    /// table, json, ndjson, html, or '{path} {cosine}'
    ///
    /// The last is a template: one line per image [default: by the ending of --output, else table]. Example: `--format
    /// '{path}'`
    #[arg(short, long, value_name = "FORMAT", value_parser = FormatOf(Task::Searches), hide_possible_values = true)]
    format: Option<FormatChoice>,
    /// Write to a file; its ending names the format
    ///
    /// It gets its name when it is complete; `-` is stdout. Example: `--output found.html`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) force: ForceFlag,
}

impl ResultFlags {
    pub(super) fn format(&self) -> Result<FormatChoice> {
        if let Some(format) = &self.format {
            return Ok(format.clone());
        }
        let Some(path) = file_named(self.output.as_deref()) else {
            return FormatChoice::by_name("table");
        };
        let of_ending = FormatChoice::of_ending(path).filter(|format| format.holds(Holds::Searches));
        of_ending.ok_or_else(|| {
            Error::usage(
                format!("`{}` does not end in the name of a format", path.display()),
                "end it in .ndjson, .json or .html, or choose a format: `--format ndjson`",
            )
        })
    }

    /// The file that results go to; `None` for stdout.
    pub(super) fn target(&self, mut writing: Writing<'_>) -> Result<Option<Target>> {
        let target = |file| writing.target("--output", file, Resuming::Never, output::is_results);
        file_named(self.output.as_deref()).map(target).transpose()
    }
}

/// Prints what was found under each name, with thumbnails if the format shows them.
pub(super) fn print(
    place: &Place,
    format: &FormatChoice,
    target: Option<&Target>,
    mut answers: Vec<(String, Vec<Found>)>,
    report: Report,
) -> Result<()> {
    if format.holds(Holds::Thumbnails) {
        let preprocess = place.reading.apply(place.loaded.model.preprocess());
        answers
            .iter_mut()
            .for_each(|(_, found)| add_thumbnails(found, &preprocess));
    }
    let names = answers.iter().map(|(name, _)| name.clone()).collect();
    let settings = settings(&place.index, names, links_from(target.map(Target::path)));
    let destination = match target {
        Some(target) => Destination::whole(target)?,
        None => stdout_for(format),
    };
    let mut writer = RecordWriter::new(format.make(&settings)?, destination);
    writer.begin()?;
    for (name, found) in answers {
        writer.write(&record(&name, found))?;
    }
    close(writer, Ended::AtTheEnd, report)
}
