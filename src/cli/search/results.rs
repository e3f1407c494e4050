//! Prints what was found: on the screen, as records, by a template, or as a page of images.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use longclip::files::{Destination, Target};
use longclip::output::{self, Format, Html, Labelled, Outcome, Record, Subject, Template, Thumbnail};
use longclip::preprocess::Preprocess;
use longclip::search::{FileState, Index, Picture};
use longclip::session::thumbnail;
use longclip::{Error, Result};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::hint::reason;
use crate::cli::targets::{ForceFlag, Resuming, Writing, file_named, whole};

/// How and where results are printed.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ResultFlags {
    /// table, ndjson, json, html, or a template as '{path}' [default: by the ending of --output, else table]
    #[arg(short, long, value_name = "FORMAT", value_parser = parse)]
    format: Option<ResultFormat>,
    /// Write to a file, which gets its name when it is whole; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) force: ForceFlag,
}

/// A format of results.
#[derive(Debug, Clone)]
pub(super) enum ResultFormat {
    Table,
    Ndjson,
    Json,
    Html,
    Template(Template),
}

fn parse(text: &str) -> std::result::Result<ResultFormat, String> {
    if Template::is_meant(text) {
        let template = Template::parse(text).map_err(|error| reason(&error))?;
        return Ok(ResultFormat::Template(template));
    }
    by_name(text).ok_or_else(|| "expected one of table, ndjson, json, html, or a template as '{path}'".to_owned())
}

fn by_name(name: &str) -> Option<ResultFormat> {
    match name {
        "table" => Some(ResultFormat::Table),
        "ndjson" | "jsonl" => Some(ResultFormat::Ndjson),
        "json" => Some(ResultFormat::Json),
        "html" => Some(ResultFormat::Html),
        _ => None,
    }
}

