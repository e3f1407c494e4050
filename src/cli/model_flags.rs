//! The flags that every command with a model has, and the model that they come to.

use clap::ValueEnum;
#[cfg(feature = "parquet")]
use longclip::kernels::Threads;
use longclip::kernels::cpu::Level;
use longclip::model::{DeviceChoice, LongClip, LongClipOptions, NumberType};
use longclip::text::start_of;
use longclip::weights::{Activation, Checkpoint, LoadOptions, Rounding, Stretching, Surplus};

use super::find_model::find_model;
use super::hint::reason;
use super::report::Report;
use super::shards::Facts;

/// Which model, and what it is computed on.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelFlags {
    /// A known name (`longclip model list`), a file, a folder, or OWNER/REPO[@REV][:FILE] of the hub
    /// [default: $LONGCLIP_MODEL, else longclip-b if it is here, else nano]
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
    /// Where to compute: cpu, cuda[:N] or metal[:N]
    #[arg(long, value_name = "DEVICE", default_value = "cpu", value_parser = parse_device)]
    device: DeviceChoice,
    /// The numbers to compute with; f32, the default, gives the reference's digits
    #[arg(long, value_name = "TYPE")]
    dtype: Option<Dtype>,
    /// Threads of the CPU [default: physical cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The activation of the MLPs, where a checkpoint without a config needs another than quick-gelu
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    activation: Option<ActivationName>,
    /// Use a 77-row position table as it is: 77 tokens, no stretching to 248
    #[arg(long, hide_short_help = true)]
    no_stretch: bool,
    /// Leave tensors alone that a CLIP doesn't have, instead of refusing the file
    #[arg(long, hide_short_help = true)]
    ignore_surplus: bool,
    /// Pass linear, convolution and projection weights through f16, as upstream's loader does
    #[arg(long, hide_short_help = true)]
    upstream_rounding: bool,
}

/// A number type as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Dtype {
    F32,
    Bf16,
    F16,
    Int8,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActivationName {
    QuickGelu,
    Gelu,
}

/// Whether a 77-row position table becomes one of 248.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch {
    AsAlways,
    Never,
}

impl ModelFlags {
    /// The model's name as typed.
    pub(super) fn name(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Finds, opens and checks the model.
    pub(super) fn load(&self, report: Report) -> longclip::Result<LongClip> {
        self.load_named(report).map(|(model, _)| model)
    }

    /// As [`ModelFlags::load`], with the model's name, for formats that keep a note of it.
    pub(super) fn load_named(&self, report: Report) -> longclip::Result<(LongClip, String)> {
        let found = find_model(self.model.as_deref(), report)?;
        let options = self.load_options();
        let checkpoint = Checkpoint::open_source(&found.source, &options)?;
        report.detail(format!(
            "model {}: {} ({}), {} px, {} tokens, {}",
            found.name,
            checkpoint.path().display(),
            checkpoint.layout(),
            checkpoint.sizes().image_resolution_px,
            checkpoint.sizes().context_length,
            checkpoint.activation(),
        ));
        let model = LongClip::from_checkpoint(checkpoint, &self.model_options()?)?;
        Ok((model, found.name))
    }

    /// The flags of another model that is computed as this one: this one's own name and number type where none is given.
    pub(super) fn other(&self, model: Option<&str>, dtype: Option<Dtype>, stretch: Stretch) -> ModelFlags {
        ModelFlags {
            model: model.map_or_else(|| self.model.clone(), |name| Some(name.to_owned())),
            dtype: dtype.or(self.dtype),
            no_stretch: stretch == Stretch::Never || (model.is_none() && self.no_stretch),
            ..self.clone()
        }
    }

    /// Whether the same model is asked for, to be computed in the same way.
    pub(super) fn is_same_as(&self, other: &ModelFlags) -> bool {
        let asked = |flags: &ModelFlags| (flags.model.clone(), flags.dtype(), flags.no_stretch);
        asked(self) == asked(other)
    }

    /// What records depend on beside the model's name, by name.
    pub(super) fn facts(&self) -> Facts {
        let activation = self.activation.map(|name| match name {
            ActivationName::QuickGelu => "quick-gelu",
            ActivationName::Gelu => "gelu",
        });
        Facts::from_iter([
            ("dtype".into(), self.dtype_name().into()),
            ("activation".into(), activation.into()),
            ("no_stretch".into(), self.no_stretch.into()),
            ("upstream_rounding".into(), self.upstream_rounding.into()),
        ])
    }

    /// The number type as typed.
    pub(super) fn dtype_name(&self) -> String {
        format!("{:?}", self.dtype()).to_lowercase()
    }

    fn dtype(&self) -> Dtype {
        self.dtype.unwrap_or(Dtype::F32)
    }

    /// Whether the model computes on the CPU.
    pub(super) fn computes_on_cpu(&self) -> bool {
        self.device == DeviceChoice::Cpu
    }

    /// The threads that the model computes on.
    pub(super) fn thread_count(&self) -> usize {
        self.threads.map_or_else(longclip::kernels::physical_cores, usize::from)
    }

    fn load_options(&self) -> LoadOptions {
        LoadOptions {
            surplus: if self.ignore_surplus {
                Surplus::Ignore
            } else {
                Surplus::Refuse
            },
            stretching: (!self.no_stretch).then(Stretching::default),
            rounding: if self.upstream_rounding {
                Rounding::Upstream
            } else {
                Rounding::None
            },
        }
    }

    fn model_options(&self) -> longclip::Result<LongClipOptions> {
        Ok(LongClipOptions {
            device: self.device,
            number_type: match self.dtype() {
                Dtype::F32 => NumberType::F32,
                Dtype::Bf16 => NumberType::Bf16,
                Dtype::F16 => NumberType::F16,
                Dtype::Int8 => NumberType::Int8,
            },
            threads: self.threads.map(usize::from),
            cpu_level: cpu_level()?,
            activation: self.activation.map(|name| match name {
                ActivationName::QuickGelu => Activation::QuickGelu,
                ActivationName::Gelu => Activation::Gelu,
            }),
        })
    }
}

/// What a search asks for: the model of its index, and threads of its own.
#[cfg(feature = "parquet")]
impl ModelFlags {
    /// The same flags, with a model and a number type for what was not typed.
    pub(super) fn or(&self, model: &str, dtype: &str) -> Self {
        ModelFlags {
            model: self.model.clone().or_else(|| Some(model.to_owned())),
            dtype: self.dtype.or_else(|| Dtype::from_str(dtype, true).ok()),
            ..self.clone()
        }
    }

    /// Threads for kernels beside the model's.
    pub(super) fn kernel_threads(&self) -> longclip::Result<Threads> {
        let level = cpu_level()?.unwrap_or_else(Level::best);
        Ok(Threads::with_level(self.thread_count(), level))
    }
}

/// `$LONGCLIP_CPU` limits the instruction set: for comparing, and for reports of errors.
fn cpu_level() -> longclip::Result<Option<Level>> {
    let value = std::env::var("LONGCLIP_CPU").ok();
    value.as_deref().map(Level::from_variable).transpose()
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
