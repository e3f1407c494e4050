//! The names of Hugging Face transformers (`modeling_clip.py`): `text_model.*` and `vision_model.*`, with separate q, k and
//! v, and projections as `nn.Linear` weights, which are transposed. Some Long-CLIP conversions nest each tower once more
//! (`text_model.text_model.*`) and store upstream's second table as `position_embedding_res`.

use super::super::stored::TensorFile;
use super::layout::{Assembly, Layout};

pub(in crate::weights) const LAYOUT: Layout = Layout {
    name: "Hugging Face",
    owns: |name| name.starts_with("text_model.") || name.starts_with("vision_model."),
    assembly: |file, name| assembly(file, name, "text_model", "vision_model"),
    unused: &[],
};

pub(super) const NESTED: Layout = Layout {
    name: "Hugging Face, nested",
    owns: |name| name.starts_with("text_model.text_model.") || name.starts_with("vision_model.vision_model."),
    assembly: |file, name| assembly(file, name, "text_model.text_model", "vision_model.vision_model"),
    unused: &[],
};

fn assembly(file: &TensorFile, name: &str, text: &str, vision: &str) -> Assembly {
    match name {
        "visual.proj" => return Assembly::Transposed("visual_projection.weight".into()),
        "text_projection" => return Assembly::Transposed("text_projection.weight".into()),
        "logit_scale" => return Assembly::AsStored(name.into()),
        "positional_embedding_res" => {
            let bare = format!("{text}.embeddings.position_embedding_res");
            let module = format!("{bare}.weight");
            return Assembly::AsStored(if file.tensors.contains_key(&module) {
                module
            } else {
                bare
            });
        }
        _ => {}
    }
    let (tower, inside) = match name.strip_prefix("visual.") {
        Some(inside) => (vision, inside),
        None => (text, name),
    };
    let stored = |rest: &str| Assembly::AsStored(format!("{tower}.{rest}"));
    match inside {
        "class_embedding" => stored("embeddings.class_embedding"),
        "conv1.weight" => stored("embeddings.patch_embedding.weight"),
        "positional_embedding" => stored("embeddings.position_embedding.weight"),
        "token_embedding.weight" => stored("embeddings.token_embedding.weight"),
        "ln_pre.weight" => stored("pre_layrnorm.weight"),
        "ln_pre.bias" => stored("pre_layrnorm.bias"),
        "ln_post.weight" => stored("post_layernorm.weight"),
        "ln_post.bias" => stored("post_layernorm.bias"),
        "ln_final.weight" => stored("final_layer_norm.weight"),
        "ln_final.bias" => stored("final_layer_norm.bias"),
        _ => match inside
            .strip_prefix("transformer.resblocks.")
            .and_then(|rest| rest.split_once('.'))
        {
            Some((layer, rest)) => of_layer(&format!("{tower}.encoder.layers.{layer}"), rest),
            None => Assembly::AsStored(name.to_owned()),
        },
    }
}

fn of_layer(layer: &str, rest: &str) -> Assembly {
    if let Some(part) = rest.strip_prefix("attn.in_proj_") {
        return Assembly::Joined(["q", "k", "v"].map(|which| format!("{layer}.self_attn.{which}_proj.{part}")));
    }
    let rest = rest
        .replace("attn.out_proj", "self_attn.out_proj")
        .replace("ln_1", "layer_norm1")
        .replace("ln_2", "layer_norm2")
        .replace("mlp.c_fc", "mlp.fc1")
        .replace("mlp.c_proj", "mlp.fc2");
    Assembly::AsStored(format!("{layer}.{rest}"))
}
