//! `--report` and `--predictions`: where an evaluation writes its page, and a row per image.

use std::io::Write;
use std::path::{Path, PathBuf};

use longclip::eval::zeroshot::{PredictionFormat, wrote_predictions};
use longclip::files::{Destination, Excerpt, Target};
use longclip::input::{InputOptions, Inputs, Source};
use longclip::output;
use longclip::session::Resuming;
use longclip::{Error, Result};

use crate::cli::model_flags::ModelFlags;
use crate::cli::print_format::PrintFormat;
use crate::cli::targets::{self, ForceFlag, file_named};

/// Where a page is written, if one is.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ReportFlags {
    /// table or json
    ///
    /// The json has the keys of CLIP_benchmark. Example: `--format json`
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) format: PrintFormat,
    /// Write a page too: tables, curves, hardest images
    ///
    /// One html file. Example: `--report page.html`
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    force: ForceFlag,
}

/// What an evaluation reads.
pub(super) struct Reads<'a> {
    pub(super) data: Vec<&'a Path>,
    /// Files of labels and templates, with what they are.
    pub(super) files: Vec<(&'static str, &'a Path)>,
    pub(super) model: &'a ModelFlags,
    /// The model that it is compared with.
    pub(super) compared: Option<&'a str>,
    /// The file of embeddings, which grows.
    pub(super) kept: Option<&'a Path>,
    /// The file of predictions, which is written.
    pub(super) predictions: Option<&'a Path>,
    /// Whether the data leads to a file. It is asked only about a file that exists and is to be replaced.
    pub(super) leads_to: &'a dyn Fn(&Target) -> bool,
}

/// The files that are written when everything is measured.
pub(super) struct Written {
    page: Option<Destination>,
    pub(super) predictions: Option<(PredictionFormat, Destination)>,
}

impl ReportFlags {
    /// Opens the files before hours of work and not after them.
    pub(super) fn open(&self, reads: &Reads<'_>) -> Result<Written> {
        let Reads {
            data,
            files,
            kept,
            predictions,
            ..
        } = reads;
        let inputs = Inputs {
            sources: data.iter().map(|path| Source::Named(path.to_path_buf())).collect(),
            options: InputOptions::default(),
        };
        let is_found = |target: &Target| data.iter().any(|data| holds(data, target)) || (reads.leads_to)(target);
        let mut writing = targets::writing(self.force, reads.model)
            .inputs(&inputs)
            .found(&is_found);
        if let Some(other) = reads.compared {
            writing = writing.reads("the model", targets::model_files(Some(other)));
        }
        writing = writing.reads_each(files.iter().copied());
        kept.map_or(Ok(()), |kept| writing.refuse_input("--embeddings", kept))?;
        writing = writing.reads("the file of embeddings", *kept);
        let format = predictions.map(PredictionFormat::of_ending).transpose()?;
        let mut open = |flag, file: Option<&Path>, is_ours: fn(&Excerpt) -> bool| {
            let Some(path) = file else { return Ok(None) };
            if file_named(Some(path)).is_none() {
                return Err(Error::usage(
                    format!("the file of `{flag}` can't go to stdout, where the results go"),
                    "name a file",
                ));
            }
            let target = writing.target(flag, path, Resuming::Never, is_ours)?;
            Destination::whole(&target).map(Some)
        };
        let page = open("--report", self.report.as_deref(), output::is_results)?;
        let predictions = open("--predictions", *predictions, wrote_predictions)?;
        Ok(Written {
            page,
            predictions: format.zip(predictions),
        })
    }
}

/// Whether a file is in the folder of a data set, whose files are read by rules of their own.
fn holds(data: &Path, file: &Target) -> bool {
    let is_inside = |folder: PathBuf| file.path().canonicalize().is_ok_and(|file| file.starts_with(folder));
    data.is_dir() && data.canonicalize().is_ok_and(is_inside)
}

impl Written {
    /// Writes the page if it was asked for; it appears only when it is complete.
    pub(super) fn write_page(&mut self, page: impl FnOnce() -> String) -> Result<()> {
        let Some(file) = &mut self.page else { return Ok(()) };
        file.write_all(page().as_bytes()).map_err(|source| file.error(source))?;
        file.finish()
    }
}
