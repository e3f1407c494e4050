//! `longclip bench`: how fast this machine encodes, on synthetic input or on a person's texts, without decoding.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::ensure;
use clap::ValueEnum;
use longclip::Result;
use longclip::labels::files::read_texts;
use longclip::model::LongClip;
use longclip::preprocess::Pixels;
use longclip::text::Tokens;
use longclip::weights::Sizes;
use serde::Serialize;

use super::Outcome;
use super::model_flags::ModelFlags;
use super::numbers::at_least_one;
use super::report::{Exit, Report};

const EXAMPLES: &str = "\
Examples:
  longclip bench
  longclip bench --model longclip-b --dtype bf16 --batch 1,8 --rounds 9
  longclip bench --tower text --batch 80 --tokens 9 --format json
  longclip bench --texts-file labels.txt";

/// Measure how fast this machine encodes pictures and texts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Which encoder
    #[arg(long, value_name = "TOWER", default_value = "both")]
    tower: Tower,
    /// Pictures or texts at once
    #[arg(short, long, value_name = "N", default_value = "1,8", value_delimiter = ',', value_parser = at_least_one::<usize>)]
    batch: Vec<usize>,
    /// Tokens of each text, start and end token among them
    #[arg(short, long, value_name = "N", default_value = "9", value_delimiter = ',', value_parser = at_least_one::<usize>)]
    tokens: Vec<usize>,
    /// Time these texts, one a line, in place of made-up ones and of pictures
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tower", "batch", "tokens"])]
    texts_file: Option<PathBuf>,
    /// Timed rounds, behind one that is not
    #[arg(short, long, value_name = "N", default_value = "7", value_parser = at_least_one::<usize>)]
    rounds: usize,
    /// How to print
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    format: FormatName,
    #[command(flatten)]
    model: ModelFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tower {
    Image,
    Text,
    Both,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    Table,
    Json,
}

/// One measured case.
#[derive(Debug, Serialize)]
struct Measurement {
    tower: &'static str,
    dtype: String,
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
    let model = args.model.load(report)?;
    let measured = match &args.texts_file {
        Some(file) => vec![bench_file(&model, args, file)?],
        None => bench_synthetic(&model, args)?,
    };
    let mut out = io::stdout().lock();
    match args.format {
        FormatName::Json => writeln!(out, "{}", serde_json::to_string_pretty(&measured)?)?,
        FormatName::Table => write_table(&mut out, &measured)?,
    }
    Ok(Exit::Done)
}

fn bench_synthetic(model: &LongClip, args: &Args) -> Result<Vec<Measurement>> {
    let mut measured = Vec::new();
    for batch in &args.batch {
        if args.tower != Tower::Text {
            measured.push(bench_images(model, args, *batch)?);
        }
        if args.tower != Tower::Image {
            for tokens in &args.tokens {
                let tokens = (*tokens).min(model.sizes().context_length);
                measured.push(bench_texts(model, args, *batch, tokens)?);
            }
        }
    }
    Ok(measured)
}

/// Times a file's texts as one batch, the tokenizer's work not among it.
fn bench_file(model: &LongClip, args: &Args, file: &Path) -> anyhow::Result<Measurement> {
    let texts: Vec<Tokens> = read_texts(file)?.iter().map(|text| model.tokenize(text)).collect();
    ensure!(
        !texts.is_empty(),
        "`{}` has no texts; expected one a line",
        file.display()
    );
    let ids: Vec<&[u32]> = texts.iter().map(Tokens::ids).collect();
    let ms = timed(args.rounds, || model.encode_token_ids(&ids).map(|_| ()))?;
    let longest = ids.iter().map(|ids| ids.len()).max().unwrap_or(0);
    let flop = ids.iter().map(|ids| text_flop(model.sizes(), ids.len())).sum();
    Ok(measurement("text", args, ids.len(), longest, flop, &ms))
}

