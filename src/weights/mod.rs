//! Weights: names, hub and cache, files and key layouts, to checked tensors under one naming.
//!
//! [`names`] and [`hub`] turn what a person calls a model into a file; the readers turn files into stored tensors;
//! `layouts` says which of them is which; [`Checkpoint`] checks them all and hands them out under upstream's names.
//! Files are mapped, not read, and nothing from a file is ever run.

mod architecture;
mod checkpoint;
mod combine;
mod config;
mod export;
mod fingerprint;
pub mod hub;
mod layouts;
mod map;
pub mod names;
mod positions;
mod problems;
mod recognise;
mod safetensors;
mod sizes;
mod stored;
mod torch;

#[cfg(test)]
mod nearly_right;
#[cfg(test)]
mod tests;

pub use self::architecture::Architecture;
pub use self::checkpoint::{Checkpoint, FIXED_ROWS, LoadOptions, Rounding, Surplus};
pub use self::config::Activation;
pub use self::export::{ExportLayout, config_of, export};
pub(crate) use self::fingerprint::hex;
pub use self::fingerprint::identity;
#[cfg(feature = "parquet")]
pub(crate) use self::map::map;
pub use self::positions::{CLIP_CONTEXT_LENGTH, Stretching};
pub use self::sizes::Sizes;
pub use self::stored::FileFormat;
pub(crate) use self::torch::numpy::{self, Pickled};
