//! Output formats: one file per format. A format turns [`Record`]s into bytes; it knows neither models nor files.
//!
//! The caller looks a format up in [`FORMATS`], makes it with [`Settings`], and gives it one record per input, in the
//! order of the inputs. A [`Destination`](crate::files::Destination) takes the bytes. To add a format, add one file here
//! and its `FORMAT` to [`FORMATS`].

#[cfg(feature = "arrow")]
pub mod arrow;
mod best;
pub mod cells;
mod choice;
#[cfg(any(feature = "arrow", feature = "parquet"))]
mod columns;
pub mod companions;
mod csv;
mod escapes;
mod escaping_writer;
mod exiftool;
mod folder_names;
mod heat_map;
mod html;
mod json;
pub mod moves_log;
mod npy;
#[cfg(feature = "parquet")]
mod parquet;
mod record;
mod resume;
mod table;
mod tally;
mod template;
mod terminal;
pub mod transfer;

#[cfg(test)]
mod specimen;

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Write};

pub use best::Best;
pub use cells::one_line;
pub use choice::FormatChoice;
pub use escaping_writer::EscapingWriter;
pub use folder_names::folder_names;
pub use heat_map::{HeatMap, png};
pub use html::{Html, THUMBNAIL_PX, links_from, report, thumbnail, thumbnail_jpeg};
pub use json::{Json, Ndjson};
pub use record::{Duplicate, Found, Grouped, Labelled, Outcome, Record, Subject, Thumbnail};
pub use resume::{Held, HeldRecords, Progress};
pub use table::Table;
pub use tally::Tally;
pub use template::Template;
pub use terminal::{Colour, IN_FULL_MAX, LISTED_MAX, Terminal};

use crate::error::{Error, Result};
use crate::files::Excerpt;

/// Writes records in one format: `begin` once, then `record` for each record in order, then `end` once.
pub trait Format {
    /// Writes what precedes the first record.
    ///
    /// # Errors
    /// The error of `out`.
    fn begin(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// Writes one record.
    ///
    /// # Errors
    /// The error of `out`.
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what follows the last record.
    ///
    /// # Errors
    /// The error of `out`.
    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// A record's name as [`Held`] has it.
    fn name_as_written(&self, name: &str) -> String {
        name.to_owned()
    }

    /// The complete records in a file of this format, so that an interrupted run can continue after the last of them.
    /// `None` if a partial file can't be continued; such a file gets its name only when it is complete.
    fn held(&self, _file: Box<dyn BufRead>) -> Option<HeldRecords> {
        None
    }
}

/// What a format needs to know before the first record.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What records are about.
    pub task: Task,
    /// The run's labels, in order; empty if each record has its own labels, or none.
    pub labels: Vec<String>,
    /// The groups of the run's labels, in order; empty if labels have no groups.
    pub groups: Vec<String>,
    /// The layout of labels in formats with rows and columns.
    pub layout: Layout,
    /// Whether records may carry fields of their input: it is records or archives, not files and folders alone.
    pub carries_fields: bool,
    /// The terminal that the table is printed on; `None` for a pipe or a file.
    pub terminal: Option<Terminal>,
    /// The model's name and origin, for formats that store it.
    pub model: String,
    /// The model's number type, for formats that store it.
    pub dtype: String,
    /// What a page puts before a relative path to link to the file: the address of a folder, ending in `/`, or nothing.
    pub links_from: String,
}

impl Settings {
    /// Without labels, groups, carried fields, terminal and links; labels are in the long layout.
    pub fn new(task: Task, model: impl Into<String>, dtype: impl Into<String>) -> Settings {
        Settings {
            task,
            labels: Vec::new(),
            groups: Vec::new(),
            layout: Layout::Long,
            carries_fields: false,
            terminal: None,
            model: model.into(),
            dtype: dtype.into(),
            links_from: String::new(),
        }
    }

    /// The columns of labels in the wide layout: one per label, then `group:NAME` per group.
    fn wide_columns(&self) -> impl Iterator<Item = String> {
        let groups = self.groups.iter().map(|group| format!("group:{group}"));
        self.labels.iter().cloned().chain(groups)
    }

