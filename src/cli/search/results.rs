//! What was found: the flags that say how it is printed, and its records.

use std::fs;
use std::path::{Path, PathBuf};

use longclip::files::Target;
use longclip::json_fields::JsonFields;
use longclip::output::{
    self, Bars, FORMATS, Fields, Found, Holds, Layout, Outcome, Record, Settings, Subject, Task, Thumbnail,
};
use longclip::preprocess::Preprocess;
use longclip::search::{FileState, Index, Picture};
use longclip::session::thumbnail;
use longclip::{Error, Result};
use rayon::prelude::*;

use crate::cli::format_choice::FormatChoice;
use crate::cli::targets::{ForceFlag, Resuming, Writing, file_named};

/// How and where results are printed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ResultFlags {
    /// table, json, ndjson, html, or a template as '{path}' [default: by the ending of --output, else table]
    #[arg(short, long, value_name = "FORMAT", value_parser = parse)]
    format: Option<FormatChoice>,
    /// Write to a file, which gets its name when it is whole; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) force: ForceFlag,
}

fn parse(text: &str) -> std::result::Result<FormatChoice, String> {
    let choice = FormatChoice::parse(text)?;
    if choice.holds(Holds::Searches) {
        return Ok(choice);
    }
    let names = FORMATS.iter().filter(|format| format.holds(Holds::Searches));
    let names: Vec<&str> = names.map(|format| format.name).collect();
    Err(format!(
        "expected one of {}, or a template as '{{path}}'",
        names.join(", ")
    ))
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
                "the ending of `--output` is not that of a format",
                "name one: `--format ndjson`, or end it in .ndjson, .json or .html",
            )
        })
    }
}

impl ResultFlags {
    /// The file that results go to; `None` for stdout.
    pub(super) fn target(&self, mut writing: Writing<'_>) -> Result<Option<Target>> {
        let target = |file| writing.target("--output", file, Resuming::Never, output::is_results);
        file_named(self.output.as_deref()).map(target).transpose()
    }
}

/// What formats note of a search.
pub(super) fn settings(index: &Index, searches: Vec<String>) -> Settings {
    Settings {
        task: Task::Searches,
        labels: searches,
        groups: Vec::new(),
        layout: Layout::Long,
        fields: Fields::None,
        bars: Bars::None,
        model: index.origin().model.clone(),
        dtype: index.origin().dtype.clone(),
    }
}

/// An image that was found; `folder` is where the index's relative paths begin.
pub(super) fn found(query: &str, rank: usize, cosine: f32, picture: &Picture, folder: &Path) -> Found {
    let is_from_here = std::env::current_dir().is_ok_and(|here| here == folder);
    let path = if is_from_here || !picture.is_file() {
        picture.path.clone()
    } else {
        picture.file_path(folder).display().to_string()
    };
    Found {
        query: query.to_owned(),
        rank,
        path,
        // Stored numbers are rounded, so that an image's cosine with itself may be a little more than one.
        cosine: cosine.clamp(-1.0, 1.0),
        state: match picture.file_state(folder) {
            FileState::AsIndexed => None,
            FileState::Changed => Some("changed"),
            FileState::Gone => Some("gone"),
        },
        thumbnail: None,
    }
}

/// Adds small images, as their files are now.
pub(super) fn add_thumbnails(found: &mut [Found], preprocess: &Preprocess) {
    found.par_iter_mut().for_each(|found| {
        found.thumbnail = photo(&found.path, preprocess).map(|photo| Thumbnail { photo, heat: None })
    });
}

/// A small jpeg of an image; `None` if it is not a file or can't be read.
fn photo(path: &str, preprocess: &Preprocess) -> Option<Vec<u8>> {
    thumbnail(&preprocess.decode(path, &fs::read(path).ok()?).ok()?)
}

/// What was found for one text or image.
pub(super) fn record(query: &str, found: Vec<Found>) -> Record {
    Record {
        subject: Subject::Text(query.to_owned()),
        fields: JsonFields::default(),
        outcome: Outcome::Found(found),
        thumbnail: None,
    }
}
