//! Weights: names, hub and cache, files and key layouts, to checked tensors under one naming.
//!
//! [`names`] and [`hub`] turn what a person calls a model into a file; the readers turn files into stored tensors;
//! `layouts` says which of them is which; [`Checkpoint`] checks them all and hands them out under upstream's names.
//! Files are mapped, not read, and nothing from a file is ever run.

mod architecture;
mod assemble;
mod checkpoint;
mod config;
mod description;
mod export;
mod export_config;
mod families;
mod files;
mod fingerprint;
pub mod hub;
mod layouts;
mod map;
pub mod names;
mod not_weights;
mod notice;
mod open;
mod options;
mod positions;
mod problems;
mod safetensors;
mod shard_index;
mod sizes;
mod stored;
mod tables;
mod torch;
mod towers;
mod wrappers;

#[cfg(test)]
mod malformed_files;
#[cfg(test)]
mod several_tables;
#[cfg(test)]
mod tests;

pub use self::architecture::Architecture;
pub(crate) use self::assemble::transposed;
pub use self::checkpoint::{Checkpoint, FIXED_ROWS};
pub use self::config::RecipeSource;
pub use self::description::{Description, HashedFile};
pub use self::export::{ExportLayout, export, export_to_stream};
pub use self::export_config::config_of;
pub use self::files::weights_files;
#[cfg(feature = "parquet")]
pub(crate) use self::fingerprint::hex;
pub use self::fingerprint::identity;
#[cfg(feature = "parquet")]
pub(crate) use self::map::map;
pub use self::notice::Notice;
pub use self::options::{LoadOptions, TextPositions};
pub use self::positions::{CLIP_CONTEXT_LENGTH, Stretching};
pub use self::sizes::Sizes;
pub use self::stored::FileFormat;
pub(crate) use self::torch::numpy::{self, Pickled};
pub use self::towers::Tower;
pub use crate::recipe::Activation;
