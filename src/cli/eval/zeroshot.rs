//! `longclip eval zeroshot --data D`: measures how often an image's class is the most likely one.

use std::ops::ControlFlow;
use std::path::PathBuf;

use longclip::Result;
use longclip::data::Split;
use longclip::eval::zeroshot::{About, ClassifiedImages, Encoded, Results};
use longclip::labels::{LabelSet, SameTokens};
use longclip::score::Scoring;
use longclip::session::Labelling;

use super::compare::{CompareFlags, Contender};
use super::encode::{Data, EncodeFlags, report_unusable, unmeasured};
use super::page::{Reads, ReportFlags, Written};
use crate::cli::Outcome;
use crate::cli::input_flags::to_one_square;
use crate::cli::label_flags::LabelFlags;
use crate::cli::named::named;
use crate::cli::report::{Exit, Report};
use crate::cli::this_command::this_command;

const EXAMPLES: &str = "\
Examples:
  longclip eval zeroshot --data classes/
  longclip eval zeroshot --data classes/ --template \"a photo of a {}.\"
  longclip eval zeroshot --data classes/ --report page.html";

const NOTES: &str = "\
Data is a folder with one folder of images per class (ImageNet's synsets are
known by name); ndjson, json, csv or tsv of `path` and `label`; WebDataset
tars of `jpg` and `cls`, or a folder of them; CIFAR-10 or CIFAR-100 in the binary
or the Python form.
Exit codes: 0 all images judged, 1 measured without what can't be used,
2 nothing was measured, 130 interrupted.";

/// Measure zero-shot classification: top-1, top-5, calibration
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = NOTES, mut_arg("fit", to_one_square))]
pub(in crate::cli) struct Args {
    /// Images and their classes
    ///
    /// See below for the kinds of data. Example: `--data classes/`
    #[arg(long, value_name = "DATA", help_heading = "Data")]
    data: PathBuf,
    /// Which part of the data, if it has parts
    ///
    /// CIFAR has a part for training and one for testing. Example: `--split train`
    #[arg(
        long,
        value_name = "NAME",
        default_value_t,
        value_parser = named::<Split>(),
        help_heading = "Data",
        hide_short_help = true
    )]
    split: Split,
    #[command(flatten)]
    labels: LabelFlags,
    #[command(flatten)]
    report: ReportFlags,
    /// Write a row per image with its likeliest classes
    ///
    /// The ending says how: .ndjson, .csv or .parquet. Example: `--predictions predictions.csv`
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    predictions: Option<PathBuf>,
    /// Find the `--temperature` that fits these images
    ///
    /// With it, `classify` gives probabilities that are right as often as they say, for images like these.
    #[arg(long, help_heading = "Output")]
    fit_temperature: bool,
    #[command(flatten)]
    compare: CompareFlags,
    #[command(flatten)]
    encode: EncodeFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let one = args.encode.one_view()?;
    let mut written = args.open_report()?;
    let labelling = args.labels.labelling(None)?;
    let data = args.data()?;
    let kind = data.about.clone();
    let named = args.labels.name_templates().then_some(labelling.templates);
    let (templates, prompts) = data.prompts(&labelling.list, named);
    let resolved = data.resolve(labelling.list, &templates)?;
    report_unusable(&resolved.unusable, report);
    if resolved.unusable.len() as u64 > args.encode.most_failures() {
        return Err(unmeasured(resolved.unusable.len()).into());
    }
    let contenders = args.compare.contenders(&args.encode.encoding.model, report)?;
    let labelling = Labelling {
        list: resolved.labels.clone(),
        templates,
        // Classes stay as the data numbers them.
        same_tokens: SameTokens::Keep,
        ..labelling
    };
    let mut labels = Vec::new();
    for Contender { loaded, .. } in &contenders {
        let of_model = labelling.encode(&mut labelling.encoder(&loaded.model))?;
        let of_model = of_model.ok_or_else(LabelSet::none_given)?;
        report.notices(of_model.notices());
        labels.push(of_model);
    }
    let images = Data {
        name: args.data.display().to_string(),
        images: &resolved.images,
        n_unusable: resolved.unusable.len(),
        one,
    };
    let encoded = match args.encode.encode_all(&contenders, &images, report)? {
        ControlFlow::Continue(encoded) => encoded,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let models = contenders.iter().zip(labels).zip(&encoded);
    let models: Vec<Encoded<'_>> = models
        .map(|((Contender { loaded, .. }, labels), encoded)| Encoded {
            model: loaded.facts(),
            scoring: Scoring::softmax(loaded.model.logit_scale()),
            labels,
            images: &encoded.embeddings,
        })
        .collect();
    let about = About {
        data: &images.name,
        kind: &kind,
        prompts: &prompts,
        n_failed: encoded[0].n_failed + resolved.unusable.len(),
        images_per_s: encoded[0].images_per_s,
        bootstrap: args.compare.bootstrap(),
        fits_temperature: args.fit_temperature,
        command: &this_command(),
    };
    let results = Results::of(&resolved, &models, about)?;
    args.print(&results, &mut written, report)?;
    Ok(match encoded[0].exit {
        Exit::Done if !resolved.unusable.is_empty() => Exit::SomeFailed,
        exit => exit,
    })
}

impl Args {
    fn open_report(&self) -> longclip::Result<Written> {
        self.report.open(&Reads {
            data: vec![&self.data],
            files: self.labels.files().collect(),
            model: &self.encode.encoding.model,
            compared: self.compare.model(),
            kept: self.encode.embeddings.as_deref(),
            predictions: self.predictions.as_deref(),
            leads_to: &|page| self.data().is_ok_and(|data| data.files().any(|file| page.is(file))),
        })
    }

    fn data(&self) -> Result<ClassifiedImages> {
        ClassifiedImages::open(&self.data, self.split, std::env::temp_dir())
    }

    /// Prints the results, and writes the files that were asked for.
    fn print(&self, results: &Results<'_>, written: &mut Written, report: Report) -> anyhow::Result<()> {
        let files = write_files(written, results);
        self.report.format.print(|| results.table(), || results.to_json())?;
        files?;
        if let Some(fitted) = &results.fitted {
            report.note(format!(
                "`longclip classify --temperature {}` with these labels and this model gives the fitted probabilities",
                fitted.shown()
            ));
        }
        Ok(())
    }
}

/// Writes the page and the predictions, as far as they were asked for.
fn write_files(written: &mut Written, results: &Results<'_>) -> Result<()> {
    written.write_page(|| results.page())?;
    let Some((format, file)) = &mut written.predictions else {
        return Ok(());
    };
    let predictions = results.predictions();
    predictions.write(*format, file).map_err(|source| file.error(source))?;
    file.finish()
}
