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

use crate::cli::model_flags::parse_device;
use crate::cli::numbers::at_least_one;
use crate::cli::targets::ForceFlag;

/// Where the weights come from, and what computes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub(super) struct StartFlags {
    /// The model to start from: a known name, a file, a folder, or OWNER/REPO of the hub; a 77-token CLIP is stretched to 248
    #[arg(long, value_name = "MODEL", required_unless_present = "init")]
    pub(super) base: Option<String>,
    /// Start from random weights, with the sizes of a config of open_clip or transformers
    #[arg(long, value_name = "CONFIG.json", conflicts_with = "base")]
    pub(super) init: Option<PathBuf>,
    /// Don't stretch a 77-token base
    #[arg(long, conflicts_with = "init", hide_short_help = true)]
    pub(super) no_stretch: bool,
    /// Where to compute: cpu, cuda[:N] or metal[:N]
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    pub(super) device: DeviceChoice,
    /// The numbers that the towers compute with; weights, losses and the optimizer stay in f32
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
    /// Images with captions, see below; several are combined
    #[arg(long, value_name = "DATA", required = true, num_args = 1..)]
    pub(super) data: Vec<PathBuf>,
    /// Validate on these: R@1 with long and short captions, and zero-shot top-1 if there are classes
    #[arg(long, value_name = "DATA", num_args = 1..)]
    pub(super) val_data: Vec<PathBuf>,
    /// The folder that records' paths start from [default: that of the record file]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(super) images: Option<PathBuf>,
    /// Turn names of classes into captions with a template with `{}`, a file of templates, imagenet7 or imagenet80
    /// [default: `a photo of a {}.`]
    #[arg(long, value_name = "TEMPLATES", hide_short_help = true)]
    pub(super) templates: Option<String>,
}

/// The training method.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Method")]
pub(super) struct MethodFlags {
    /// Total number of steps [default: one epoch]
    #[arg(long, value_name = "N", conflicts_with = "epochs")]
    pub(super) steps: Option<u64>,
    /// Passes over the data
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>)]
    pub(super) epochs: Option<u64>,
    /// Samples that are compared with each other in a step; more are better (the paper has 2048)
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one::<usize>)]
    pub(super) batch: usize,
    /// Samples that are computed at once; fewer take less memory and one more pass forward, with the same result
    /// [default: as many as fit into a quarter of the free memory]
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    pub(super) micro_batch: Option<usize>,
    /// Keep only what goes into each block, and compute the rest again on the way back: less memory, one more pass forward, the
    /// same result
    #[arg(long)]
    grad_checkpointing: bool,
    /// The highest learning rate
    #[arg(long, value_name = "X", default_value = "1e-6", value_parser = positive)]
    pub(super) lr: f64,
    /// Steps in which the rate rises; it falls as a cosine after that
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(super) warmup: u64,
    /// The share of each weight to subtract per step, times the rate
    #[arg(long, value_name = "X", default_value = "0.01", value_parser = not_negative, hide_short_help = true)]
    pub(super) weight_decay: f64,
    /// AdamW's two betas
    #[arg(long, value_name = "A,B", default_value = "0.9,0.999", value_parser = betas, hide_short_help = true)]
    betas: Betas,
    /// AdamW's epsilon
    #[arg(long, value_name = "X", default_value = "1e-8", value_parser = positive, hide_short_help = true)]
    epsilon: f64,
    /// The share of each target that is spread over the batch
    #[arg(long, value_name = "X", default_value = "0.1", value_parser = below_one, hide_short_help = true)]
    label_smoothing: f64,
    /// Principal components that short captions are matched with
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least_one::<usize>, conflicts_with = "no_pcm", hide_short_help = true)]
    components: usize,
    /// Train on long captions alone, without primary component matching
    #[arg(long, hide_short_help = true)]
    no_pcm: bool,
    /// The logarithm of the initial inverse temperature [default: 4.6052; 2.6593 with `--init`]
    #[arg(long, value_name = "X", value_parser = finite, allow_negative_numbers = true, hide_short_help = true)]
    pub(super) logit_scale: Option<f64>,
    /// Don't train tensors with these prefixes of upstream's names: `visual.,logit_scale`
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = trimmed, hide_short_help = true)]
    pub(super) freeze: Vec<String>,
    /// Validate and save a running mean of the weights, of which each step keeps this share
    #[arg(long, value_name = "DECAY", value_parser = below_one)]
    pub(super) ema: Option<f64>,
    /// Decides the order of samples and fresh weights; the same seed gives the same training
    #[arg(long, value_name = "N", default_value_t = 0)]
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
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Resume the training in the run folder, or start it if there is none
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    #[command(flatten)]
    pub(super) force: ForceFlag,
    /// Validate every N steps, and always before the first step and after the last one
    #[arg(long, value_name = "N", value_parser = at_least_one::<u64>)]
    pub(super) validate_every: Option<u64>,
    /// Save the state every N steps, which is the most that a killed training loses
    #[arg(long, value_name = "N", default_value = "100", value_parser = at_least_one::<u64>)]
    pub(super) save_every: u64,
    /// Threads that read and decode images ahead [default: physical cores]
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
    let number = text.parse().ok().filter(|x: &f64| x.is_finite());
    number.ok_or_else(|| "expected a number".to_owned())
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    let number = finite(text).ok().filter(|x| *x > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

fn not_negative(text: &str) -> std::result::Result<f64, String> {
    let number = finite(text).ok().filter(|x| *x >= 0.0);
    number.ok_or_else(|| "expected a number of at least 0".to_owned())
}

fn below_one(text: &str) -> std::result::Result<f64, String> {
    let number = finite(text).ok().filter(|x| (0.0..1.0).contains(x));
    number.ok_or_else(|| "expected a number from 0 to below 1".to_owned())
}
