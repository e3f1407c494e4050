//! open_clip's models whose image tower is a plain ViT of timm (`vit_*_clip_*`), such as MobileCLIP2-L/14: `visual.trunk.*`,
//! with q, k and v joined, and a projection that is the classifier of timm's model or a layer of open_clip's own.
//!
//! Reference: timm `vision_transformer.py`, open_clip `timm_model.py`. Only these ViTs have a norm before the first block and
//! a class token. How they are pooled is in the config, so such a file can't be read without one.

use super::super::stored::TensorFile;
use super::layout::{Assembly, Layout};
use super::{openai, openclip};

pub(super) const LAYOUT: Layout = Layout {
    name: "open_clip, with an image tower of timm",
    owns: |name| name == "visual.trunk.norm_pre.weight",
    assembly,
    unused: &[],
};

fn assembly(file: &TensorFile, name: &str) -> Assembly {
    let Some(inside) = name.strip_prefix("visual.") else {
        let is_custom = file.tensors.keys().any(|name| (openclip::CUSTOM_TEXT.owns)(name));
        return match is_custom {
            true => (openclip::CUSTOM_TEXT.assembly)(file, name),
            false => (openai::LAYOUT.assembly)(file, name),
        };
    };
    let stored = |rest: &str| Assembly::AsStored(format!("visual.trunk.{rest}"));
    let framed = |rest: &str, n_axes| Assembly::Framed {
        name: format!("visual.trunk.{rest}"),
        n_axes,
    };
    let head = || match file.tensors.contains_key("visual.head.proj.weight") {
        true => "visual.head.proj",
        false => "visual.trunk.head",
    };
    // timm calls the norm after an average another name than the one before it.
    let last_norm = || match file.tensors.contains_key("visual.trunk.fc_norm.weight") {
        true => "fc_norm",
        false => "norm",
    };
    match inside {
        "class_embedding" => framed("cls_token", 2),
        "positional_embedding" => framed("pos_embed", 1),
        "conv1.weight" => stored("patch_embed.proj.weight"),
        "ln_pre.weight" => stored("norm_pre.weight"),
        "ln_pre.bias" => stored("norm_pre.bias"),
        "ln_post.weight" => stored(&format!("{}.weight", last_norm())),
        "ln_post.bias" => stored(&format!("{}.bias", last_norm())),
        "proj" => Assembly::Transposed(format!("{}.weight", head())),
        "proj_bias" => Assembly::AsStored(format!("{}.bias", head())),
        _ => match inside.strip_prefix("transformer.resblocks.") {
            Some(block) => stored(&format!("blocks.{}", of_block(block))),
            None => Assembly::AsStored(name.to_owned()),
        },
    }
}

fn of_block(rest: &str) -> String {
    rest.replace("attn.in_proj_", "attn.qkv.")
        .replace("attn.out_proj", "attn.proj")
        .replace("ln_1", "norm1")
        .replace("ln_2", "norm2")
        .replace("mlp.c_fc", "mlp.fc1")
        .replace("mlp.c_proj", "mlp.fc2")
}
