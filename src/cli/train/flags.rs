//! The flags of a training: the model to start from, the data, the method, and the run folder.

use std::convert::Infallible;
use std::path::PathBuf;

use candle_core::DType;
use clap::ValueEnum;
use longclip::model::DeviceChoice;
use longclip::train::gradients::Kept;
use longclip::train::optimizer::AdamWSettings;
use longclip::train::pcm::Matching;
use longclip::train::run::Start;
use longclip::{Error, Result};

use crate::cli::model_flags::{ReadingFlags, parse_device};
use crate::cli::numbers::{at_least_one, number};
use crate::cli::targets::ForceFlag;

/// Where the weights come from, and what computes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub(super) struct StartFlags {
    /// The model to start from
    ///
    /// A known name, a file, a folder, or OWNER/REPO of the hub; a 77-token CLIP is stretched to 248. Example: `--base
    /// longclip-b`
    #[arg(long, value_name = "MODEL", required_unless_present = "init")]
    pub(super) base: Option<String>,
    /// Start from random weights with these sizes
    ///
    /// Those in a config of open_clip or transformers. Example: `--init config.json`
    #[arg(long, value_name = "CONFIG.json", conflicts_with_all = ["base", "no_stretch", "positions", "ignore_surplus"])]
    pub(super) init: Option<PathBuf>,
    #[command(flatten)]
    pub(super) reading: ReadingFlags,
    /// Where to compute: cpu, cuda[:N] or metal[:N]
    ///
    /// GPUs need a build with `--features cuda` or `metal`. Example: `--device cuda`
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    pub(super) device: DeviceChoice,
    /// Numbers that the towers compute with
    ///
    /// bf16 on a GPU only; weights, losses and the optimizer stay in f32. Example: `--dtype bf16`
    #[arg(long, value_name = "TYPE", default_value = "f32", hide_short_help = true)]
    pub(super) dtype: Dtype,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Dtype {
    F32,
    /// On a GPU only
    Bf16,
}

impl Dtype {
    pub(super) fn of(self, device: DeviceChoice) -> Result<DType> {
        match (self, device) {
            (Dtype::F32, _) => Ok(DType::F32),
            (Dtype::Bf16, DeviceChoice::Cpu) => Err(Error::usage(
                "training in bf16 is for GPUs",
                "leave out `--dtype`, or name a `--device`",
            )),
            (Dtype::Bf16, _) => Ok(DType::BF16),
        }
    }
}

/// The data to train and to validate on.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Data")]
pub(super) struct DataFlags {
    /// Images with captions; several are combined
    ///
    /// See below for the kinds of data. Example: `--data captions.ndjson shards/`
    #[arg(long, value_name = "DATA", required = true, num_args = 1..)]
    pub(super) data: Vec<PathBuf>,
    /// Validate on these images
    ///
    /// R@1 with long and short captions, and zero-shot top-1 if there are classes. Example: `--val-data val.ndjson`
    #[arg(long, value_name = "DATA", num_args = 1..)]
    pub(super) val_data: Vec<PathBuf>,
    /// The folder that paths in records are relative to
    ///
    /// [default: that of the record file] Example: `--images photos/`
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(super) images: Option<PathBuf>,
    /// How names of classes become captions
    ///
    /// A template with `{}`, a file of templates, imagenet7 or imagenet80 [default: `a photo of a {}.`]. Example:
    /// `--templates imagenet7`
    #[arg(long, value_name = "TEMPLATES", hide_short_help = true)]
    pub(super) templates: Option<String>,
}

