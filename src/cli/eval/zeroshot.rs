//! `longclip eval zeroshot --data D`: measures how often an image's class is the most likely one.

use std::path::PathBuf;

use longclip::Result;
use longclip::data::Split;
use longclip::eval::Embeddings;
use longclip::eval::comparison::Comparison;
use longclip::eval::zeroshot::{
    Answer, ClassifiedImages, FittedTemperature, Measures, Predictions, Resolved, Results, judge, metrics,
};
use longclip::labels::{LabelSet, SameTokens};
use longclip::score::{OneView, Scoring};
use longclip::session::{Ended, Labelling};

use super::compare::{CompareFlags, Contender};
use super::encode::{Data, EncodeFlags, Encoded, report_unusable, unmeasured};
use super::page::{self, Reads, ReportFlags, Written};
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
    let about = data.about.clone();
    let (labelling, prompts) = args.prompts(labelling, &data);
    let resolved = data.resolve(labelling.list.clone(), &labelling.templates)?;
    report_unusable(&resolved.unusable, report);
    if resolved.unusable.len() as u64 > args.encode.most_failures() {
        return Err(unmeasured(resolved.unusable.len()).into());
    }
    let contenders = args.compare.contenders(&args.encode.encoding.model, report)?;
    let labelling = Labelling {
        list: resolved.labels.clone(),
        // Classes stay as the data numbers them.
        same_tokens: SameTokens::Keep,
        ..labelling
    };
    let data_name = args.data.display().to_string();
    let mut seen = Vec::new();
    for contender in &contenders {
        let labels = labelling
            .encode(&mut labelling.encoder(&contender.loaded.model))?
            .ok_or_else(LabelSet::none_given)?;
        report.notices(labels.notices());
        let encoded = args.encoded(contender, &resolved, one, report)?;
        if encoded.ended != Ended::AtTheEnd {
            return Ok(encoded.exit);
        }
        seen.push(SeenBy {
            contender,
            labels,
            encoded,
        });
    }
    let embeddings: Vec<&Embeddings> = seen.iter().map(|seen| &seen.encoded.embeddings).collect();
    let read = resolved.read_by(&embeddings)?;
    let models = seen.iter().zip(&read.rows);
    let answers: Vec<Vec<Answer>> = models
        .map(|(seen, rows)| judge(rows, &seen.labels, &seen.scoring()))
        .collect();
    let SeenBy { labels, encoded, .. } = &seen[0];
    let fitted = || FittedTemperature::of(&read.rows[0], &answers[0], labels, &seen[0].scoring());
    let results = Results {
        model: &contenders[0].facts(),
        data: &data_name,
        about: &about,
        prompts: &prompts,
        labels: labels.labels(),
        measures: &Measures::of(&answers[0], labels.labels().len(), args.compare.seed),
        n_failed: encoded.n_failed + resolved.unusable.len(),
        images_per_s: encoded.images_per_s,
        seed: args.compare.seed,
        comparison: args.comparison(&contenders, &answers, labels.labels().len()),
        fitted: args.fit_temperature.then(fitted),
        images: &read.images,
        answers: &answers[0],
        command: &this_command(),
    };
    args.print(&results, &mut written, report)?;
    Ok(match encoded.exit {
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

    /// A model's embeddings of all images.
    fn encoded(&self, contender: &Contender, resolved: &Resolved, one: OneView, report: Report) -> Result<Encoded> {
        let images = Data {
            name: self.data.display().to_string(),
            images: &resolved.images,
            n_unusable: resolved.unusable.len(),
            one,
        };
        let kept = contender.kept(self.encode.embeddings.as_deref(), None);
        self.encode.encode(&contender.loaded, &images, kept.as_deref(), report)
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

    /// Both models' accuracies, if there are two.
    fn comparison(&self, contenders: &[Contender], answers: &[Vec<Answer>], n_classes: usize) -> Option<Comparison> {
        let ([a, b], [first, second]) = (contenders, answers) else {
            return None;
        };
        let metrics = [first, second].map(|answers| metrics(answers, n_classes));
        let models = [a.facts(), b.facts()];
        Some(Comparison::new(models, metrics, first.len(), self.compare.bootstrap()))
    }

    /// The labelling with the data's templates, and how prompts are made of classes, in words.
    fn prompts(&self, labelling: Labelling, data: &ClassifiedImages) -> (Labelling, String) {
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

/// One model's embeddings of the classes and the images.
struct SeenBy<'a> {
    contender: &'a Contender,
    labels: LabelSet,
    encoded: Encoded,
}

impl SeenBy<'_> {
    fn scoring(&self) -> Scoring {
        Scoring::softmax(self.contender.loaded.model.logit_scale())
    }
}

/// Writes the page and the predictions, as far as they were asked for.
fn write_files(written: &mut Written, results: &Results<'_>) -> Result<()> {
    if let Some(file) = &mut written.page {
        page::write(file, &results.page())?;
    }
    let Some((format, file)) = &mut written.predictions else {
        return Ok(());
    };
    let predictions = Predictions {
        images: results.images,
        answers: results.answers,
        labels: results.labels,
        model: &results.model.name,
    };
    predictions.write(*format, file).map_err(|source| file.error(source))?;
    file.finish()
}
