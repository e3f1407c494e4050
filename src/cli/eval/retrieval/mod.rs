//! `longclip eval retrieval --data D`: measures how well captions find their images, and images their captions.

mod flags;

use std::path::Path;

use longclip::data::{Image, Unusable};
use longclip::eval::comparison::Comparison;
use longclip::eval::retrieval::{KS, Measured, Measuring, Pairs, Results, metrics};
use longclip::kernels::Threads;
use longclip::model::{Embeddings, ImageEmbeddings};
use longclip::session::Ended;
use longclip::{Error, Result};

use self::flags::{DataFlags, MeasureFlags};
use super::compare::{CompareFlags, Contender};
use super::encode::{Data, EncodeFlags, Encoded, report_unusable};
use super::page::{self, Reads, ReportFlags, Written};
use super::texts::{Halt, Texts};
use crate::cli::Outcome;
use crate::cli::model_flags::ModelFlags;
use crate::cli::print_format::PrintFormat;
use crate::cli::report::{Exit, LISTED_MAX, Report};
use crate::cli::this_command::this_command;

const EXAMPLES: &str = "\
Examples:
  longclip eval retrieval --data pairs.ndjson
  longclip eval retrieval --data Urban1k/ --sweep-length 20,77,248
  longclip eval retrieval --data pairs.ndjson --compare longclip-l";

const NOTES: &str = "\
Records are lines of {\"path\": \"a.jpg\", \"text\": \"...\"}; `text` may be a list, and
`image`, `long` and `caption` are names for the same.
Exit codes: 0 all measured, 1 measured without what can't be used, 2 nothing was
measured, 130 interrupted.";

/// A benchmark without its difficult images is another benchmark, so the default here is strict.
const ON_ERROR: &str = "Whether a line, a caption or an image that can't be used ends the run\n\n`fail` measures nothing; `skip` continues \
                        without it, counts it in the protocol and exits with 1 in the end. Example: `--on-error skip`";

/// Measure retrieval: R@1, R@5 and R@10 of texts and of images
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = NOTES, mut_arg("on_error", |flag| flag.default_value("fail").long_help(ON_ERROR)))]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    measure: MeasureFlags,
    #[command(flatten)]
    compare: CompareFlags,
    /// table or json
    ///
    /// The json has the keys of CLIP_benchmark. Example: `--format json`
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    format: PrintFormat,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    encode: EncodeFlags,
    #[command(flatten)]
    model: ModelFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let options = args.data.options();
    let mut written = args.open_report()?;
    let mut lengths = args.measure.sweep_length.clone();
    lengths.sort_unstable();
    lengths.dedup();
    let pairs = Pairs::open(&args.data.data, &options)?;
    if pairs.unusable.len() as u64 > args.encode.run.most_failures() {
        return Err(damaged(&args.data.data, &pairs.unusable).into());
    }
    report_unusable(&pairs.unusable, report);
    let contenders = args.compare.contenders(&args.model, report)?;
    let mut encoded = Vec::new();
    for contender in &contenders {
        let found = args.encode_pictures(contender, &pairs, report)?;
        if found.ended != Ended::AtTheEnd {
            return Ok(found.exit);
        }
        encoded.push(found);
    }
    let pairs = without_unreadable(pairs, &encoded)?;
    warn_of_few(pairs.images.len(), report);
    let measured = contenders.iter().zip(&encoded).map(|(contender, encoded)| {
        let kept = contender.kept(args.encode.embeddings.as_deref(), Some("texts"));
        let mut texts = Texts::open(&contender.loaded, kept.as_deref(), report)?;
        let threads = Threads::new(contender.loaded.plan.n_threads());
        let images = image_embeddings(&pairs, encoded);
        let measuring = Measuring {
            pairs: &pairs,
            options: &options,
            tokenizer: contender.loaded.model.tokenizer(),
            lengths: &lengths,
            monotone: args.measure.monotone,
        };
        let measured = measuring.measure(contender.facts(), &images, |ids| texts.encode(ids), &threads)?;
        Ok(Measured {
            images_per_s: encoded.images_per_s,
            ..measured
        })
    });
    let measured: Vec<Measured> = match measured.collect() {
        Ok(measured) => measured,
        Err(Halt::Broken(error)) => return Err(error),
        Err(Halt::Interrupted) => return Ok(args.interrupted(report)),
    };
    let results = Results {
        data: args.data.data.display().to_string(),
        comparison: args.comparison(&measured, pairs.images.len()),
        measured: &measured,
        pairs: &pairs,
        command: &this_command(),
    };
    let page = written
        .page
        .as_mut()
        .map_or(Ok(()), |file| page::write(file, &results.page()));
    args.format.print(|| results.table(), || results.to_json())?;
    page?;
    Ok(match pairs.unusable.is_empty() {
        true => Exit::Done,
        false => Exit::SomeFailed,
    })
}