/// The training method.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Method")]
pub(super) struct MethodFlags {
    /// Total number of steps
    ///
    /// [default: one epoch] Example: `--steps 1000`
    #[arg(long, value_name = "N", conflicts_with = "epochs")]
    pub(super) steps: Option<u64>,
    /// Passes over the data
    ///
    /// Example: `--epochs 6`
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>)]
    pub(super) epochs: Option<u64>,
    /// Samples that a step compares with each other
    ///
    /// More are better; the paper has 2048. Example: `--batch 256`
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one::<usize>)]
    pub(super) batch: usize,
    /// Samples that are computed at once
    ///
    /// Fewer take less memory but one more forward pass, with the same result [default: as many as fit into a quarter
    /// of the free memory]. Example: `--micro-batch 16`
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    pub(super) micro_batch: Option<usize>,
    /// Less memory, for one more forward pass
    ///
    /// Keeps only what goes into each block, and computes the rest again on the way back. The result is the same.
    #[arg(hide_short_help = true, long)]
    grad_checkpointing: bool,
    /// The highest learning rate
    ///
    /// Above 0. Example: `--lr 5e-6`
    #[arg(long, value_name = "X", default_value = "1e-6", value_parser = positive)]
    pub(super) lr: f64,
    /// Steps in which the rate rises
    ///
    /// It falls as a cosine after that. Example: `--warmup 50`
    #[arg(hide_short_help = true, long, value_name = "N", default_value_t = 200)]
    pub(super) warmup: u64,
    /// The share of each weight to subtract per step
    ///
    /// Times the rate. At least 0. Example: `--weight-decay 0.1`
    #[arg(long, value_name = "X", default_value = "0.01", value_parser = not_negative, hide_short_help = true)]
    pub(super) weight_decay: f64,
    /// AdamW's two betas
    ///
    /// Each from 0 to below 1. Example: `--betas 0.9,0.98`
    #[arg(long, value_name = "A,B", default_value = "0.9,0.999", value_parser = betas, hide_short_help = true)]
    betas: Betas,
    /// AdamW's epsilon
    ///
    /// Above 0. Example: `--epsilon 1e-6`
    #[arg(long, value_name = "X", default_value = "1e-8", value_parser = positive, hide_short_help = true)]
    epsilon: f64,
    /// The share of each target spread over the batch
    ///
    /// From 0 to below 1. Example: `--label-smoothing 0`
    #[arg(long, value_name = "X", default_value = "0.1", value_parser = below_one, hide_short_help = true)]
    label_smoothing: f64,
    /// Principal components for short captions
    ///
    /// Short captions are matched with this many components of their image. Example: `--components 16`
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least_one::<usize>, conflicts_with = "no_pcm", hide_short_help = true)]
    components: usize,
    /// Train on long captions alone
    ///
    /// Without primary component matching.
    #[arg(long, hide_short_help = true)]
    no_pcm: bool,
    /// The logarithm of the initial inverse temperature
    ///
    /// [default: 4.6052; 2.6593 with `--init`] Example: `--logit-scale 4.0`
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true, hide_short_help = true)]
    pub(super) logit_scale: Option<f64>,
    /// Don't train tensors with these prefixes
    ///
    /// Of upstream's names. Example: `--freeze visual.,logit_scale`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = trimmed, hide_short_help = true)]
    pub(super) freeze: Vec<String>,
    /// Validate and save a running mean of the weights
    ///
    /// Each step keeps this share of it; from 0 to below 1. Example: `--ema 0.999`
    #[arg(hide_short_help = true, long, value_name = "DECAY", value_parser = below_one)]
    pub(super) ema: Option<f64>,
    /// Order of samples, and fresh weights
    ///
    /// The same seed gives the same training. Example: `--seed 1`
    #[arg(hide_short_help = true, long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u64,
}

impl MethodFlags {
    pub(super) fn adamw(&self) -> AdamWSettings {
        let Betas(beta_1, beta_2) = self.betas;
        AdamWSettings {
            beta_1,
            beta_2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
        }
    }

    pub(super) fn kept(&self) -> Kept {
        match self.grad_checkpointing {
            true => Kept::BlockInputs,
            false => Kept::Activations,
        }
    }

    pub(super) fn matching(&self) -> Matching {
        Matching {
            components: (!self.no_pcm).then_some(self.components),
            label_smoothing: self.label_smoothing,
        }
    }
}

/// AdamW's two betas: the share of each mean that a step keeps.
#[derive(Debug, Clone, Copy)]
struct Betas(f64, f64);

/// Where and how often a training is saved.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Run")]
pub(super) struct RunFlags {
    /// The run folder
    ///
    /// Example: `--out run`
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Resume the training in the run folder
    ///
    /// Starts it if there is none. Give the same flags as before. Example: `--out run --resume`
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    #[command(flatten)]
    pub(super) force: ForceFlag,
    /// Validate every N steps
    ///
    /// And always before the first step and after the last one. Example: `--validate-every 500`
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>)]
    pub(super) validate_every: Option<u64>,
    /// Save the state every N steps
    ///
    /// This is the most that a killed training loses. Example: `--save-every 20`
    #[arg(long, value_name = "N", default_value = "100", value_parser = at_least_one::<u64>)]
    pub(super) save_every: u64,
    /// Threads that read and decode images ahead
    ///
    /// From 1 to 1024 [default: physical cores]. Example: `--threads 8`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), hide_short_help = true)]
    pub(super) threads: Option<u16>,
}

impl RunFlags {
    /// What becomes of a training that the run folder holds.
    pub(super) fn start(&self) -> Start {
        match (self.resume, self.force.force) {
            (true, _) => Start::Resumed,
            (false, true) => Start::InPlace,
            (false, false) => Start::Anew,
        }
    }
}

fn trimmed(text: &str) -> std::result::Result<String, Infallible> {
    Ok(text.trim().to_owned())
}

fn betas(text: &str) -> std::result::Result<Betas, String> {
    let parsed = text
        .split_once(',')
        .map(|(first, second)| (below_one(first), below_one(second)));
    match parsed {
        Some((Ok(first), Ok(second))) => Ok(Betas(first, second)),
        _ => Err("expected two numbers from 0 to below 1, as in `0.9,0.999`".to_owned()),
    }
}

fn finite(text: &str) -> std::result::Result<f64, String> {
    number(text, |x: &f64| x.is_finite(), "a number")
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    number(text, |x: &f64| x.is_finite() && *x > 0.0, "a number above 0")
}

fn not_negative(text: &str) -> std::result::Result<f64, String> {
    number(text, |x: &f64| x.is_finite() && *x >= 0.0, "a number of at least 0")
}

fn below_one(text: &str) -> std::result::Result<f64, String> {
    number(text, |x| (0.0..1.0).contains(x), "a number from 0 to below 1")
}
