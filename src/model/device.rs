//! Where a model is computed and on which numbers, by name: what the command line and Python call them.

use candle_core::Device;

use crate::error::{Control, Error, Result, hint};

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA card by its ordinal (feature `cuda`).
    Cuda(usize),
    /// An Apple GPU by its ordinal (feature `metal`).
    Metal(usize),
}

/// The numbers to compute with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NumberType {
    /// 32-bit floats: the reference's digits.
    #[default]
    F32,
    /// bfloat16 products, f32 sums.
    Bf16,
    /// 16-bit floats; on a GPU only.
    F16,
    /// 8-bit integers with scales, measured as they come; on a CPU only.
    Int8,
}

impl DeviceChoice {
    /// `cpu`, `cuda`, `cuda:1`, `metal` ...
    ///
    /// # Errors
    /// [`Error::Usage`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        let (kind, ordinal) = name.split_once(':').unwrap_or((name, "0"));
        let ordinal: usize = ordinal.parse().map_err(|_| {
            Error::usage(
                format!("`{ordinal}` is not a card's number"),
                "count from 0, as in `cuda:0`",
            )
        })?;
        match kind {
            "cpu" => Ok(DeviceChoice::Cpu),
            "cuda" => Ok(DeviceChoice::Cuda(ordinal)),
            "metal" => Ok(DeviceChoice::Metal(ordinal)),
            _ => Err(Error::usage(
                format!("there is no device `{kind}`"),
                "it may be `cpu`, `cuda[:N]` or `metal[:N]`",
            )),
        }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is not there, or this build has no part for it.
    pub fn open(self) -> Result<Device> {
        let (name, opened) = match self {
            DeviceChoice::Cpu => return Ok(Device::Cpu),
            DeviceChoice::Cuda(ordinal) => (format!("cuda:{ordinal}"), Device::new_cuda(ordinal)),
            DeviceChoice::Metal(ordinal) => (format!("metal:{ordinal}"), Device::new_metal(ordinal)),
        };
        opened.map_err(|source| {
            let feature = name.split(':').next().unwrap_or_default();
            Error::usage(
                format!("device `{name}` can't be used: {source}"),
                hint!(
                    "this needs such a card and a build with {}; {} works everywhere",
                    Control::BuildFeature(feature.to_owned()),
                    Control::CpuDevice
                ),
            )
        })
    }
}

impl NumberType {
    /// All of them, in the order of their names' use.
    pub const ALL: [NumberType; 4] = [NumberType::F32, NumberType::Bf16, NumberType::F16, NumberType::Int8];

    /// What it is called: `f32`, `bf16`, `f16`, `int8`.
    pub fn name(self) -> &'static str {
        match self {
            NumberType::F32 => "f32",
            NumberType::Bf16 => "bf16",
            NumberType::F16 => "f16",
            NumberType::Int8 => "int8",
        }
    }

    /// The type of this name.
    ///
    /// # Errors
    /// [`Error::Usage`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        let found = NumberType::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| {
            let known = NumberType::ALL.map(NumberType::name).join("`, `");
            Error::usage(
                format!("there is no number type `{name}`"),
                format!("it may be `{known}`"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_number_types_go_by_their_names() {
        assert_eq!(DeviceChoice::from_name("cpu").unwrap(), DeviceChoice::Cpu);
        assert_eq!(DeviceChoice::from_name("cuda:2").unwrap(), DeviceChoice::Cuda(2));
        assert_eq!(DeviceChoice::from_name("metal").unwrap(), DeviceChoice::Metal(0));
        for known in NumberType::ALL {
            assert_eq!(NumberType::from_name(known.name()).unwrap(), known);
        }
        for (error, name) in [
            (DeviceChoice::from_name("tpu").unwrap_err(), "tpu"),
            (DeviceChoice::from_name("cuda:x").unwrap_err(), "x"),
            (NumberType::from_name("f64").unwrap_err(), "f64"),
        ] {
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
