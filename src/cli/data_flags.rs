//! The flags that say how the samples of a data set are read, for all commands on images and their texts.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

/// Where images are, and which field holds their texts.
#[derive(Debug, Clone, clap::Args, Serialize)]
pub(super) struct FieldFlags {
    /// The folder that paths of images are relative to
    ///
    /// [default: the data's own, or the usual one of this kind of data]. Example: `--images val2017/`
    #[serde(serialize_with = "shown")]
    #[arg(long, value_name = "DIR")]
    pub(super) images: Option<PathBuf>,
    /// The field or the column that holds texts
    ///
    /// Of records and of tables [default: long, text, caption, captions or description]. Example: `--text-field summary`
    #[arg(long, value_name = "FIELD")]
    pub(super) text_field: Option<String>,
}

/// A path as people write it, also one that is not UTF-8.
#[allow(clippy::ref_option, reason = "serde's signature")]
fn shown<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref()
        .map(|path| path.display().to_string())
        .serialize(serializer)
}