impl ResultFlags {
    pub(super) fn format(&self) -> Result<ResultFormat> {
        if let Some(format) = &self.format {
            return Ok(format.clone());
        }
        let Some(path) = file_named(self.output.as_deref()) else {
            return Ok(ResultFormat::Table);
        };
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.and_then(by_name).ok_or_else(|| {
            Error::usage(
                "the ending of `--output` is not a format's",
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

/// An image that was found, as it is printed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    /// The query.
    query: String,
    rank: usize,
    /// The path of the image from here.
    path: String,
    cosine: f32,
    /// `gone` or `changed`, if its file is not the one that was indexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// Whether the image is a file.
    #[serde(skip)]
    is_file: bool,
}

impl Found {
    /// `folder` is the base of the index's relative paths.
    pub(super) fn new(query: &str, rank: usize, cosine: f32, picture: &Picture, folder: &Path) -> Self {
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
            // Stored numbers are rounded, so an image's cosine with itself can be slightly more than one.
            cosine: cosine.clamp(-1.0, 1.0),
            state: match picture.file_state(folder) {
                FileState::AsIndexed => None,
                FileState::Changed => Some("changed"),
                FileState::Gone => Some("gone"),
            },
            is_file: picture.is_file(),
        }
    }

    /// Whether its file is gone or changed.
    pub(super) fn is_stale(&self) -> bool {
        self.state.is_some()
    }
}

/// An open output.
pub(super) struct Results {
    written: Written,
    destination: Destination,
    n_written: usize,
}

enum Written {
    Table,
    Ndjson,
    Json,
    /// Formats of labelled images: the query is an image's label.
    Records(Box<dyn Format>, Option<Preprocess>),
}

impl Results {
    /// `asked` are all queries, in order.
    pub(super) fn open(
        target: Option<&Target>,
        format: &ResultFormat,
        index: &Index,
        asked: &[&str],
        preprocess: &Preprocess,
    ) -> Result<Self> {
        let written = match format {
            ResultFormat::Table => Written::Table,
            ResultFormat::Ndjson => Written::Ndjson,
            ResultFormat::Json => Written::Json,
            ResultFormat::Template(template) => Written::Records(Box::new(template.clone()), None),
            ResultFormat::Html => {
                let searches = asked.iter().map(|name| (*name).to_owned()).collect();
                let page = Html::of_searches(&index.origin().model, searches);
                Written::Records(Box::new(page), Some(preprocess.clone()))
            }
        };
        let mut results = Results {
            written,
            destination: whole(target)?,
            n_written: 0,
        };
        results.with(|written, out, _| match written {
            Written::Records(format, _) => format.begin(out),
            Written::Json => out.write_all(b"["),
            Written::Table | Written::Ndjson => Ok(()),
        })?;
        Ok(results)
    }

    /// The results of one query.
    pub(super) fn write(&mut self, query: &str, found: &[Found]) -> Result<()> {
        self.with(|written, out, n_written| match written {
            Written::Table => table(query, found, n_written, out),
            Written::Ndjson => found.iter().try_for_each(|found| {
                serde_json::to_writer(&mut *out, found)?;
                out.write_all(b"\n")
            }),
            Written::Json => found.iter().try_for_each(|found| {
                out.write_all(if *n_written == 0 { b"\n" } else { b",\n" })?;
                *n_written += 1;
                Ok(serde_json::to_writer(&mut *out, found)?)
            }),
            Written::Records(format, preprocess) => {
                let photo = |found: &Found| photo_of(found, preprocess.as_ref()?);
                let photos: Vec<Option<Vec<u8>>> = found.par_iter().map(photo).collect();
                let records = found.iter().zip(photos).map(|(found, photo)| record(found, photo));
                records.into_iter().try_for_each(|record| format.record(&record, out))
            }
        })
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.with(|written, out, _| match written {
            Written::Records(format, _) => format.end(out),
            Written::Json => out.write_all(b"\n]\n"),
            Written::Table | Written::Ndjson => Ok(()),
        })?;
        self.destination.finish()
    }

    fn with(&mut self, write: impl FnOnce(&mut Written, &mut Destination, &mut usize) -> io::Result<()>) -> Result<()> {
        let written = write(&mut self.written, &mut self.destination, &mut self.n_written);
        written.map_err(|source| self.destination.error(source))
    }
}

/// The query, then one line per image.
fn table(query: &str, found: &[Found], n_written: &mut usize, out: &mut Destination) -> io::Result<()> {
    if *n_written > 0 {
        writeln!(out)?;
    }
    *n_written += 1;
    writeln!(out, "{query}")?;
    if found.is_empty() {
        writeln!(out, "  nothing")?;
    }
    for Found {
        cosine, path, state, ..
    } in found
    {
        let state = state.map_or_else(String::new, |state| format!("  ({state})"));
        writeln!(out, "  {cosine:7.4}  {path}{state}")?;
    }
    Ok(())
}

fn record(found: &Found, photo: Option<Vec<u8>>) -> Record {
    let mut fields = Map::new();
    fields.insert("rank".to_owned(), Value::from(found.rank));
    fields.insert("state".to_owned(), Value::from(found.state.unwrap_or_default()));
    Record {
        subject: Subject::Path(found.path.clone()),
        fields,
        outcome: Outcome::Labels {
            labels: vec![Labelled {
                label: found.query.clone(),
                probability: None,
                logit: None,
                cosine: Some(f64::from(found.cosine)),
                group: None,
            }],
            groups: Vec::new(),
            embedding: None,
        },
        thumbnail: photo.map(|photo| Thumbnail { photo, heat: None }),
    }
}

/// A small JPEG of an image's current file; `None` if it can't be read.
fn photo_of(found: &Found, preprocess: &Preprocess) -> Option<Vec<u8>> {
    let bytes = found.is_file.then(|| fs::read(&found.path).ok())??;
    thumbnail(&preprocess.decode(&found.path, &bytes).ok()?)
}
