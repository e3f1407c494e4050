//! Upstream's names but for the token table, which is kept as a product of thin matrices: the built-in model.
//! `token_embedding.A (vocab, rank)`, `token_embedding.scale (vocab,)` where A is int8, `token_embedding.B (rank, width)`.

use super::super::stored::TensorFile;
use super::{Layout, Making};

pub(super) const LAYOUT: Layout = Layout {
    name: "Long-CLIP with a factorised token table",
    owns,
    making,
};

const SCALE: &str = "token_embedding.scale";

fn owns(file: &TensorFile) -> bool {
    file.tensors.contains_key("token_embedding.A") || file.tensors.contains_key("token_embedding.B")
}

fn making(file: &TensorFile, name: &str) -> Making {
    if name != "token_embedding.weight" {
        return Making::AsStored(name.to_owned());
    }
    Making::LowRank {
        a: "token_embedding.A".to_owned(),
        scale: file.tensors.contains_key(SCALE).then(|| SCALE.to_owned()),
        b: "token_embedding.B".to_owned(),
    }
}
