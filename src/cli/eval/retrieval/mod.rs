//! `longclip eval retrieval --data D`: measures how well captions find their images, and images their captions.

mod flags;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use longclip::data::{Image, Unusable};
use longclip::eval::Embeddings;
use longclip::eval::comparison::Comparison;
use longclip::eval::retrieval::{KS, Measured, Measuring, Pairs, Results, metrics};
use longclip::kernels::Threads;
use longclip::session::evaluation::{Halt, Texts};
use longclip::{Error, Result};

use self::flags::{DataFlags, MeasureFlags};
use super::compare::{CompareFlags, Contender};
use super::encode::{Data, EncodeFlags, Encoded, report_unusable, say_what_is_kept, things};
use super::page::{Reads, ReportFlags, Written};
use crate::cli::Outcome;
use crate::cli::input_flags::to_one_square;
use crate::cli::interrupt::stop_on_interrupt;
use crate::cli::progress::BETWEEN_LINES;
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
#[command(after_help = EXAMPLES, after_long_help = NOTES, mut_arg("fit", to_one_square), mut_arg("on_error", |flag| flag.default_value("fail").long_help(ON_ERROR)))]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    measure: MeasureFlags,
    #[command(flatten)]
    compare: CompareFlags,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    encode: EncodeFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let one = args.encode.one_view()?;
    let mut written = args.open_report()?;
    let pairs = Pairs::open(&args.data.data, &args.data.options())?;
    if pairs.unusable.len() as u64 > args.encode.most_failures() {
        return Err(damaged(&args.data.data, &pairs.unusable).into());
    }
    report_unusable(&pairs.unusable, report);
    let contenders = args.compare.contenders(&args.encode.encoding.model, report)?;
    let data_name = args.data.data.display().to_string();
    let images: Vec<Image> = pairs.images.iter().map(|captioned| captioned.image.clone()).collect();
    let images = Data {
        name: data_name.clone(),
        images: &images,
        n_unusable: pairs.unusable.len(),
        one,
    };
    let encoded = match args.encode.encode_all(&contenders, &images, report)? {
        ControlFlow::Continue(encoded) => encoded,
        ControlFlow::Break(exit) => return Ok(exit),
    };
    let embeddings: Vec<&Embeddings> = encoded.iter().map(|encoded| &encoded.embeddings).collect();
    let pairs = pairs.read_by(&embeddings)?;
    warn_of_few(pairs.images.len(), report);
    let measured = match args.measure(&contenders, &encoded, &pairs, report) {
        Ok(measured) => measured,
        Err(Halt::Broken(error)) => return Err(error.into()),
        Err(Halt::Interrupted) => {
            say_what_is_kept(args.encode.embeddings.as_deref(), report);
            return Ok(Exit::Interrupted);
        }
    };
    let compared = measured
        .iter()
        .map(|measured| (measured.model.clone(), metrics(measured)));
    let results = Results {
        data: data_name,
        comparison: Comparison::of_two(compared.collect(), pairs.images.len(), args.compare.bootstrap()),
        measured: &measured,
        pairs: &pairs,
        command: &this_command(),
    };
    let page = written.write_page(|| results.page());
    args.report.format.print(|| results.table(), || results.to_json())?;
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
    let (things, them) = things(problems.len());
    Error::usage(
        format!("`{}` has {things} that can't be used: {reported}", data.display()),
        format!(
            "fix the data, name the folder of its images by `--images`, or skip and count {them} by `--on-error skip`"
        ),
    )
}

/// Recall among few images is always high.
fn warn_of_few(n_images: usize, report: Report) {
    if let Some(k) = KS.iter().find(|k| n_images <= **k) {
        report.warning(format!(
            "of {n_images} images, each is always among the first {k}: R@{k} from texts means nothing"
        ));
    }
}

/// Reports every half minute how many texts are encoded.
fn every_half_minute(report: Report) -> impl FnMut(usize, usize) {
    let mut last_line = Instant::now();
    move |n_done, n_all| {
        if last_line.elapsed() >= BETWEEN_LINES {
            last_line = Instant::now();
            report.note(format!("{n_done} of {n_all} texts encoded"));
        }
    }
}

impl Args {
    /// Measures each model by its embeddings of the images, and of the texts, which are encoded here.
    fn measure(
        &self,
        contenders: &[Contender],
        encoded: &[Encoded],
        pairs: &Pairs,
        report: Report,
    ) -> std::result::Result<Vec<Measured>, Halt> {
        let options = self.data.options();
        let mut lengths = self.measure.sweep_length.clone();
        lengths.sort_unstable();
        lengths.dedup();
        let measured = contenders.iter().zip(encoded).map(|(contender, encoded)| {
            let loaded = &contender.loaded;
            let kept = contender.kept(self.encode.embeddings.as_deref(), Some("texts"));
            let mut texts = Texts::of(loaded, kept.as_deref(), stop_on_interrupt())?;
            let mut tell = every_half_minute(report);
            let threads = Threads::new(loaded.plan.n_threads());
            let images = pairs.image_embeddings(&encoded.embeddings);
            let measuring = Measuring {
                pairs,
                options: &options,
                tokenizer: loaded.model.tokenizer(),
                lengths: &lengths,
                monotone: self.measure.monotone,
            };
            let encode = |ids: &[Vec<u32>]| texts.encode(ids, &mut tell);
            let measured = measuring.measure(loaded.facts(), &images, encode, &threads)?;
            Ok(Measured {
                images_per_s: encoded.images_per_s,
                ..measured
            })
        });
        measured.collect()
    }

    /// Opens the page of `--report`, which must not be one of the files that the data leads to.
    fn open_report(&self) -> Result<Written> {
        let options = self.data.options();
        self.report.open(&Reads {
            data: std::iter::once(&*self.data.data)
                .chain(self.data.fields.images.as_deref())
                .collect(),
            files: Vec::new(),
            model: &self.encode.encoding.model,
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
}
