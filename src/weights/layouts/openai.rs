//! OpenAI CLIP's and Long-CLIP's own names, which are also open_clip's for its first models.

use super::super::stored::TensorFile;
use super::{Layout, Making};

pub(in crate::weights) const LAYOUT: Layout = Layout {
    name: "OpenAI / Long-CLIP",
    owns,
    making,
};

fn owns(file: &TensorFile) -> bool {
    file.tensors.keys().any(|name| {
        name.starts_with("visual.") || name.starts_with("transformer.resblocks.") || name == "token_embedding.weight"
    })
}

fn making(_: &TensorFile, name: &str) -> Making {
    Making::AsStored(name.to_owned())
}
