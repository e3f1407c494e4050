//! The names of OpenAI's CLIP and of Long-CLIP, which open_clip uses for its first models too.

use super::super::stored::TensorFile;
use super::layout::{Assembly, Layout};

pub(in crate::weights) const LAYOUT: Layout = Layout {
    name: "OpenAI / Long-CLIP",
    owns,
    assembly,
    unused: &[],
};

fn owns(name: &str) -> bool {
    name.starts_with("visual.") || name.starts_with("transformer.resblocks.") || name == "token_embedding.weight"
}

fn assembly(_: &TensorFile, name: &str) -> Assembly {
    Assembly::AsStored(name.to_owned())
}
