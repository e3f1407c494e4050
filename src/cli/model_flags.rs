//! The flags of every command that uses a model, and the model that they select.

use std::time::Instant;

use longclip::model::{DeviceChoice, LongClip, LongClipOptions, NumberType};
use longclip::named::Named as _;
use longclip::session::{Loaded, ModelPlan};
use longclip::text::start_of;
use longclip::weights::names::known_names;
use longclip::weights::{Activation, Checkpoint, LoadOptions, Notice, Stretching, TextPositions, Tower};
use serde::Serialize;

use super::find_model::find_model;
use super::hint::reason;
use super::named::{TextOr, named};
use super::report::Report;
use super::version::{cpu_level, instruction_set};

/// Which model, and what it is computed on.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelFlags {
    /// nano, longclip-b, a file, a folder, or OWNER/REPO
    ///
    /// A name of `longclip model list`, a weights file, a folder with weights and config, or
    /// OWNER/REPO[@REVISION][:FILE] of the Hugging Face hub, which is downloaded once [default: $LONGCLIP_MODEL, else
    /// longclip-b if it is here, else nano]. Example: `--model longclip-b`
    // The name that was found and its weights are compared.
    #[serde(skip)]
    #[arg(short, long, value_name = "NAME", value_parser = TextOr(known_names), hide_possible_values = true)]
    model: Option<String>,
    /// Where to compute: cpu, cuda[:N] or metal[:N]
    ///
    /// GPUs need a build with `--features cuda` or `metal`. Example: `--device cuda:1`
    // Machines differ, and records only in their last digits.
    #[serde(skip)]
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    device: DeviceChoice,
    /// Numbers to compute with: f32, bf16, f16 or int8
    ///
    /// f32 gives the reference's digits; bf16 and int8 are faster if the CPU has instructions for them [default:
    /// f32]. Example: `--dtype bf16`
    #[arg(hide_short_help = true, long, value_name = "TYPE", value_parser = named::<NumberType>())]
    dtype: Option<NumberType>,
    /// Threads of the CPU
    ///
    /// From 1 to 1024; results don't depend on it [default: physical cores]. Example: `--threads 4`
    // Records don't depend on it.
    #[serde(skip)]
    #[arg(hide_short_help = true, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The activation of the MLPs of both towers
    ///
    /// For weights without a config whose activation is not quick-gelu. Example: `--activation gelu`
    #[arg(long, value_name = "NAME", hide_short_help = true, value_parser = named::<Activation>())]
    activation: Option<Activation>,
    #[serde(flatten)]
    #[command(flatten)]
    reading: ReadingFlags,
    /// Round weights to f16 as upstream's loader does
    ///
    /// For comparing digits with upstream: it rounds linear, convolution and projection weights.
    #[arg(long, hide_short_help = true)]
    upstream_rounding: bool,
}

/// How a file of weights is read.
#[derive(Debug, Clone, Copy, clap::Args, Serialize)]
#[command(next_help_heading = "Model")]
pub(super) struct ReadingFlags {
    /// Read 77 tokens with a 77-token model
    ///
    /// Instead of stretching its table of positions to 248.
    #[arg(long, hide_short_help = true)]
    no_stretch: bool,
    /// Which text positions of a file to use, if it has several tables
    ///
    /// Two joined as Long-CLIP's, the first alone, or FG-CLIP's for short texts [default: as the model's own code].
    /// Example: `--positions first`
    // The weights are compared.
    #[serde(skip)]
    #[arg(long, value_name = "NAME", hide_short_help = true, value_parser = named::<TextPositions>())]
    positions: Option<TextPositions>,
    /// Ignore tensors that a CLIP doesn't have
    ///
    /// Instead of refusing the file.
    // The weights are compared.
    #[serde(skip)]
    #[arg(long, hide_short_help = true)]
    ignore_surplus: bool,
}

impl ReadingFlags {
    /// The options that these flags give, without rounding.
    pub(super) fn options(&self) -> LoadOptions {
        LoadOptions {
            ignores_surplus: self.ignore_surplus,
            stretching: (!self.no_stretch).then(Stretching::default),
            positions: self.positions,
            ..LoadOptions::default()
        }
    }
}

/// Another model, computed as the first is.
pub(super) struct OtherModel<'a> {
    /// The first one's if `None`.
    pub(super) name: Option<&'a str>,
    /// The first one's if `None`.
    pub(super) dtype: Option<NumberType>,
    pub(super) no_stretch: bool,
}

