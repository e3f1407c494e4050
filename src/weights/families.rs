//! Models that are not the CLIPs computed here, and encodings of weights that are not read, each with the signs by which
//! it is known: names of its tensors, or the `model_type` of its config.
//!
//! Asked only after a file was refused, so that the error names the model instead of listing tensors. The names are those
//! that transformers 5, open_clip 3.3 and the models' own repositories write. A new family is one row.

use std::path::Path;

use super::stored::TensorFile;
use crate::error::{Control, Error, hint};

/// Another model.
struct Family {
    /// With its article.
    name: &'static str,
    /// What it has that a CLIP doesn't: what would have to be computed.
    differs: &'static str,
    /// `model_type` in transformers' config.
    model_types: &'static [&'static str],
    /// Patterns of which any name matches, see [`matches`].
    signs: &'static [&'static str],
    /// Patterns of which no name matches.
    lacks: &'static [&'static str],
}

const fn family(
    name: &'static str,
    differs: &'static str,
    model_types: &'static [&'static str],
    signs: &'static [&'static str],
) -> Family {
    Family {
        name,
        differs,
        model_types,
        signs,
        lacks: &[],
    }
}

/// All known families. The first whose signs are found is the one, so special ones come before those they are built on.
#[rustfmt::skip]
static FAMILIES: [Family; 41] = [
    family("a Stable Diffusion or other image generator", "it makes images", &[],
        &["model.diffusion_model.", "^down_blocks.", "double_blocks."]),
    family("a vision language model", "it writes text about images",
        &["llava", "llava_next", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "paligemma", "idefics3", "smolvlm"],
        &["multi_modal_projector.", "^language_model.", "model.language_model."]),
    family("a BLIP-2 or InstructBLIP", "it has a Q-Former between its image tower and a language model",
        &["blip-2", "blip_2_vision_model", "instructblip"], &["qformer.", "query_tokens"]),
    family("a BLIP or ALBEF", "its text tower is a BERT that looks at the image",
        &["blip", "blip_text_model", "blip_vision_model"],
        &[".crossattention.", "text_decoder.bert.", "^visual_encoder.", "vision_model.encoder.layers.*.self_attn.qkv."]),
    family("a FLAVA", "its towers are a BERT and a ViT of their own kind, joined by a third", &["flava"],
        &["^image_model.encoder.", "multimodal_model."]),
    family("an ALIGN", "its towers are a BERT and an EfficientNet", &["align"], &["vision_model.embeddings.convolution."]),
    family("an AltCLIP", "its text tower is an XLM-RoBERTa, with another tokenizer", &["altclip", "altclip_text_model"],
        &["text_model.roberta.", "text_model.transformation."]),
    family("a Jina CLIP", "its towers are a BERT and an EVA, with rotary positions", &["jina_clip"],
        &["text_model.transformer.embeddings.", "text_model.transformer.encoder."]),
    family("a CLAP", "it compares texts with sounds", &["clap", "clap_text_model", "clap_audio_model"], &["^audio_model."]),
    family("a Chinese-CLIP", "its text tower is a Chinese BERT, with another tokenizer",
        &["chinese_clip", "chinese_clip_text_model", "chinese_clip_vision_model"],
        &["text_model.embeddings.word_embeddings."]),
    family("a GroupViT", "its image tower groups patches", &["groupvit", "groupvit_text_model", "groupvit_vision_model"],
        &[".group_token", "img_encoder.layers."]),
    family("an X-CLIP", "it reads videos", &["xclip", "xclip_text_model", "xclip_vision_model"],
        &["prompts_generator.", ".message_fc.", "^mit."]),
    family("an OWL-ViT or OWLv2", "it finds objects by their patches",
        &["owlvit", "owlvit_text_model", "owlvit_vision_model", "owlv2", "owlv2_text_model", "owlv2_vision_model"],
        &["class_head.", "box_head.", "objectness_head.", "vision_model.pre_layernorm."]),
    family("a CLIPSeg", "it cuts out image regions by a decoder", &["clipseg", "clipseg_text_model", "clipseg_vision_model"],
        &["film_mul.", "decoder.reduces."]),
    family("an AIMv2", "its towers have RMS norms and gated layers", &["aimv2", "aimv2_text_model", "aimv2_vision_model"],
        &["vision_model.rms_norm.", "embeddings.rms_norm."]),
    family("a MobileCLIP or MobileCLIP 2 of size S", "its image tower is convolutional (FastViT)", &[],
        &[".token_mixer.", "image_encoder.model.network."]),
    family("a MobileCLIP B", "its image tower begins with convolutions and batch norms", &[],
        &["trunk.patch_embed.backbone.*.conv.", "image_encoder.model.patch_emb."]),
    family("a ViTamin", "its image tower begins with convolutional stages", &[], &["trunk.patch_embed.backbone.stem."]),
    family("an EVA CLIP", "its image tower has rotary positions, gated layers and norms inside the attention", &["eva_clip", "clip_eva"],
        &[".inner_attn_ln.", ".mlp.fc1_g.", ".attn.q_bias", "visual.rope.", "visual.trunk.blocks.*.attn.q_proj.", "visual.blocks.*.mlp.w1."]),
    Family { name: "a Perception Encoder (PE)", differs: "its image tower has rotary positions and pools by attention", model_types: &[],
        signs: &["visual.trunk.attn_pool.latent", "visual.attn_pool.probe"], lacks: &["logit_bias"] },
    family("a SigLIP, SigLIP 2 or a model made from them", "it pools by attention and has another tokenizer",
        &["siglip", "siglip_text_model", "siglip_vision_model", "siglip2", "siglip2_text_model", "siglip2_vision_model", "fgclip2", "fg-clip2"],
        &["vision_model.head.probe", "visual.trunk.attn_pool.latent", "^text_model.head."]),
    family("a CoCa", "its towers pool by attention, and it writes captions", &[],
        &["^text_decoder.", "text.cls_emb", "visual.attn_pool."]),
    family("a CLIP with a ResNet as its image tower", "that tower is convolutional", &[], &["visual.layer1.", "visual.attnpool."]),
    family("a CLIP with a ConvNeXt as its image tower", "that tower is convolutional", &[], &["trunk.stages.*.conv_dw."]),
    family("a CLIP with a Swin Transformer as its image tower", "that tower attends in windows", &[],
        &["relative_position_bias_table"]),
    family("a CLIP with a ViT of relative positions as its image tower", "its attention adds a bias of its own", &[],
        &["trunk.blocks.*.attn.rel_pos."]),
    family("a CLIP with layer scale", "each block's output is multiplied by a vector", &[], &[".ls1.gamma", ".ls_1.gamma"]),
    family("an open_clip model whose text tower is a BERT or another model of transformers (as in LoTLIP)",
        "that tower has another tokenizer", &[],
        &["text.transformer.embeddings.", "text.transformer.encoder.", "text.transformer.shared.", "text.transformer.embed_tokens.",
          "text.transformer.layers.", "text.transformer.model."]),
    family("a TULIP", "its text tower has contextual positions inside the attention", &[], &[".attn.cope.pos_emb"]),
    family("a FineLIP", "it compares images and texts token by token", &[], &["sparse_net", "aggr_net"]),
    Family { name: "a CLIPA", differs: "its image tower has no first norm and is averaged, and its tokenizer is another", model_types: &[],
        signs: &["^visual.class_embedding"], lacks: &["visual.ln_pre."] },
    family("an ImageBind", "its towers are of their own kind", &[], &["modality_trunks."]),
    family("a ViLT", "one transformer reads image and text together", &["vilt"], &["^vilt.", "^text_embeddings.word_embeddings."]),
    Family { name: "the text tower of a CLIP alone, as image generators use it", differs: "it has no projection to embeddings", model_types: &[],
        signs: &["^embeddings.token_embedding."], lacks: &["projection.", "^head."] },
    Family { name: "the image tower of a CLIP alone, as language models use it", differs: "it has no projection to embeddings", model_types: &[],
        signs: &["^embeddings.class_embedding"], lacks: &["projection.", "^head."] },
    family("a DINO or another image model without texts", "it has no text tower",
        &["dinov2", "dinov3_vit", "dinov2_with_registers", "vit", "vit_mae", "ijepa", "deit", "beit"],
        &["^embeddings.patch_embeddings.projection.", "^vit.embeddings.", "^blocks.*.attn.qkv.", "^dinov2."]),
    family("a ResNet or another convolutional image model without texts", "it has no text tower", &["resnet", "convnext", "convnextv2"],
        &["^layer1.0.conv1.", "^resnet.embedder.", "^convnext.embeddings."]),
    family("a T5 or another model of texts", "its tokenizer and its layers are not CLIP's", &["t5", "mt5", "umt5"],
        &["^encoder.block.0.layer.0.SelfAttention."]),
    family("a BERT or another model of texts", "its tokenizer and its layers are not CLIP's",
        &["bert", "roberta", "xlm-roberta", "mpnet", "distilbert", "modernbert", "nomic_bert"],
        &["embeddings.word_embeddings.", "^embeddings.tok_embeddings."]),
    family("a language model", "it writes text and has no image tower",
        &["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3", "gpt2"],
        &["layers.*.mlp.gate_proj.", "^transformer.wte.", "^wte."]),
    Family { name: "an image tower of timm that is not a plain CLIP ViT", differs: "it is computed in another way", model_types: &[],
        signs: &["visual.trunk."], lacks: &["visual.trunk.norm_pre."] },
];

