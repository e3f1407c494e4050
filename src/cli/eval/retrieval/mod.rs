//! `longclip eval retrieval --data D`: how captions find their pictures, and pictures their captions.

mod comparison;
mod flags;
mod measured;
mod page;
mod told;

use std::path::{Path, PathBuf};

use longclip::eval::retrieval::Pairs;
use longclip::eval::{Picture, Unusable, in_words};
use longclip::{Error, Result};

use self::flags::{DataFlags, MeasureFlags};
use self::measured::{KS, Measured, Measuring};
use self::told::Told;
use super::Format;
use super::compare::{CompareFlags, Contender, labels};
use super::encode::{Data, EncodeFlags, Encoded, tell_unusable};
use super::page::ReportFlags;
use super::texts::Halt;
use crate::cli::Outcome;
use crate::cli::model_flags::ModelFlags;
use crate::cli::report::{Exit, Report};
use crate::cli::tally::Ended;

const EXAMPLES: &str = "\
Examples:
  longclip eval retrieval --data pairs.ndjson
  longclip eval retrieval --data Urban1k/ --model longclip-b --sweep-length 5,10,20,40,80,160,248
  longclip eval retrieval --data annotations/captions_val2017.json --images val2017/ --format json
  longclip eval retrieval --data pairs.ndjson --monotone --compare longclip-b --embeddings kept --report page.html

Records are lines of {\"path\": \"a.jpg\", \"text\": \"...\"}; `text` may be a list, and `image`, `long` and `caption` are names for the same.
Exit codes: 0 all measured, 1 measured without what can't be used, 2 nothing was measured, 130 interrupted.";

/// A benchmark without its difficult pictures is another benchmark: here the default is the strict one.
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
    /// How results are printed
    #[arg(short, long, value_name = "FORMAT", default_value = "table", help_heading = "Output")]
    format: Format,
    #[command(flatten)]
    report: ReportFlags,
    #[command(flatten)]
    encode: EncodeFlags,
    #[command(flatten)]
    model: ModelFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let data: Vec<&Path> = [&args.data.data]
        .into_iter()
        .chain(&args.data.images)
        .map(PathBuf::as_path)
        .collect();
    let mut page = args
        .report
        .open(&data, &args.model, args.encode.embeddings.as_deref())?;
    let options = args.data.options(args.encode.run.most_failures());
    let mut lengths = args.measure.sweep_length.clone();
    lengths.sort_unstable();
    lengths.dedup();
    let pairs = Pairs::open(&args.data.data, &options)?;
    tell_unusable(&pairs.left_out, report);
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
    warn_of_few(pairs.pictures.len(), report);
    let measured = contenders.iter().zip(&encoded).map(|(contender, encoded)| {
        let measuring = Measuring {
            loaded: contender.loaded(),
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
    let told = Told {
        data: args.data.data.display().to_string(),
        contenders: &contenders,
        labels: labels(&contenders),
        measured: &measured,
        comparison: comparison::compare(&contenders, &measured, args.compare.bootstrap()),
        pairs: &pairs,
    };
    let page = page.as_mut().map_or(Ok(()), |file| page::write(file, &told));
    told.print(args.format)?;
    page?;
    Ok(match pairs.left_out.is_empty() {
        true => Exit::Done,
        false => Exit::SomeFailed,
    })
}

/// Among few pictures all are found.
fn warn_of_few(n_pictures: usize, report: Report) {
    if let Some(k) = KS.iter().find(|k| n_pictures <= **k) {
        report.warning(format!(
            "of {n_pictures} pictures, each is among the first {k} whatever a model says: R@{k} from texts means nothing here"
        ));
    }
}

/// The pairs whose pictures all models could read.
fn without_unreadable(mut pairs: Pairs, encoded: &[Encoded]) -> Result<Pairs> {
    let is_read = |name: &str| encoded.iter().all(|encoded| encoded.embeddings.get(name).is_some());
    let n_before = pairs.pictures.len();
    let mut unreadable = Vec::new();
    pairs.pictures.retain(|picture| {
        let name = in_words(picture.path.as_os_str());
        let is_read = is_read(&name);
        if !is_read {
            unreadable.push(Unusable::new(name, "it could not be read"));
        }
        is_read
    });
    if unreadable.len() == n_before {
        let problem = format!("none of {n_before} pictures could be read");
        return Err(Error::usage(problem, "look at the errors above"));
    }
    pairs.left_out.extend(unreadable);
    Ok(pairs)
}

impl Args {
    fn encode_pictures(&self, contender: &Contender, pairs: &Pairs, report: Report) -> anyhow::Result<Encoded> {
        let pictures: Vec<Picture> = pairs
            .pictures
            .iter()
            .map(|picture| Picture::file(picture.path.clone()))
            .collect();
        let data = Data {
            name: self.data.data.display().to_string(),
            pictures: &pictures,
            n_unusable: pairs.left_out.len(),
        };
        let kept = contender.kept(self.encode.embeddings.as_deref(), None);
        self.encode.encode(&contender.loaded(), &data, kept.as_deref(), report)
    }

    fn interrupted(&self, report: Report) -> Exit {
        if let Some(kept) = &self.encode.embeddings {
            report.note(format!(
                "`{}` keeps what was encoded; the same command goes on with it",
                kept.display()
            ));
        }
        Exit::Interrupted
    }
}
