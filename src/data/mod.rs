//! Data sets with captions or classes: one [`Sample`] for all of them, one table of [`KINDS`], one file per kind.
//!
//! Called by `train`, `eval::zeroshot` and `eval::retrieval`, each of which uses the parts of a sample that it needs. A data
//! set is recognised by its content and scanned once. After that its source knows where each sample is stored but not its
//! content, so a million captions take some megabytes. A sample that can't be used is reported as [`Unusable`], and the others
//! are used. A new kind is a file with a `KIND` and a line in `kinds.rs`; a test there asks for an example and a line in
//! `docs/data.md`.

mod caption_folders;
mod cifar;
mod class_folders;
mod coco;
mod flickr;
mod image;
mod imagenet;
mod kind;
mod kinds;
mod pairs;
mod record_file;
mod records;
mod sample;
mod sets;
mod table;
#[cfg(any(feature = "arrow", feature = "parquet"))]
mod tables;
mod tar_index;
#[cfg(test)]
pub(crate) mod testing;
mod unusable;
mod webdataset;

pub use self::image::{Image, Shelf, fingerprint};
pub(crate) use self::kind::Opened;
pub use self::kind::{CaptionPart, CaptionProtocol, DataOptions, Kind, PerImage, Purpose, Split};
pub use self::kinds::KINDS;
pub(crate) use self::kinds::{open, open_all, quoted};
pub use self::pairs::PairData;
pub use self::records::caption_fields;
pub use self::sample::{Class, ClassOf, Sample};
pub(crate) use self::sample::{merged, spaced};
pub use self::unusable::Unusable;
pub(crate) use self::unusable::unusable;
