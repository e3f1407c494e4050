//! FG-CLIP v1 for long texts: transformers' names, with two tables of 248 positions (`position_embedding_ori` and `_res`,
//! joined as Long-CLIP's) and a projection of long texts, `text_filip_projection`.
//!
//! The file also holds what FG-CLIP uses for short texts (a table of 77 rows and `text_projection`) and two temperatures of
//! its training. Reference: 360CVGroup/FG-CLIP, `fgclip.py`, `get_text_features` with `walk_short_pos=False`.

use super::super::stored::TensorFile;
use super::huggingface;
use super::layout::{Assembly, Layout};

pub(super) const LAYOUT: Layout = Layout {
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

const LONG_PROJECTION: &str = "text_filip_projection.weight";

fn assembly(file: &TensorFile, name: &str) -> Assembly {
    match name {
        "positional_embedding" => Assembly::AsStored("text_model.embeddings.position_embedding_ori.weight".into()),
        "text_projection" => Assembly::Transposed(LONG_PROJECTION.into()),
        _ => (huggingface::LAYOUT.assembly)(file, name),
    }
}