/// Weights in an encoding that is not read.
pub(super) struct Encoding {
    /// What it is, as the rest of "holds ...".
    name: &'static str,
    /// Patterns of tensors' names of which any matches.
    signs: &'static [&'static str],
    /// Beginnings of the classes and functions that a pickle of such weights names.
    globals: &'static [&'static str],
    hint: &'static str,
}

const NOT_QUANTISED: &str = "use the file with f32, f16 or bf16 numbers that this one was made from";

/// All known encodings.
#[rustfmt::skip]
static ENCODINGS: [Encoding; 8] = [
    Encoding { name: "a LoRA: changes to a model, without the model or not merged into it",
        signs: &["lora_A", "lora_B", "lora_down", "lora_up", "lora_magnitude", ".lora.", "lora_embedding"], globals: &[],
        hint: "merge it into its model and save that, for instance with peft: `model.merge_and_unload().save_pretrained(folder)`" },
    Encoding { name: "weights quantised by bitsandbytes", signs: &[".absmax", ".quant_map", ".quant_state", ".SCB"],
        globals: &["bitsandbytes."], hint: NOT_QUANTISED },
    Encoding { name: "weights quantised by GPTQ or AWQ", signs: &[".qweight", ".qzeros", ".g_idx"], globals: &[], hint: NOT_QUANTISED },
    Encoding { name: "weights quantised by quanto", signs: &[".weight._data", ".weight._scale"],
        globals: &["optimum.quanto.", "quanto."], hint: NOT_QUANTISED },
    Encoding { name: "weights quantised by torchao",
        signs: &["_weight_qdata", ":qdata", ".qdata", ".tensor_impl", ".original_weight_tensor"], globals: &["torchao."], hint: NOT_QUANTISED },
    Encoding { name: "weights quantised by compressed-tensors",
        signs: &[".weight_packed", ".weight_scale", ".weight_zero_point"], globals: &["compressed_tensors."], hint: NOT_QUANTISED },
    Encoding { name: "weights quantised by PyTorch", signs: &["._packed_params"],
        globals: &["torch.ao.", "torch.quantization.", "torch._utils._rebuild_qtensor", "torch.qint8", "torch.quint8"], hint: NOT_QUANTISED },
    Encoding { name: "float8 or other small numbers", signs: &[],
        globals: &["torch._utils._rebuild_tensor_v3", "torch.float8_"], hint: NOT_QUANTISED },
];

