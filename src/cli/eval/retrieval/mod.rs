//! `longclip eval retrieval --data D`: measures how well captions find their images, and images their captions.

mod comparison;
mod flags;
mod measured;
mod page;
mod results;

use std::path::Path;

use longclip::data::{Image, Unusable};
use longclip::eval::retrieval::Pairs;
use longclip::session::Ended;
use longclip::{Error, Result};

use self::flags::{DataFlags, MeasureFlags};
use self::measured::{KS, Measured, Measuring};
use self::results::Results;
use super::compare::{CompareFlags, Contender, labels};
use super::encode::{Data, EncodeFlags, Encoded, report_unusable};
use super::page::{Reads, ReportFlags};
use super::texts::Halt;
use crate::cli::Outcome;
use crate::cli::model_flags::ModelFlags;
use crate::cli::print_format::PrintFormat;
use crate::cli::report::{Exit, LISTED_MAX, Report};

const EXAMPLES: &str = "\
Examples:
  longclip eval retrieval --data pairs.ndjson
  longclip eval retrieval --data Urban1k/ --model longclip-b --sweep-length 5,10,20,40,80,160,248
  longclip eval retrieval --data annotations/captions_val2017.json --images val2017/ --format json
  longclip eval retrieval --data pairs.ndjson --monotone --compare longclip-b --embeddings kept --report page.html

Records are lines of {\"path\": \"a.jpg\", \"text\": \"...\"}; `text` may be a list, and `image`, `long` and `caption` are names for the same.
Exit codes: 0 all measured, 1 measured without what can't be used, 2 nothing was measured, 130 interrupted.";

/// A benchmark without its difficult images is another benchmark, so the default here is strict.
const ON_ERROR: &str = "What a line, a caption or a picture that can't be used means: `fail` measures nothing, `skip` goes on without it, counts it \
                        in the protocol and exits with 1 in the end";

/// Measure retrieval: R@1, R@5 and R@10 from texts to pictures and back, by length, against another model
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("on_error", |flag| flag.default_value("fail").hide_short_help(false).help(ON_ERROR)))]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    measure: MeasureFlags,
    #[command(flatten)]
    compare: CompareFlags,
    /// How results are printed; json has the keys of CLIP_benchmark
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
    let mut page = args.report.open(&Reads {
        data: std::iter::once(&*args.data.data)
            .chain(args.data.images.as_deref())
            .collect(),
        files: Vec::new(),
        model: &args.model,
        compared: args.compare.model(),
        kept: args.encode.embeddings.as_deref(),
    })?;
    let options = args.data.options();
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
        let measuring = Measuring {
            loaded: &contender.loaded,
            pairs: &pairs,
            lengths: &lengths,
            asks_monotone: args.measure.monotone,
            kept: contender.kept(args.encode.embeddings.as_deref(), Some("texts")),
            report,
        };
        measuring.measure(encoded, &options)
    });
    let measured: Vec<Measured> = match measured.collect() {
        Ok(measured) => measured,
        Err(Halt::Broken(error)) => return Err(error),
        Err(Halt::Interrupted) => return Ok(args.interrupted(report)),
    };
    let results = Results {
        data: args.data.data.display().to_string(),
        contenders: &contenders,
        labels: labels(&contenders),
        measured: &measured,
        comparison: comparison::compare(&contenders, &measured, args.compare.bootstrap()),
        pairs: &pairs,
    };
    let page = page.as_mut().map_or(Ok(()), |file| page::write(file, &results));
    results.print(args.format)?;
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
            "of {n_pictures} pictures, each is among the first {k} whatever a model says: R@{k} from texts means nothing here"
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
        let problem = format!("none of {n_before} pictures could be read");
        return Err(Error::usage(problem, "look at the errors above"));
    }
    pairs.unusable.extend(unreadable);
    Ok(pairs)
}

impl Args {
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
