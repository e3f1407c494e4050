//! `longclip classify IMAGE... --labels L...`: which of the labels fits each picture.

use std::fs;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use clap::ValueEnum;
use longclip::labels::LabelSet;
use longclip::model::LongClip;
use longclip::output::{Bars, Format, Json, Labelled, Ndjson, Outcome as RecordOutcome, Record, Table};
use longclip::preprocess::{Limits, Orientation, Preprocess};
use longclip::score::{self, Score};
use longclip::{Error, ErrorKind, Result};

use super::Outcome;
use super::model_flags::{ModelFlags, reason, warn_of_cut_texts};
use super::report::{Exit, Report};

const EXAMPLES: &str = "\
Examples:
  longclip classify img/cat.jpg --labels \"A cat jumping.\" \"A cat sleeping.\"
  longclip classify *.jpg --labels-file labels.txt --format ndjson
  longclip classify photo.png --label \"a cat\" --label \"a dog\" --top-k 1

Put pictures before `--labels`: it takes everything that stands behind it.
Exit codes: 0 all pictures done, 1 some failed, 2 nothing could be done.";

/// Say which of the labels fits each picture
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Pictures: jpeg, png, webp, gif, bmp, tiff and others
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Labels, up to 248 tokens each; takes all arguments up to the next flag
    #[arg(short, long, value_name = "LABEL", num_args = 1..)]
    labels: Vec<String>,
    /// One label; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    label: Vec<String>,
    /// A file of labels, one a line; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    labels_file: Option<PathBuf>,
    /// Print only the K likeliest labels of each picture
    #[arg(short = 'k', long, value_name = "K")]
    top_k: Option<NonZeroUsize>,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: FormatName,
    /// Score by dot products of unnormalised features without temperature, as upstream's demo
    #[arg(long)]
    raw_dot: bool,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    Table,
    Json,
    Ndjson,
}

/// How pictures are read.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Pictures")]
pub(super) struct PictureFlags {
    /// Take pixels as they are stored: don't turn a picture as its EXIF says
    #[arg(long)]
    no_exif: bool,
    /// The most pixels that a picture may have
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_pixels)]
    max_pixels: u64,
}

impl PictureFlags {
    pub(super) fn apply(&self, preprocess: &Preprocess) -> Preprocess {
        let orientation = if self.no_exif {
            Orientation::AsStored
        } else {
            Orientation::Upright
        };
        let limits = Limits {
            max_pixels: self.max_pixels,
            ..Limits::default()
        };
        preprocess.clone().orientation(orientation).limits(limits)
    }
}

/// What is to be done, as checked.
struct Plan {
    images: Vec<PathBuf>,
    labels: Vec<String>,
    top_k: Option<NonZeroUsize>,
    score: Score,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let plan = plan(args, report)?;
    let model = args.model.load(report)?;
    warn_of_cut_texts(&model, plan.labels.iter().map(String::as_str), "label", report);
    let labels = LabelSet::new(&model, plan.labels.clone())?;
    let preprocess = args.pictures.apply(model.preprocess());
    let mut format = open_format(args.format);
    let mut out = BufWriter::new(io::stdout().lock());
    let mut n_failed = 0;
    format.begin(&mut out)?;
    for image in &plan.images {
        let outcome = match classify(&model, &preprocess, &labels, image, &plan) {
            Ok(labelled) => RecordOutcome::Labels(labelled),
            // The image tower is read on first use: a damaged one fails every picture.
            Err(error) if error.kind() == ErrorKind::Model => return Err(error.into()),
            Err(error) => {
                n_failed += 1;
                report.failed_input(&image.display().to_string(), &error);
                RecordOutcome::Failed(reason(&error))
            }
        };
        let path = image.display().to_string();
        format.record(&Record { path, outcome }, &mut out)?;
        out.flush()?;
    }
    format.end(&mut out)?;
    out.flush()?;
    Ok(if n_failed > 0 { Exit::SomeFailed } else { Exit::Done })
}

