//! `longclip eval zeroshot --data D`: how often a picture's own class is the likeliest of all.

mod page;
mod told;

use std::path::PathBuf;

use clap::ValueEnum;
use longclip::eval::Picture;
use longclip::eval::data::{DataOptions, DataSet, Resolved, Split, Unusable};
use longclip::eval::zeroshot::{Measures, judge};
use longclip::labels::LabelSet;
use longclip::score::Scoring;
use longclip::{Error, Result};

use self::told::Told;
use super::Format;
use super::encode::{Data, EncodeFlags, Encoded, Loaded};
use crate::cli::Outcome;
use crate::cli::label_flags::LabelFlags;
use crate::cli::labelling::{Grouping, Labelling};
use crate::cli::model_flags::ModelFlags;
use crate::cli::report::{Exit, Report, Verbosity};
use crate::cli::tally::Ended;

const EXAMPLES: &str = "\
Examples:
  longclip eval zeroshot --data photos/
  longclip eval zeroshot --data photos/ --template \"a photo of a {}.\" --model longclip-b
  longclip eval zeroshot --data photos/ --labels-file classes.json --embeddings kept --format json

Data is a folder with a folder of pictures for each class (ImageNet's synsets are known by their names); ndjson, json,
csv or tsv of `path` and `label`; WebDataset tars of `jpg` and `cls`, or a folder of them; CIFAR-10 or CIFAR-100 in
the binary or the Python form.
Exit codes: 0 all pictures judged, 1 some could not be used, 2 nothing could be done, 130 interrupted.";

/// Measure zero-shot classification: top-1, top-5, recall by class, calibration
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Pictures and their classes
    #[arg(long, value_name = "DATA", help_heading = "Data")]
    data: PathBuf,
    /// Which of CIFAR's pictures
    #[arg(
        long,
        value_name = "NAME",
        default_value = "test",
        help_heading = "Data",
        hide_short_help = true
    )]
    split: SplitName,
    #[command(flatten)]
    labels: LabelFlags,
    /// How results are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    format: Format,
    /// Write a page too: tables, confusions, calibration, the pictures that it was most wrongly sure of
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    report: Option<PathBuf>,
    /// What decides the resamples of an interval
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        help_heading = "Output",
        hide_short_help = true
    )]
    seed: u64,
    #[command(flatten)]
    encode: EncodeFlags,
    #[command(flatten)]
    model: ModelFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SplitName {
    Test,
    Train,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let labelling = args.labelling()?;
    let data = DataSet::open(&args.data, &args.data_options())?;
    let about = data.about.clone();
    let (labelling, prompts) = args.prompts(labelling, &data);
    let resolved = data.resolve(labelling.list.clone(), &labelling.templates)?;
    tell_unusable(&resolved.unusable, report);
    if resolved.unusable.len() as u64 > args.encode.run.most_failures() {
        report.note("stopped: too much of the data can't be used (`--on-error`, `--max-errors`)");
        return Ok(Exit::SomeFailed);
    }
    let (model, name) = args.model.load_named(report)?;
    let labelling = Labelling {
        list: resolved.labels.clone(),
        ..labelling
    };
    let labels = labelling
        .run_labels(&mut labelling.encoder(&model), report)?
        .ok_or_else(LabelSet::none_given)?;
    let loaded = Loaded {
        model: &model,
        name: &name,
        flags: &args.model,
    };
    let pictures = Data {
        name: args.data.display().to_string(),
        pictures: &resolved.pictures,
    };
    let encoded = args
        .encode
        .encode(&loaded, &pictures, args.encode.embeddings.as_deref(), report)?;
    if encoded.ended != Ended::AtTheEnd {
        return Ok(encoded.exit);
    }
    let judged = judged(&resolved, &encoded)?;
    let rows: Vec<(usize, &[f32])> = judged.iter().map(|judged| (judged.truth, judged.embedding)).collect();
    let answers = judge(&rows, &labels, &Scoring::softmax(model.logit_scale()));
    let told = Told {
        model: &name,
        dtype: args.model.dtype_name(),
        data: &pictures.name,
        about: &about,
        prompts: &prompts,
        labels: labels.labels(),
        measures: &Measures::of(&answers, labels.labels().len(), args.seed),
        n_failed: encoded.n_failed + resolved.unusable.len(),
        images_per_s: encoded.images_per_s,
        seed: args.seed,
    };
    if let Some(path) = &args.report {
        page::write(path, &told, &judged, &answers)?;
    }
    told.print(args.format)?;
    Ok(match encoded.exit {
        Exit::Done if !resolved.unusable.is_empty() => Exit::SomeFailed,
        exit => exit,
    })
}

impl Args {
    fn data_options(&self) -> DataOptions {
        DataOptions {
            split: match self.split {
                SplitName::Test => Split::Test,
                SplitName::Train => Split::Train,
            },
            scratch: std::env::temp_dir(),
        }
    }

    fn labelling(&self) -> Result<Labelling> {
        let labelling = self.labels.labelling()?;
        match labelling.grouping {
            Grouping::None => Ok(labelling),
            Grouping::ByGroup => Err(Error::usage(
                "`--group-by` changes nothing: classes are what is measured",
                "leave it out",
            )),
        }
    }

    /// The labelling with the templates that it takes from the data, and what classes are asked by, in words.
    fn prompts(&self, labelling: Labelling, data: &DataSet) -> (Labelling, String) {
        let labels = labelling.list.labels();
        let have_prompts = !labels.is_empty() && labels.iter().all(|label| !label.prompts.is_empty());
        let templates = match self.labels.name_templates() || have_prompts {
            true => labelling.templates,
            false => data.templates.clone(),
        };
        let words = match &templates[..] {
            _ if have_prompts => "the label file's prompts".to_owned(),
            [] => "the classes' names as they are".to_owned(),
            [one] => format!("`{}`", one.fill("{}")),
            several => format!("{} templates, averaged", several.len()),
        };
        (Labelling { templates, ..labelling }, words)
    }
}

/// Failures that are told one by one.
const TOLD: usize = 5;

fn tell_unusable(unusable: &[Unusable], report: Report) {
    let n_told = match report.verbosity() {
        Verbosity::Verbose => unusable.len(),
        _ => TOLD,
    };
    for Unusable { place, error } in unusable.iter().take(n_told) {
        report.failed_input(place, error);
    }
    if unusable.len() > n_told {
        report.note(format!("{} samples can't be used; `-v` tells them all", unusable.len()));
    }
}

/// A picture that could be read.
struct Judged<'a> {
    picture: &'a Picture,
    /// The class that it shows.
    truth: usize,
    embedding: &'a [f32],
}

/// The pictures that could be read, in the data's order.
fn judged<'a>(resolved: &'a Resolved, encoded: &'a Encoded) -> Result<Vec<Judged<'a>>> {
    let pictures = resolved.pictures.iter().zip(&resolved.truths);
    let judged = pictures.filter_map(|(picture, truth)| {
        Some(Judged {
            picture,
            truth: *truth,
            embedding: encoded.embeddings.get(picture.name())?,
        })
    });
    let judged: Vec<Judged<'_>> = judged.collect();
    match judged.is_empty() {
        false => Ok(judged),
        true => Err(Error::usage(
            "no picture could be read, so there is nothing to measure",
            "look at the errors above",
        )),
    }
}
