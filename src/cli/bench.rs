//! `longclip bench`: how fast this machine encodes, on generated input or on your texts, without decoding.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use clap::ValueEnum;
use longclip::Result;
use longclip::labels::files::read_texts;
use longclip::model::speed::{Measurement, Timing};
use longclip::text::Tokens;

use super::Outcome;
use super::model_flags::ModelFlags;
use super::numbers::at_least_one;
use super::print_format::PrintFlags;
use super::report::{Exit, Report};

const EXAMPLES: &str = "\
Examples:
  longclip bench
  longclip bench --model longclip-b --dtype bf16 --batch 1,8 --rounds 9
  longclip bench --texts-file labels.txt --format json";

/// Measure how fast this machine encodes images and texts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// image, text or both
    ///
    /// Which encoder is measured. Example: `--tower image`
    #[arg(long, value_name = "TOWER", default_value = "both")]
    tower: Tower,
    /// Images or texts at once; several are measured in turn
    ///
    /// Example: `--batch 1,8,64`
    #[arg(short, long, value_name = "N", default_value = "1,8", value_delimiter = ',', value_parser = at_least_one::<usize>)]
    batch: Vec<usize>,
    /// Tokens of each text, with start and end token
    ///
    /// Example: `--tokens 9,77,248`
    #[arg(short, long, value_name = "N", default_value = "9", value_delimiter = ',', value_parser = at_least_one::<usize>)]
    tokens: Vec<usize>,
    /// Time these texts, one per line, and no images
    ///
    /// Example: `--texts-file labels.txt`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tower", "batch", "tokens"])]
    texts_file: Option<PathBuf>,
    /// Timed rounds, after one that is not timed
    ///
    /// Example: `--rounds 15`
    #[arg(short, long, value_name = "N", default_value = "7", value_parser = at_least_one::<usize>)]
    rounds: usize,
    #[command(flatten)]
    format: PrintFlags,
    #[command(flatten)]
    model: ModelFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tower {
    Image,
    Text,
    Both,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let loaded = args.model.load(report)?;
    let timing = Timing {
        model: &loaded.model,
        dtype: loaded.dtype(),
        n_threads: loaded.plan.n_threads(),
        rounds: args.rounds,
    };
    let measured = match &args.texts_file {
        Some(file) => vec![of_file(&timing, file)?],
        None => generated(&timing, args)?,
    };
    args.format.print(|| table(&measured), || &measured)?;
    Ok(Exit::Done)
}

fn generated(timing: &Timing<'_>, args: &Args) -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for batch in &args.batch {
        if args.tower != Tower::Text {
            measured.push(timing.images(*batch)?);
        }
        if args.tower != Tower::Image {
            for tokens in &args.tokens {
                measured.push(timing.texts(*batch, *tokens)?);
            }
        }
    }
    Ok(measured)
}

/// Times a file's texts as one batch.
fn of_file(timing: &Timing<'_>, file: &Path) -> anyhow::Result<Measurement> {
    let texts = read_texts(file)?;
    let texts: Vec<Tokens> = texts.iter().map(|text| timing.model.tokenize(text)).collect();
    ensure!(
        !texts.is_empty(),
        "`{}` has no texts; expected one per line",
        file.display()
    );
    let ids: Vec<&[u32]> = texts.iter().map(Tokens::ids).collect();
    Ok(timing.ids(&ids)?)
}

fn table(measured: &[Measurement]) -> String {
    let rows = measured.iter().map(|measured| format!("{measured}\n"));
    format!("{}\n{}", Measurement::HEAD, rows.collect::<String>())
}