    /// The values of [`Settings::wide_columns`] in one record; `None` where it has no such number.
    fn wide_values(&self, record: &Record) -> Vec<Option<f64>> {
        let (labels, groups) = (record.outcome.labels(), record.outcome.groups());
        let scores: HashMap<&str, Option<f64>> = labels.iter().map(|one| (one.label.as_str(), one.score())).collect();
        let sums: HashMap<&str, f64> = groups.iter().map(|one| (one.group.as_str(), one.probability)).collect();
        let labels = self
            .labels
            .iter()
            .map(|label| scores.get(label.as_str()).copied().flatten());
        let groups = self.groups.iter().map(|group| sums.get(group.as_str()).copied());
        labels.chain(groups).collect()
    }

    /// Keys and values of the metadata in Parquet and Arrow files.
    #[cfg(any(feature = "arrow", feature = "parquet"))]
    fn metadata(&self) -> [(String, String); 4] {
        [
            ("longclip.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("longclip.model", self.model.clone()),
            ("longclip.dtype", self.dtype.clone()),
            ("longclip.labels", serde_json::json!(self.labels).to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
    }
}

/// Refuses columns of which two have the same name: in the wide layout, that of a label may be one of ours.
fn refuse_repeated<'a>(columns: impl IntoIterator<Item = &'a String>) -> Result<()> {
    let mut known = HashSet::new();
    let repeated = columns.into_iter().find(|name| !known.insert(name.as_str()));
    repeated.map_or(Ok(()), |name| {
        Err(Error::usage(
            format!("the wide layout would have two columns `{name}`: that of a label, and another"),
            "rename the label, or use the long layout",
        ))
    })
}

/// What records are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Labels, with or without the image's embedding.
    Labels(Vectors),
    /// Labels all of which are right, unlike labels that are ranked.
    Tags,
    /// Embeddings of this many numbers.
    Embeddings(usize),
    /// What searches found.
    Searches,
}

/// Whether records with labels also have the image's embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vectors {
    /// Labels only.
    None,
    /// Labels and an embedding of this many numbers.
    Beside(usize),
}

impl Task {
    /// The length of each embedding; `None` if records have no embedding.
    pub fn embed_dim(self) -> Option<usize> {
        match self {
            Task::Labels(Vectors::None) | Task::Tags | Task::Searches => None,
            Task::Labels(Vectors::Beside(n)) | Task::Embeddings(n) => Some(n),
        }
    }

    /// What a format must hold for these records, and what that is called.
    pub fn needs(self) -> (Holds, &'static str) {
        match self {
            Task::Labels(Vectors::None) | Task::Tags => (Holds::Labels, "labels"),
            Task::Labels(Vectors::Beside(_)) => (Holds::LabelsWithVectors, "vectors in addition to labels"),
            Task::Embeddings(_) => (Holds::Vectors, "vectors"),
            Task::Searches => (Holds::Searches, "searches"),
        }
    }

    /// The formats that these records can have. Batches are for commands that read a stream of them.
    pub fn formats(self) -> impl Iterator<Item = &'static FormatInfo> {
        let has_no_stream = matches!(self, Task::Tags | Task::Searches);
        let holds = move |format: &&FormatInfo| {
            format.holds(self.needs().0) && !(has_no_stream && format.holds(Holds::Batches))
        };
        FORMATS.iter().filter(holds)
    }
}

/// The layout of labels in formats with rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// One row, or one list element, per label of an image.
    #[default]
    Long,
    /// One row per image, one column per label.
    Wide,
}

/// A format: its name, what it supports, and how to make it.
pub struct FormatInfo {
    /// The name in the user interface; also the extension of its files.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// What it can hold.
    pub holds: &'static [Holds],
    /// Makes the format.
    pub make: fn(&Settings) -> Result<Box<dyn Format>>,
    /// Whether a file looks like one that this format wrote, or began to write.
    pub wrote: fn(&Excerpt) -> bool,
}

