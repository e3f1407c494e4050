//! open_clip's models with a custom text tower, whose names begin with `text.` (open_clip `model.py`, `CustomTextCLIP`).

use super::super::stored::TensorFile;
use super::layout::{Assembly, Layout};
use super::openai;

pub(super) const CUSTOM_TEXT: Layout = Layout {
    name: "open_clip",
    owns,
    assembly,
    unused: &[],
};

fn owns(name: &str) -> bool {
    name.starts_with("text.transformer.") || name == "text.token_embedding.weight"
}

fn assembly(file: &TensorFile, name: &str) -> Assembly {
    if let Some(layer) = openai::text_projection(file, name, "text.") {
        return layer;
    }
    Assembly::AsStored(if name.starts_with("visual.") || name == "logit_scale" {
        name.to_owned()
    } else {
        format!("text.{name}")
    })
}