fn bench_images(model: &LongClip, args: &Args, batch: usize) -> Result<Measurement> {
    let resolution_px = model.sizes().image_resolution_px;
    let pictures = (0..batch)
        .map(|i| Pixels::from_normalised(noise(i as u32, 3 * resolution_px * resolution_px), resolution_px))
        .collect::<Result<Vec<Pixels>>>()?;
    let ms = timed(args.rounds, || model.encode_images(&pictures).map(|_| ()))?;
    Ok(measurement(
        "image",
        args,
        batch,
        model.sizes().image_tokens(),
        batch as f64 * image_flop(model.sizes()),
        &ms,
    ))
}

fn bench_texts(model: &LongClip, args: &Args, batch: usize, tokens: usize) -> Result<Measurement> {
    let end = model.sizes().vocab_size as u32 - 1;
    let texts: Vec<Vec<u32>> = (0..batch as u32)
        .map(|i| {
            (1..tokens as u32)
                .map(|j| (i * 31 + j * 17) % end)
                .chain([end])
                .collect()
        })
        .collect();
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let ms = timed(args.rounds, || model.encode_token_ids(&texts).map(|_| ()))?;
    Ok(measurement(
        "text",
        args,
        batch,
        tokens,
        batch as f64 * text_flop(model.sizes(), tokens),
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

fn measurement(tower: &'static str, args: &Args, batch: usize, tokens: usize, flop: f64, ms: &[f64]) -> Measurement {
    let ms_median = ms[ms.len() / 2];
    Measurement {
        tower,
        dtype: args.model.dtype_name(),
        batch,
        tokens,
        threads: args.model.thread_count(),
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

/// Operations of a tower's blocks on one sequence, products and sums counted apart. The last block computes keys and
/// values of all rows, and the rest for one.
fn blocks_flop(n: f64, width: f64, mlp_dim: f64, layers: f64) -> f64 {
    let a_row = |attended: f64| 2.0 * (2.0 * width * width + 2.0 * width * mlp_dim + 2.0 * attended * width);
    let keys_and_values = 4.0 * width * width;
    (layers - 1.0) * n * (a_row(n) + keys_and_values) + n * keys_and_values + a_row(n)
}

fn image_flop(sizes: &Sizes) -> f64 {
    let (width, patches) = (sizes.vision_width as f64, (sizes.grid() * sizes.grid()) as f64);
    let ends =
        2.0 * patches * width * (3 * sizes.patch_px * sizes.patch_px) as f64 + 2.0 * width * sizes.embed_dim as f64;
    ends + blocks_flop(
        patches + 1.0,
        width,
        sizes.vision_mlp_dim as f64,
        sizes.vision_layers as f64,
    )
}

fn text_flop(sizes: &Sizes, tokens: usize) -> f64 {
    let width = sizes.text_width as f64;
    2.0 * width * sizes.embed_dim as f64
        + blocks_flop(
            tokens as f64,
            width,
            sizes.text_mlp_dim as f64,
            sizes.text_layers as f64,
        )
}

/// The most memory that this process has had, where the system tells.
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}

fn write_table(out: &mut dyn Write, measured: &[Measurement]) -> io::Result<()> {
    writeln!(
        out,
        "tower  dtype  batch  tokens  threads  median ms     min ms    items/s  GFLOP/s  peak MiB"
    )?;
    for m in measured {
        writeln!(
            out,
            "{:<5}  {:<5}  {:>5}  {:>6}  {:>7}  {:>9.2}  {:>9.2}  {:>9.1}  {:>7.1}  {:>8.0}",
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
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vit_b_16_is_known_to_take_35_gigaflop_before_the_last_block_is_cut() {
        let (n, width): (f64, f64) = (197.0, 768.0);
        let whole = 12.0 * n * (2.0 * 12.0 * width * width + 4.0 * n * width);
        let cut = blocks_flop(n, width, 4.0 * width, 12.0);
        assert!((whole / 1e9 - 34.9).abs() < 0.1, "{whole}");
        assert!((1.0 - cut / whole - 0.069).abs() < 0.005, "{}", 1.0 - cut / whole);
    }
}
