//! `longclip bench`: how fast this machine encodes, on generated input or on your texts, without decoding.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::ensure;
use clap::ValueEnum;
use longclip::Result;
use longclip::labels::files::read_texts;
use longclip::model::{image_flop, text_flop};
use longclip::preprocess::Pixels;
use longclip::text::Tokens;
use serde::Serialize;

use super::Outcome;
use super::model_flags::{Loaded, ModelFlags};
use super::numbers::at_least_one;
use super::print_format::PrintFormat;
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
    /// table or json
    ///
    /// Example: `--format json`
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: PrintFormat,
    #[command(flatten)]
    model: ModelFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tower {
    Image,
    Text,
    Both,
}

/// One measured case.
#[derive(Debug, Serialize)]
struct Measurement {
    tower: &'static str,
    dtype: &'static str,
    batch: usize,
    tokens: usize,
    threads: usize,
    rounds: usize,
    ms_median: f64,
    ms_min: f64,
    items_per_s: f64,
    gflops: f64,
    peak_rss_mib: Option<f64>,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let loaded = args.model.load(report)?;
    let measured = match &args.texts_file {
        Some(file) => vec![bench_file(&loaded, args, file)?],
        None => bench_synthetic(&loaded, args)?,
    };
    args.format.print(|| table(&measured), || &measured)?;
    Ok(Exit::Done)
}

fn bench_synthetic(loaded: &Loaded, args: &Args) -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for batch in &args.batch {
        if args.tower != Tower::Text {
            measured.push(bench_images(loaded, args, *batch)?);
        }
        if args.tower != Tower::Image {
            for tokens in &args.tokens {
                let tokens = (*tokens).min(loaded.model.sizes().context_length);
                measured.push(bench_texts(loaded, args, *batch, tokens)?);
            }
        }
    }
    Ok(measured)
}

/// Times a file's texts as one batch, the tokenizer's work not among it.
fn bench_file(loaded: &Loaded, args: &Args, file: &Path) -> anyhow::Result<Measurement> {
    let texts: Vec<Tokens> = read_texts(file)?
        .iter()
        .map(|text| loaded.model.tokenize(text))
        .collect();
    ensure!(
        !texts.is_empty(),
        "`{}` has no texts; expected one per line",
        file.display()
    );
    let ids: Vec<&[u32]> = texts.iter().map(Tokens::ids).collect();
    let ms = timed(args.rounds, || loaded.model.encode_token_ids(&ids).map(|_| ()))?;
    let longest = ids.iter().map(|ids| ids.len()).max().unwrap_or(0);
    let flop = ids.iter().map(|ids| text_flop(loaded.model.sizes(), ids.len())).sum();
    Ok(measurement("text", loaded, ids.len(), longest, flop, &ms))
}

fn bench_images(loaded: &Loaded, args: &Args, batch: usize) -> Result<Measurement> {
    let resolution_px = loaded.model.sizes().image_resolution_px;
    let pictures = (0..batch)
        .map(|i| Pixels::from_normalised(noise(i as u32, 3 * resolution_px * resolution_px), resolution_px))
        .collect::<Result<Vec<Pixels>>>()?;
    let ms = timed(args.rounds, || loaded.model.encode_images(&pictures).map(|_| ()))?;
    Ok(measurement(
        "image",
        loaded,
        batch,
        loaded.model.sizes().image_tokens(),
        batch as f64 * image_flop(loaded.model.sizes()),
        &ms,
    ))
}

fn bench_texts(loaded: &Loaded, args: &Args, batch: usize, tokens: usize) -> Result<Measurement> {
    let end = loaded.model.sizes().vocab_size as u32 - 1;
    let texts: Vec<Vec<u32>> = (0..batch as u32)
        .map(|i| {
            (1..tokens as u32)
                .map(|j| (i * 31 + j * 17) % end)
                .chain([end])
                .collect()
        })
        .collect();
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let ms = timed(args.rounds, || loaded.model.encode_token_ids(&texts).map(|_| ()))?;
    Ok(measurement(
        "text",
        loaded,
        batch,
        tokens,
        batch as f64 * text_flop(loaded.model.sizes(), tokens),
        &ms,
    ))
}

/// Milliseconds of each round, shortest first; the first run, which prepares the tower, is not among them.
fn timed(rounds: usize, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    work()?;
    let mut ms = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        work()?;
        ms.push(start.elapsed().as_secs_f64() * 1e3);
    }
    ms.sort_by(f64::total_cmp);
    Ok(ms)
}

fn measurement(
    tower: &'static str,
    loaded: &Loaded,
    batch: usize,
    tokens: usize,
    flop: f64,
    ms: &[f64],
) -> Measurement {
    let ms_median = ms[ms.len() / 2];
    Measurement {
        tower,
        dtype: loaded.dtype(),
        batch,
        tokens,
        threads: loaded.plan.n_threads(),
        rounds: ms.len(),
        ms_median,
        ms_min: ms[0],
        items_per_s: batch as f64 / ms_median * 1e3,
        gflops: flop / ms_median / 1e6,
        peak_rss_mib: peak_rss_mib(),
    }
}

/// Values from -2 to 2, the same in each run (xorshift32).
fn noise(seed: u32, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    (0..n).map(|_| next() as f32 / u32::MAX as f32 * 4.0 - 2.0).collect()
}

/// The most memory that this process has had, if the system says.
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}

fn table(measured: &[Measurement]) -> String {
    let head = "tower  dtype  batch  tokens  threads  median ms     min ms    items/s  GFLOP/s  peak MiB\n";
    let line = |m: &Measurement| {
        format!(
            "{:<5}  {:<5}  {:>5}  {:>6}  {:>7}  {:>9.2}  {:>9.2}  {:>9.1}  {:>7.1}  {:>8.0}\n",
            m.tower,
            m.dtype,
            m.batch,
            m.tokens,
            m.threads,
            m.ms_median,
            m.ms_min,
            m.items_per_s,
            m.gflops,
            m.peak_rss_mib.unwrap_or(f64::NAN)
        )
    };
    measured
        .iter()
        .map(line)
        .fold(head.to_owned(), |text, line| text + &line)
}
