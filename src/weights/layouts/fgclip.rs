//! FG-CLIP v1: transformers' names, with two ways to read a text. Long texts have two tables of 248 positions
//! (`position_embedding_ori` and `_res`, joined as Long-CLIP's) and a projection of their own, `text_filip_projection`; short
//! ones have CLIP's table of 77 rows and `text_projection`.
//!
//! The file also holds two temperatures of its training. Reference: 360CVGroup/FG-CLIP, `fgclip.py`, `get_text_features`
//! with `walk_short_pos=False` and `True`.

use super::super::stored::TensorFile;
use super::huggingface;
use super::layout::{Assembly, Layout};

pub(super) const LONG: Layout = Layout {
    name: "FG-CLIP, for long texts",
    owns: |name| name.ends_with("embeddings.position_embedding_ori.weight") || name == LONG_PROJECTION,
    assembly,
    unused: &[
        "text_model.embeddings.position_embedding.weight",
        "text_projection.weight",
        "logit_scale_finegraind",
        "logit_scale_hardneg",
    ],
};

/// Recognised as [`LONG`], and used instead if a caller wants to read short texts.
pub(super) static SHORT: Layout = Layout {
    name: "FG-CLIP, for short texts",
    owns: |_| false,
    assembly: |file, name| match name {
        // The second table is of long texts.
        "positional_embedding_res" => Assembly::AsStored(name.into()),
        _ => (huggingface::LAYOUT.assembly)(file, name),
    },
    unused: &[
        "text_model.embeddings.position_embedding_ori.weight",
        "text_model.embeddings.position_embedding_res.weight",
        LONG_PROJECTION,
        "logit_scale_finegraind",
        "logit_scale_hardneg",
    ],
};

const LONG_PROJECTION: &str = "text_filip_projection.weight";

fn assembly(file: &TensorFile, name: &str) -> Assembly {
    match name {
        "positional_embedding" => Assembly::AsStored("text_model.embeddings.position_embedding_ori.weight".into()),
        "text_projection" => Assembly::Transposed(LONG_PROJECTION.into()),
        _ => (huggingface::LAYOUT.assembly)(file, name),
    }
}
