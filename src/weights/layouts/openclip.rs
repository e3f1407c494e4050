//! open_clip's models with a text tower of their own kind: the text tower's names stand under `text.`
//! (open_clip `model.py`, `CustomTextCLIP`).

use super::super::stored::TensorFile;
use super::{Layout, Making};

pub(super) const CUSTOM_TEXT: Layout = Layout {
    name: "open_clip",
    owns,
    making,
};

fn owns(file: &TensorFile) -> bool {
    file.tensors
        .keys()
        .any(|name| name.starts_with("text.transformer.") || name == "text.token_embedding.weight")
}

fn making(_: &TensorFile, name: &str) -> Making {
    Making::AsStored(if name.starts_with("visual.") || name == "logit_scale" {
        name.to_owned()
    } else {
        format!("text.{name}")
    })
}