/// What a format can hold. Every format can hold errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Labels with their numbers.
    Labels,
    /// Labels together with embeddings.
    LabelsWithVectors,
    /// Embeddings without labels.
    Vectors,
    /// What searches found.
    Searches,
    /// One column per label.
    Wide,
    /// Bytes that are not text and must not go to a terminal.
    Binary,
    /// Thumbnails of the images.
    Thumbnails,
    /// The batches of an Arrow stream, and nothing else.
    Batches,
    /// Records after which an interrupted run can continue.
    Continuable,
}

impl FormatInfo {
    /// Whether the format can hold this.
    pub fn holds(&self, what: Holds) -> bool {
        self.holds.contains(&what)
    }
}

/// All formats, in the order of the help text.
pub const FORMATS: &[FormatInfo] = &[
    table::FORMAT,
    json::FORMAT,
    json::NDJSON,
    csv::CSV,
    csv::TSV,
    #[cfg(feature = "parquet")]
    parquet::FORMAT,
    #[cfg(feature = "arrow")]
    arrow::FORMAT,
    html::FORMAT,
    exiftool::FORMAT,
    npy::FORMAT,
];

/// Whether a file looks like results of this program, in any format. Tables and templates can't be recognised.
pub fn is_results(file: &Excerpt) -> bool {
    !file.start.is_empty() && FORMATS.iter().any(|format| (format.wrote)(file))
}

/// The names of the formats of files that can hold this, for messages.
pub fn names_that_hold(what: Holds) -> String {
    let formats = FORMATS
        .iter()
        .filter(|format| format.holds(what) && !format.holds(Holds::Batches));
    formats.map(|format| format.name).collect::<Vec<_>>().join(", ")
}

/// The format with this name; `jsonl` is another name of `ndjson`.
pub fn by_name(name: &str) -> Option<&'static FormatInfo> {
    let name = if name == "jsonl" { "ndjson" } else { name };
    FORMATS.iter().find(|format| format.name == name)
}

#[cfg(test)]
mod tests {
    use super::specimen::{bytes, records, settings};
    use super::*;

    /// Formats that write records, each with a file of them.
    fn files() -> Vec<(&'static FormatInfo, Vec<u8>)> {
        let of_records = FORMATS.iter().filter(|format| !format.holds(Holds::Batches));
        let written = of_records.map(|format| {
            let task = match format.holds(Holds::Labels) {
                true => Task::Labels(Vectors::None),
                false => Task::Embeddings(2),
            };
            let settings = Settings { task, ..settings() };
            (format, bytes(&mut *(format.make)(&settings).unwrap(), &records()))
        });
        written.collect()
    }

    #[test]
    fn a_format_says_whether_it_can_be_continued() {
        for format in FORMATS.iter().filter(|format| !format.holds(Holds::Batches)) {
            let made = (format.make)(&settings()).unwrap();
            let can_continue = made.held(Box::new(io::empty())).is_some();
            assert_eq!(can_continue, format.holds(Holds::Continuable), "{}", format.name);
        }
    }

    #[test]
    fn results_are_recognised_by_their_content_also_where_a_kill_cut_them() {
        for (format, file) in files().into_iter().filter(|(format, _)| format.name != "table") {
            assert!((format.wrote)(&Excerpt::of_bytes(&file)), "{}", format.name);
            for cut in 1..if format.holds(Holds::Continuable) {
                file.len()
            } else {
                0
            } {
                assert!(
                    (format.wrote)(&Excerpt::of_bytes(&file[..cut])),
                    "{} cut at {cut}",
                    format.name
                );
            }
        }
        for foreign in [
            "",
            "dear diary",
            "pathology,error\n",
            "path of my life",
            "{\"path\":\"a.jpg\",\"labels\":[\"a cat\"]}\n",
            "{\"path\":\"/usr/bin\"}",
            "[\n{\"path\": 1}\n]",
            "<!doctype html>\n<title>longclip</title>",
            "PAR1",
        ] {
            assert!(!is_results(&Excerpt::of_bytes(foreign.as_bytes())), "{foreign}");
        }
    }
}