fn plan(args: &Args, report: Report) -> Result<Plan> {
    let mut labels: Vec<String> = args.labels.iter().chain(&args.label).cloned().collect();
    if let Some(file) = &args.labels_file {
        labels.extend(read_labels(file)?);
    }
    if args.images.is_empty() {
        return Err(no_pictures(&args.labels));
    }
    if let Some(swallowed) = args.labels.iter().find(|label| is_picture(label)) {
        report.warning(format!(
            "the label `{swallowed}` looks like a picture: put pictures before `--labels`, which takes everything behind it"
        ));
    }
    Ok(Plan {
        images: args.images.clone(),
        labels,
        top_k: args.top_k,
        score: if args.raw_dot { Score::RawDot } else { Score::Softmax },
    })
}

/// Why there is no picture: often `--labels` took it.
fn no_pictures(labels: &[String]) -> Error {
    match labels.iter().find(|label| is_picture(label)) {
        Some(swallowed) => Error::usage(
            format!("no pictures given; `--labels` took `{swallowed}` as a label, as it takes everything behind it"),
            format!(
                "put pictures first: `longclip classify {swallowed} --labels ...`, or name each label with `--label`"
            ),
        ),
        None => Error::usage(
            "no pictures given",
            "name them first: `longclip classify photo.jpg --labels \"a cat\" \"a dog\"`",
        ),
    }
}

/// Whether a label is more likely a picture: it exists, or is named like one.
fn is_picture(label: &str) -> bool {
    const ENDINGS: [&str; 8] = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"];
    let lower = label.to_lowercase();
    Path::new(label).is_file() || (!label.contains(' ') && ENDINGS.iter().any(|ending| lower.ends_with(ending)))
}

fn read_labels(file: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::Read {
        path: file.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        bytes = fs::read(file).map_err(failed)?;
    }
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(file, &error))?;
    let lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

fn not_utf8(file: &Path, error: &FromUtf8Error) -> Error {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
    Error::usage(
        format!("`{}` line {line} is not UTF-8 text", file.display()),
        "save the file as UTF-8, one label a line",
    )
}

fn classify(
    model: &LongClip,
    preprocess: &Preprocess,
    labels: &LabelSet,
    image: &Path,
    plan: &Plan,
) -> Result<Vec<Labelled>> {
    let pixels = preprocess.run(&image.display().to_string(), &read_picture(image)?)?;
    let embedding = model.encode_image(&pixels)?.0;
    let scores = score::score_labels(
        embedding.row(0),
        labels.embeddings().0.rows(),
        model.logit_scale(),
        plan.score,
    );
    let n_shown = plan.top_k.map_or(usize::MAX, NonZeroUsize::get);
    let shown = scores.into_iter().take(n_shown);
    Ok(shown
        .map(|score| Labelled {
            label: labels.labels()[score.label_idx].clone(),
            probability: score.probability,
            logit: score.logit,
            cosine: score.cosine,
        })
        .collect())
}

/// The bytes of a picture's file.
pub(super) fn read_picture(path: &Path) -> Result<Vec<u8>> {
    if path.is_dir() {
        return Err(Error::Picture {
            name: path.display().to_string(),
            problem: "it is a folder".into(),
            hint: Some(format!("name the pictures in it: `{}/*`", path.display())),
        });
    }
    fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

fn open_format(name: FormatName) -> Box<dyn Format> {
    match name {
        FormatName::Table => Box::new(Table::new(bars())),
        FormatName::Json => Box::new(Json::default()),
        FormatName::Ndjson => Box::new(Ndjson),
    }
}

/// Bars where a person looks at a terminal that may show them.
fn bars() -> Bars {
    let stdout = io::stdout();
    if !stdout.is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Bars::None;
    }
    let width_columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .unwrap_or(100);
    Bars::Drawn { width_columns }
}
