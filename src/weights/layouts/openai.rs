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

fn assembly(file: &TensorFile, name: &str) -> Assembly {
    text_projection(file, name, "").unwrap_or_else(|| Assembly::AsStored(name.to_owned()))
}

/// The text projection that open_clip stores as a layer with a bias (`proj_bias` in its config), under a prefix.
pub(super) fn text_projection(file: &TensorFile, name: &str, prefix: &str) -> Option<Assembly> {
    let stored = |part: &str| format!("{prefix}text_projection.{part}");
    let layer = match name {
        "text_projection" => Assembly::Transposed(stored("weight")),
        "text_projection_bias" => Assembly::AsStored(stored("bias")),
        _ => return None,
    };
    file.tensors.contains_key(&stored("weight")).then_some(layer)
}
