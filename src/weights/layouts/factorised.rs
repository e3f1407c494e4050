//! The built-in model: upstream's names, except that the token table is a product of thin matrices,
//! `token_embedding.A (vocab, rank)` and `token_embedding.B (rank, width)`, and that tensors may be integers with one
//! scale per row: int8 `NAME` with `NAME.scale`, and int8 or 4-bit `token_embedding.A` with `token_embedding.scale`.

use super::super::stored::TensorFile;
use super::layout::{Assembly, Layout};

pub(super) const LAYOUT: Layout = Layout {
    name: "Long-CLIP with a factorised token table",
    owns,
    assembly,
    unused: &[],
};

const SCALE: &str = "token_embedding.scale";

fn owns(name: &str) -> bool {
    name == "token_embedding.A" || name == "token_embedding.B"
}

fn assembly(file: &TensorFile, name: &str) -> Assembly {
    if name != "token_embedding.weight" {
        let (rows, scale) = (name.to_owned(), format!("{name}.scale"));
        return match file.tensors.contains_key(&scale) {
            true => Assembly::Scaled { rows, scale },
            false => Assembly::AsStored(rows),
        };
    }
    Assembly::LowRank {
        a: "token_embedding.A".to_owned(),
        scale: file.tensors.contains_key(SCALE).then(|| SCALE.to_owned()),
        b: "token_embedding.B".to_owned(),
    }
}
