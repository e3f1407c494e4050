//! Output: records, and one file a format. A format writes to the `Write` it is given and knows no model.
//!
//! `cli` looks a format up in [`FORMATS`], makes it with [`Settings`] and gives it records in the input's order; where
//! they go is the matter of a [`Destination`](crate::files::Destination). A new format is one file here, whose `FORMAT` is one line in [`FORMATS`].

#[cfg(feature = "arrow")]
pub mod arrow;
mod csv;
mod heat_map;
mod html;
mod json;
mod npy;
#[cfg(feature = "parquet")]
mod parquet;
mod record;
mod resume;
mod table;
mod template;

#[cfg(test)]
mod specimen;

use std::io::{self, BufRead, Write};

pub use heat_map::{HeatMap, png};
pub use html::{Html, THUMBNAIL_PX, report, thumbnail};
pub use json::{Json, Ndjson};
#[cfg(feature = "parquet")]
pub(crate) use parquet::Shared;
pub use record::{Grouped, Labelled, Outcome, Record, Subject, Thumbnail};
pub use resume::{Held, HeldRecords, Progress};
pub use table::{Bars, Table, one_line};
pub use template::Template;

use crate::error::Result;
use crate::files::Excerpt;

/// Writes records in one format: `begin` once, `record` for each in order, `end` once.
pub trait Format {
    /// What stands before the first record.
    ///
    /// # Errors
    /// Those of writing.
    fn begin(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// One record.
    ///
    /// # Errors
    /// Those of writing.
    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()>;

    /// What stands behind the last record.
    ///
    /// # Errors
    /// Those of writing.
    fn end(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// The records that a file of this format holds already, so that it can be continued behind them. `None` for a
    /// format whose file is whole or nothing; such a file gets its name when it is finished.
    fn held(&self, _file: Box<dyn BufRead>) -> Option<HeldRecords> {
        None
    }
}

/// What is known before the first record.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What records are about.
    pub task: Task,
    /// The run's labels, in order; empty where each record has its own, and for vectors.
    pub labels: Vec<String>,
    /// The groups that the run's labels make, in order; empty where records have none.
    pub groups: Vec<String>,
    /// How labels and their numbers are laid out in formats of rows and columns.
    pub layout: Layout,
    /// Whether records carry fields of the input.
    pub fields: Fields,
    /// Whether the table draws bars.
    pub bars: Bars,
    /// The model's name and where it comes from, for formats that keep a note of it.
    pub model: String,
    /// The numbers that it computes with, for the same.
    pub dtype: String,
}

/// What records are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Labels, and vectors too if they were asked for.
    Labels(Vectors),
    /// Vectors of so many numbers.
    Embeddings(usize),
}

/// Whether labels come with the picture's vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vectors {
    /// They don't.
    None,
    /// They do, of so many numbers.
    Beside(usize),
}

impl Task {
    /// Numbers of each vector; `None` where there are no vectors.
    pub fn embed_dim(self) -> Option<usize> {
        match self {
            Task::Labels(Vectors::None) => None,
            Task::Labels(Vectors::Beside(n)) | Task::Embeddings(n) => Some(n),
        }
    }
}

/// How labels and their numbers are laid out in formats of rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// A row, or a list's element, for each label of a picture.
    #[default]
    Long,
    /// A row for each picture, with a column for each label.
    Wide,
}

/// Whether records carry fields of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fields {
    /// None: files and folders have none.
    #[default]
    None,
    /// Some may: records and archives have them.
    Carried,
}

/// A format by its name.
pub struct FormatInfo {
    /// What a person calls it; also the ending of its files.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
    /// What it can hold.
    pub holds: &'static [Holds],
    /// Makes it.
    pub make: fn(&Settings) -> Result<Box<dyn Format>>,
    /// Whether a file looks like one that this format wrote, or began to write.
    pub wrote: fn(&Excerpt) -> bool,
}

/// What a format can hold, besides errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Labels with their numbers.
    Labels,
    /// Labels and vectors together.
    LabelsWithVectors,
    /// Vectors alone.
    Vectors,
    /// A column for each label.
    Wide,
    /// Bytes that are no text: nothing for a terminal.
    Binary,
    /// Pictures themselves, small.
    Thumbnails,
    /// Batches that came in, and nothing else.
    Batches,
    /// Records after which an interrupted run can continue.
    Continuable,
}

impl FormatInfo {
    /// Whether it can hold this.
    pub fn holds(&self, what: Holds) -> bool {
        self.holds.contains(&what)
    }
}

/// All formats, in the order of the help.
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
    npy::FORMAT,
];

/// Whether a file looks like results of this program, in any format. A table and a line of one's own look like anything.
pub fn is_results(file: &Excerpt) -> bool {
    FORMATS.iter().any(|format| (format.wrote)(file))
}

/// The format of this name.
pub fn by_name(name: &str) -> Option<&'static FormatInfo> {
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