impl ModelFlags {
    /// The model's name as typed.
    pub(super) fn name(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Finds, opens and checks the model.
    pub(super) fn load(&self, report: Report) -> longclip::Result<Loaded> {
        self.load_for(&Tower::BOTH, report)
    }

    /// As [`ModelFlags::load`], for a command that needs only some towers.
    pub(super) fn load_for(&self, needed: &[Tower], report: Report) -> longclip::Result<Loaded> {
        let found = find_model(self.model.as_deref(), report)?;
        let plan = self.plan()?;
        let checkpoint = Checkpoint::open_source_for(needed, &found.source, &plan.load)?;
        report.model_notices(&self.unanswered(checkpoint.notices()));
        report.detail(format!(
            "model {}: {} ({}), {} px, {} tokens, {}",
            found.name,
            checkpoint.path().display(),
            checkpoint.layout(),
            checkpoint.sizes().image_resolution_px,
            checkpoint.sizes().context_length,
            checkpoint.recipe().text.activation,
        ));
        let began = Instant::now();
        let model = LongClip::from_checkpoint(checkpoint, &plan.compute)?;
        report.detail(format!(
            "computing on {} in {}, {}, {} threads; loaded in {:.2} s",
            plan.compute.device,
            plan.compute.number_type,
            instruction_set(),
            plan.n_threads(),
            began.elapsed().as_secs_f64()
        ));
        Ok(Loaded {
            model,
            name: found.name,
            plan,
        })
    }

    /// The notices without an assumption that a flag replaces.
    fn unanswered(&self, notices: &[Notice]) -> Vec<Notice> {
        let is_answered = |notice: &Notice| self.activation.is_some() && matches!(notice, Notice::Assumed { .. });
        notices.iter().filter(|notice| !is_answered(notice)).cloned().collect()
    }

    fn plan(&self) -> longclip::Result<ModelPlan> {
        Ok(ModelPlan {
            load: LoadOptions {
                rounds_as_upstream: self.upstream_rounding,
                ..self.reading.options()
            },
            compute: LongClipOptions {
                device: self.device,
                number_type: self.number_type(),
                threads: self.threads.map(usize::from),
                cpu_level: cpu_level()?,
                activation: self.activation,
            },
        })
    }

    /// The flags of another model.
    pub(super) fn other(&self, other: &OtherModel<'_>) -> ModelFlags {
        ModelFlags {
            model: other
                .name
                .map_or_else(|| self.model.clone(), |name| Some(name.to_owned())),
            dtype: other.dtype.or(self.dtype),
            reading: ReadingFlags {
                no_stretch: other.no_stretch || (other.name.is_none() && self.reading.no_stretch),
                positions: self.reading.positions.filter(|_| other.name.is_none()),
                ..self.reading
            },
            ..self.clone()
        }
    }

    /// Whether the same model is asked for, to be computed in the same way.
    pub(super) fn is_same_as(&self, other: &ModelFlags) -> bool {
        let asked = |flags: &ModelFlags| {
            let ReadingFlags {
                no_stretch, positions, ..
            } = flags.reading;
            (flags.model.clone(), flags.number_type(), no_stretch, positions)
        };
        asked(self) == asked(other)
    }

    fn number_type(&self) -> NumberType {
        self.dtype.unwrap_or_default()
    }

    /// The same flags, with a model and a number type for what was not typed.
    #[cfg(feature = "parquet")]
    pub(super) fn or(&self, model: &str, dtype: &str) -> Self {
        ModelFlags {
            model: self.model.clone().or_else(|| Some(model.to_owned())),
            dtype: self.dtype.or_else(|| NumberType::from_name(dtype).ok()),
            ..self.clone()
        }
    }
}

pub(super) fn parse_device(text: &str) -> Result<DeviceChoice, String> {
    DeviceChoice::from_name(text).map_err(|error| reason(&error))
}

/// A line for an over-long text: which, how long, what is lost.
pub(super) fn warn_of_cut_texts<'a>(
    model: &LongClip,
    texts: impl Iterator<Item = &'a str>,
    what: &str,
    report: Report,
) {
    for text in texts {
        let tokens = model.tokenize(text);
        if tokens.truncated() {
            report.warning(format!(
                "{what} `{}` has {} tokens; this model reads {}: {} are lost, from `{}`",
                start_of(text),
                tokens.count(),
                model.sizes().context_length,
                tokens.lost_count(),
                start_of(tokens.lost()),
            ));
        }
    }
}
