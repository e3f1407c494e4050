//! The device and the number type that a model is computed with, and their names on the command line and in Python.

use candle_core::Device;

use crate::error::{Control, Error, Result, hint, what_candle_said};
use crate::named::named;

/// The device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its index (feature `cuda`).
    Cuda(usize),
    /// An Apple GPU by its index (feature `metal`).
    Metal(usize),
}

/// The number type to compute with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum NumberType {
    /// 32-bit floats, as the reference uses.
    #[default]
    F32,
    /// Products of bfloat16 numbers, sums in f32.
    Bf16,
    /// 16-bit floats; only on a GPU.
    F16,
    /// 8-bit integers with scales that are computed from each input; only on a CPU.
    Int8,
}

/// As it is typed.
impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Cuda(index) => write!(f, "cuda:{index}"),
            DeviceChoice::Metal(index) => write!(f, "metal:{index}"),
        }
    }
}

impl DeviceChoice {
    /// Parses `cpu`, `cuda`, `cuda:1`, `metal` and so on.
    ///
    /// # Errors
    /// [`Error::Usage`] for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        let (kind, ordinal) = name.split_once(':').unwrap_or((name, "0"));
        let ordinal: usize = ordinal.parse().map_err(|_| {
            Error::usage(
                format!("`{ordinal}` is not a device index"),
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
    /// [`Error::Usage`] if the device is missing or this build does not support it.
    pub fn open(self) -> Result<Device> {
        let opened = match self {
            DeviceChoice::Cpu => return Ok(Device::Cpu),
            DeviceChoice::Cuda(ordinal) => Device::new_cuda(ordinal),
            DeviceChoice::Metal(ordinal) => Device::new_metal(ordinal),
        };
        opened.map_err(|source| {
            let name = self.to_string();
            let feature = name.split(':').next().unwrap_or_default();
            Error::usage(
                format!("device `{name}` can't be used: {}", what_candle_said(&source)),
                hint!(
                    "this needs such a device and a build with {}; {} works everywhere",
                    Control::BuildFeature(feature.to_owned()),
                    Control::CpuDevice
                ),
            )
        })
    }
}

named!(NumberType, "number type": F32 = "f32", Bf16 = "bf16", F16 = "f16", Int8 = "int8");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::named::Named;

    #[test]
    fn finds_devices_and_number_types_by_name() {
        assert_eq!(DeviceChoice::from_name("cpu").unwrap(), DeviceChoice::Cpu);
        assert_eq!(DeviceChoice::from_name("cuda:2").unwrap(), DeviceChoice::Cuda(2));
        assert_eq!(DeviceChoice::from_name("metal").unwrap(), DeviceChoice::Metal(0));
        for known in NumberType::ALL {
            assert_eq!(NumberType::from_name(known.name()).unwrap(), *known);
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