impl Encoding {
    /// The encoding whose pickles name this class or function.
    pub(super) fn by_global(global: &str) -> Option<&'static Encoding> {
        let names = |encoding: &&Encoding| encoding.globals.iter().any(|start| global.starts_with(start));
        ENCODINGS.iter().find(names)
    }

    /// An error that says so; `sign` is what shows it.
    pub(super) fn refusal(&self, path: &Path, sign: &str) -> Error {
        Error::Unsupported {
            path: path.to_owned(),
            problem: format!("it holds {} (`{sign}`)", self.name),
            hint: Some(self.hint.into()),
        }
    }
}

impl Family {
    /// The family that transformers' config names.
    fn by_model_type(model_type: &str) -> Option<&'static Family> {
        FAMILIES.iter().find(|family| family.model_types.contains(&model_type))
    }

    /// An error that says that a file holds this model; `sign` is what shows it.
    fn refusal(&self, path: &Path, sign: &str) -> Error {
        let problem = format!(
            "it holds {} ({sign}), which can't be computed here: {}",
            self.name, self.differs
        );
        let hint = hint!(
            "use a CLIP with a plain ViT and CLIP's own text tower, such as OpenAI's, Long-CLIP and most of open_clip's: {} shows \
             those that have names",
            Control::ListModels
        );
        Error::Unsupported {
            path: path.to_owned(),
            problem,
            hint: Some(hint),
        }
    }
}

/// An error that names the model or the encoding of a file that was refused, if its tensors or the `model_type` of its
/// config show one.
pub(super) fn refusal(file: &TensorFile, model_type: Option<&str>) -> Option<Error> {
    let first = |patterns: &[&str]| {
        let is_sign = |name: &&String| patterns.iter().any(|pattern| matches(pattern, name));
        file.tensors.keys().find(is_sign)
    };
    for encoding in &ENCODINGS {
        if let Some(name) = first(encoding.signs) {
            return Some(encoding.refusal(&file.path, name));
        }
    }
    let by_names = FAMILIES.iter().find_map(|family| {
        let sign = first(family.signs).filter(|_| first(family.lacks).is_none())?;
        Some((family, format!("`{sign}`")))
    });
    match by_names {
        Some((family, sign)) => Some(family.refusal(&file.path, &sign)),
        None => of_config(&file.path, model_type?),
    }
}

/// An error for weights whose config names another model.
pub(super) fn of_config(path: &Path, model_type: &str) -> Option<Error> {
    let family = Family::by_model_type(model_type)?;
    Some(family.refusal(path, &format!("its config says `{model_type}`")))
}

/// Whether a name has the pieces of a pattern between its `*`, in this order. A pattern that begins with `^` must match
/// from the first character.
fn matches(pattern: &str, name: &str) -> bool {
    let (is_anchored, pattern) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut rest = name;
    for (i, piece) in pattern.split('*').enumerate() {
        match rest.find(piece) {
            Some(at) if !(is_anchored && i == 0 && at > 0) => rest = &rest[at + piece.len()..],
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests;