/// More of the data can't be used than the run accepts.
fn damaged(data: &Path, problems: &[Unusable]) -> Error {
    // The file's name is at the beginning already.
    let name = format!("{} ", data.display());
    let reported = problems.iter().take(LISTED_MAX).map(|problem| {
        let problem = problem.to_string();
        problem.strip_prefix(&name).map_or(problem.clone(), str::to_owned)
    });
    let mut reported = reported.collect::<Vec<_>>().join("; ");
    if problems.len() > LISTED_MAX {
        reported += &format!("; and {} more", problems.len() - LISTED_MAX);
    }
    let (are, them) = match problems.len() {
        1 => ("1 thing that can't be used".to_owned(), "it"),
        n => (format!("{n} things that can't be used"), "them"),
    };
    Error::usage(
        format!("`{}` has {are}: {reported}", data.display()),
        format!(
            "fix the data, name the folder of its images by `--images`, or skip and count {them} by `--on-error skip`"
        ),
    )
}

/// Recall among few images is always high.
fn warn_of_few(n_pictures: usize, report: Report) {
    if let Some(k) = KS.iter().find(|k| n_pictures <= **k) {
        report.warning(format!(
            "of {n_pictures} images, each is always among the first {k}: R@{k} from texts means nothing"
        ));
    }
}

/// The pairs whose images all models could read.
fn without_unreadable(mut pairs: Pairs, encoded: &[Encoded]) -> Result<Pairs> {
    let is_read = |name: &str| encoded.iter().all(|encoded| encoded.embeddings.get(name).is_some());
    let n_before = pairs.images.len();
    let mut unreadable = Vec::new();
    pairs.images.retain(|captioned| {
        let name = captioned.image.name();
        let is_read = is_read(name);
        if !is_read {
            unreadable.push(Unusable::new(name, "it could not be read"));
        }
        is_read
    });
    if unreadable.len() == n_before {
        let problem = format!("none of {n_before} images could be read");
        return Err(Error::usage(problem, "look at the errors above"));
    }
    pairs.unusable.extend(unreadable);
    Ok(pairs)
}

/// One row per image, in the data's order.
fn image_embeddings(pairs: &Pairs, encoded: &Encoded) -> ImageEmbeddings {
    let rows = pairs.images.iter().map(|captioned| {
        let row = encoded.embeddings.get(captioned.image.name());
        row.expect("images without a row were left out")
    });
    let values = rows.flatten().copied().collect();
    ImageEmbeddings(Embeddings::new(values, encoded.embeddings.embed_dim()))
}

impl Args {
    /// Opens the page of `--report`, which must not be one of the files that the data leads to.
    fn open_report(&self) -> Result<Written> {
        let options = self.data.options();
        self.report.open(&Reads {
            data: std::iter::once(&*self.data.data)
                .chain(self.data.fields.images.as_deref())
                .collect(),
            files: Vec::new(),
            model: &self.model,
            compared: self.compare.model(),
            kept: self.encode.embeddings.as_deref(),
            predictions: None,
            leads_to: &|page| {
                let images = Pairs::open(&self.data.data, &options).map(|pairs| pairs.images);
                let mut images = images.unwrap_or_default().into_iter();
                images.any(|captioned| captioned.image.path().is_some_and(|file| page.is(file)))
            },
        })
    }

    /// Both models, if there are two.
    fn comparison(&self, measured: &[Measured], n_images: usize) -> Option<Comparison> {
        let [first, second] = measured else { return None };
        let models = [first, second].map(|measured| measured.model.clone());
        let metrics = [first, second].map(metrics);
        Some(Comparison::new(models, metrics, n_images, self.compare.bootstrap()))
    }

    fn encode_pictures(&self, contender: &Contender, pairs: &Pairs, report: Report) -> anyhow::Result<Encoded> {
        let pictures: Vec<Image> = pairs.images.iter().map(|captioned| captioned.image.clone()).collect();
        let data = Data {
            name: self.data.data.display().to_string(),
            pictures: &pictures,
            n_unusable: pairs.unusable.len(),
        };
        let kept = contender.kept(self.encode.embeddings.as_deref(), None);
        self.encode.encode(&contender.loaded, &data, kept.as_deref(), report)
    }

    fn interrupted(&self, report: Report) -> Exit {
        if let Some(kept) = &self.encode.embeddings {
            report.note(format!(
                "`{}` keeps what was encoded; run the same command again to continue",
                kept.display()
            ));
        }
        Exit::Interrupted
    }
}
