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
static FAMILIES: [Family; 42] = [
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
    family("a MetaCLIP 2 (worldwide)", "its tokenizer is XLM-V's, with 901,629 entries",
        &["metaclip_2", "metaclip_2_text_model", "metaclip_2_vision_model"], &[]),
    family("a CLAP", "it compares texts with sounds", &["clap", "clap_text_model", "clap_audio_model"], &["^audio_model."]),
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

    /// An error that says so; `sign` is where it is seen.
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

    /// An error that says that a file holds this model; `sign` is where that is seen.
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
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;

    use super::super::stored::{FileFormat, StoredTensor, StoredType};
    use super::*;

    /// What is said about a file with tensors of these names.
    fn said(names: &[&str]) -> String {
        let tensor = |name: &&str| {
            (
                (*name).to_owned(),
                StoredTensor::row_major(StoredType::F32, vec![1], 0, 0),
            )
        };
        let file = TensorFile {
            path: "x".into(),
            format: FileFormat::Safetensors,
            blobs: Vec::new(),
            tensors: BTreeMap::from_iter(names.iter().map(tensor)),
        };
        match refusal(&file, None) {
            Some(error) => error.to_string(),
            None => format!("{names:?} are not known"),
        }
    }

    /// Names from files that transformers 5, open_clip 3.3, timm and the models' own repositories write.
    #[rustfmt::skip]
    const TRUE_NAMES: [&[&str]; 38] = [
        &["vision_model.head.probe", "logit_bias", "text_model.head.weight"],
        &["visual.trunk.attn_pool.latent", "logit_bias", "text.text_projection.bias"],
        &["visual.trunk.attn_pool.latent", "visual.trunk.norm_pre.weight"],
        &["text_model.roberta.embeddings.word_embeddings.weight", "vision_model.embeddings.class_embedding"],
        &["text_model.embeddings.word_embeddings.weight", "text_model.encoder.layer.0.output.dense.weight"],
        &["text_model.encoder.layer.0.crossattention.self.query.weight", "text_model.embeddings.word_embeddings.weight"],
        &["visual_encoder.blocks.0.attn.qkv.weight", "text_encoder.embeddings.word_embeddings.weight"],
        &["query_tokens", "qformer.layernorm.weight", "vision_model.embeddings.class_embedding"],
        &["vision_model.encoder.stages.0.group_token", "text_model.final_layer_norm.weight"],
        &["vision_model.pre_layernorm.weight", "text_model.final_layer_norm.weight"],
        &["owlvit.text_model.final_layer_norm.weight", "class_head.dense0.weight"],
        &["vision_model.pre_layernorm.weight", "mit.position_embedding", "prompts_generator.alpha"],
        &["clip.text_model.final_layer_norm.weight", "decoder.film_mul.weight"],
        &["vision_model.rms_norm.weight", "text_model.rms_norm.weight"],
        &["vision_model.embeddings.convolution.weight", "text_model.embeddings.word_embeddings.weight"],
        &["image_model.encoder.layer.0.output.dense.weight", "text_model.embeddings.word_embeddings.weight"],
        &["visual.trunk.stages.0.blocks.0.token_mixer.mixer.identity.weight", "text.ln_final.weight"],
        &["image_encoder.model.network.0.0.layer_scale", "text_encoder.embedding_layer.weight"],
        &["visual.trunk.patch_embed.backbone.0.conv.weight", "visual.trunk.blocks.0.attn.qkv.weight"],
        &["visual.trunk.patch_embed.backbone.stem.conv1.weight", "visual.trunk.blocks.0.attn.qkv.weight"],
        &["visual.trunk.blocks.0.mlp.fc1_g.weight", "visual.trunk.blocks.0.attn.q_proj.weight"],
        &["visual.blocks.0.attn.q_bias", "visual.rope.freqs_cos", "text.ln_final.weight"],
        &["visual.layer1.0.conv1.weight", "visual.attnpool.positional_embedding", "ln_final.weight"],
        &["visual.trunk.stages.0.blocks.0.conv_dw.weight", "ln_final.weight"],
        &["visual.trunk.layers.0.blocks.0.attn.relative_position_bias_table", "ln_final.weight"],
        &["visual.trunk.blocks.0.attn.rel_pos.mlp.fc1.weight", "visual.trunk.blocks.0.ls1.gamma"],
        &["visual.trunk.blocks.0.ls1.gamma", "visual.trunk.pos_embed"],
        &["text.cls_emb", "text_decoder.ln_final.weight", "visual.attn_pool.query"],
        &["text.transformer.embeddings.word_embeddings.weight", "text.proj.0.weight", "visual.conv1.weight"],
        &["transformer.resblocks.0.attn.cope.pos_emb", "ln_final.weight"],
        &["sparse_net_cap.score.0.weight", "aggr_net.scale", "visual.proj"],
        &["visual.class_embedding", "ln_final.weight"],
        &["model.diffusion_model.out.0.weight", "cond_stage_model.transformer.text_model.final_layer_norm.weight"],
        &["embeddings.token_embedding.weight", "encoder.layers.0.self_attn.q_proj.weight", "final_layer_norm.weight"],
        &["embeddings.class_embedding", "encoder.layers.0.self_attn.q_proj.weight", "pre_layrnorm.weight"],
        &["embeddings.patch_embeddings.projection.weight"],
        &["bert.embeddings.word_embeddings.weight"],
        &["language_model.model.layers.0.mlp.gate_proj.weight", "multi_modal_projector.linear_1.weight"],
    ];

    #[test]
    fn each_family_is_known_by_its_true_names() {
        let said = TRUE_NAMES.map(said);
        assert_snapshot!(said.join("\n"), @r"
        cannot use `x`: it holds a SigLIP, SigLIP 2 or a model made from them (`text_model.head.weight`), which can't be computed here: it pools by attention and has another tokenizer
        cannot use `x`: it holds a SigLIP, SigLIP 2 or a model made from them (`visual.trunk.attn_pool.latent`), which can't be computed here: it pools by attention and has another tokenizer
        cannot use `x`: it holds a Perception Encoder (PE) (`visual.trunk.attn_pool.latent`), which can't be computed here: its image tower has rotary positions and pools by attention
        cannot use `x`: it holds an AltCLIP (`text_model.roberta.embeddings.word_embeddings.weight`), which can't be computed here: its text tower is an XLM-RoBERTa, with another tokenizer
        cannot use `x`: it holds a Chinese-CLIP (`text_model.embeddings.word_embeddings.weight`), which can't be computed here: its text tower is a Chinese BERT, with another tokenizer
        cannot use `x`: it holds a BLIP or ALBEF (`text_model.encoder.layer.0.crossattention.self.query.weight`), which can't be computed here: its text tower is a BERT that looks at the image
        cannot use `x`: it holds a BLIP or ALBEF (`visual_encoder.blocks.0.attn.qkv.weight`), which can't be computed here: its text tower is a BERT that looks at the image
        cannot use `x`: it holds a BLIP-2 or InstructBLIP (`qformer.layernorm.weight`), which can't be computed here: it has a Q-Former between its image tower and a language model
        cannot use `x`: it holds a GroupViT (`vision_model.encoder.stages.0.group_token`), which can't be computed here: its image tower groups patches
        cannot use `x`: it holds an OWL-ViT or OWLv2 (`vision_model.pre_layernorm.weight`), which can't be computed here: it finds objects by their patches
        cannot use `x`: it holds an OWL-ViT or OWLv2 (`class_head.dense0.weight`), which can't be computed here: it finds objects by their patches
        cannot use `x`: it holds an X-CLIP (`mit.position_embedding`), which can't be computed here: it reads videos
        cannot use `x`: it holds a CLIPSeg (`decoder.film_mul.weight`), which can't be computed here: it cuts out image regions by a decoder
        cannot use `x`: it holds an AIMv2 (`vision_model.rms_norm.weight`), which can't be computed here: its towers have RMS norms and gated layers
        cannot use `x`: it holds an ALIGN (`vision_model.embeddings.convolution.weight`), which can't be computed here: its towers are a BERT and an EfficientNet
        cannot use `x`: it holds a FLAVA (`image_model.encoder.layer.0.output.dense.weight`), which can't be computed here: its towers are a BERT and a ViT of their own kind, joined by a third
        cannot use `x`: it holds a MobileCLIP or MobileCLIP 2 of size S (`visual.trunk.stages.0.blocks.0.token_mixer.mixer.identity.weight`), which can't be computed here: its image tower is convolutional (FastViT)
        cannot use `x`: it holds a MobileCLIP or MobileCLIP 2 of size S (`image_encoder.model.network.0.0.layer_scale`), which can't be computed here: its image tower is convolutional (FastViT)
        cannot use `x`: it holds a MobileCLIP B (`visual.trunk.patch_embed.backbone.0.conv.weight`), which can't be computed here: its image tower begins with convolutions and batch norms
        cannot use `x`: it holds a ViTamin (`visual.trunk.patch_embed.backbone.stem.conv1.weight`), which can't be computed here: its image tower begins with convolutional stages
        cannot use `x`: it holds an EVA CLIP (`visual.trunk.blocks.0.attn.q_proj.weight`), which can't be computed here: its image tower has rotary positions, gated layers and norms inside the attention
        cannot use `x`: it holds an EVA CLIP (`visual.blocks.0.attn.q_bias`), which can't be computed here: its image tower has rotary positions, gated layers and norms inside the attention
        cannot use `x`: it holds a CLIP with a ResNet as its image tower (`visual.attnpool.positional_embedding`), which can't be computed here: that tower is convolutional
        cannot use `x`: it holds a CLIP with a ConvNeXt as its image tower (`visual.trunk.stages.0.blocks.0.conv_dw.weight`), which can't be computed here: that tower is convolutional
        cannot use `x`: it holds a CLIP with a Swin Transformer as its image tower (`visual.trunk.layers.0.blocks.0.attn.relative_position_bias_table`), which can't be computed here: that tower attends in windows
        cannot use `x`: it holds a CLIP with a ViT of relative positions as its image tower (`visual.trunk.blocks.0.attn.rel_pos.mlp.fc1.weight`), which can't be computed here: its attention adds a bias of its own
        cannot use `x`: it holds a CLIP with layer scale (`visual.trunk.blocks.0.ls1.gamma`), which can't be computed here: each block's output is multiplied by a vector
        cannot use `x`: it holds a CoCa (`text.cls_emb`), which can't be computed here: its towers pool by attention, and it writes captions
        cannot use `x`: it holds an open_clip model whose text tower is a BERT or another model of transformers (as in LoTLIP) (`text.transformer.embeddings.word_embeddings.weight`), which can't be computed here: that tower has another tokenizer
        cannot use `x`: it holds a TULIP (`transformer.resblocks.0.attn.cope.pos_emb`), which can't be computed here: its text tower has contextual positions inside the attention
        cannot use `x`: it holds a FineLIP (`aggr_net.scale`), which can't be computed here: it compares images and texts token by token
        cannot use `x`: it holds a CLIPA (`visual.class_embedding`), which can't be computed here: its image tower has no first norm and is averaged, and its tokenizer is another
        cannot use `x`: it holds a Stable Diffusion or other image generator (`model.diffusion_model.out.0.weight`), which can't be computed here: it makes images
        cannot use `x`: it holds the text tower of a CLIP alone, as image generators use it (`embeddings.token_embedding.weight`), which can't be computed here: it has no projection to embeddings
        cannot use `x`: it holds the image tower of a CLIP alone, as language models use it (`embeddings.class_embedding`), which can't be computed here: it has no projection to embeddings
        cannot use `x`: it holds a DINO or another image model without texts (`embeddings.patch_embeddings.projection.weight`), which can't be computed here: it has no text tower
        cannot use `x`: it holds a BERT or another model of texts (`bert.embeddings.word_embeddings.weight`), which can't be computed here: its tokenizer and its layers are not CLIP's
        cannot use `x`: it holds a vision language model (`language_model.model.layers.0.mlp.gate_proj.weight`), which can't be computed here: it writes text about images
        ");
    }

    #[test]
    fn each_encoding_is_known_by_its_true_names() {
        let files: [&[&str]; 8] = [
            &["base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"],
            &["lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"],
            &["visual.proj.absmax", "visual.proj.quant_map"],
            &["text_model.encoder.layers.0.mlp.fc1.SCB"],
            &[
                "text_model.encoder.layers.0.mlp.fc1.qweight",
                "text_model.encoder.layers.0.mlp.fc1.qzeros",
            ],
            &[
                "text_model.encoder.layers.0.mlp.fc1.weight._data",
                "text_model.encoder.layers.0.mlp.fc1.weight._scale",
            ],
            &["text_model.encoder.layers.0.mlp.fc1.weight_packed"],
            &["0._packed_params._packed_params"],
        ];
        let said: Vec<String> = files.iter().map(|names| said(names)).collect();
        assert_snapshot!(said.join("\n"), @r"
        cannot use `x`: it holds a LoRA: changes to a model, without the model or not merged into it (`base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight`)
        cannot use `x`: it holds a LoRA: changes to a model, without the model or not merged into it (`lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight`)
        cannot use `x`: it holds weights quantised by bitsandbytes (`visual.proj.absmax`)
        cannot use `x`: it holds weights quantised by bitsandbytes (`text_model.encoder.layers.0.mlp.fc1.SCB`)
        cannot use `x`: it holds weights quantised by GPTQ or AWQ (`text_model.encoder.layers.0.mlp.fc1.qweight`)
        cannot use `x`: it holds weights quantised by quanto (`text_model.encoder.layers.0.mlp.fc1.weight._data`)
        cannot use `x`: it holds weights quantised by compressed-tensors (`text_model.encoder.layers.0.mlp.fc1.weight_packed`)
        cannot use `x`: it holds weights quantised by PyTorch (`0._packed_params._packed_params`)
        ");
        let globals = [
            "torchao.dtypes.affine_quantized_tensor.AffineQuantizedTensor",
            "optimum.quanto.tensor.weights.qbytes.WeightQBytesTensor",
            "bitsandbytes.nn.modules.Params4bit",
            "torch._utils._rebuild_qtensor",
            "torch._utils._rebuild_tensor_v3",
        ];
        let of_global = |global: &&str| {
            Encoding::by_global(global)
                .unwrap()
                .refusal(Path::new("x"), global)
                .to_string()
        };
        assert_snapshot!(globals.iter().map(of_global).collect::<Vec<_>>().join("\n"), @r"
        cannot use `x`: it holds weights quantised by torchao (`torchao.dtypes.affine_quantized_tensor.AffineQuantizedTensor`)
        cannot use `x`: it holds weights quantised by quanto (`optimum.quanto.tensor.weights.qbytes.WeightQBytesTensor`)
        cannot use `x`: it holds weights quantised by bitsandbytes (`bitsandbytes.nn.modules.Params4bit`)
        cannot use `x`: it holds weights quantised by PyTorch (`torch._utils._rebuild_qtensor`)
        cannot use `x`: it holds float8 or other small numbers (`torch._utils._rebuild_tensor_v3`)
        ");
    }

    #[test]
    fn a_family_is_known_by_the_type_of_its_config() {
        let of_type = |model_type| of_config(Path::new("x"), model_type).unwrap().to_string();
        assert_snapshot!(["siglip2", "metaclip_2", "chinese_clip"].map(of_type).join("\n"), @r"
        cannot use `x`: it holds a SigLIP, SigLIP 2 or a model made from them (its config says `siglip2`), which can't be computed here: it pools by attention and has another tokenizer
        cannot use `x`: it holds a MetaCLIP 2 (worldwide) (its config says `metaclip_2`), which can't be computed here: its tokenizer is XLM-V's, with 901,629 entries
        cannot use `x`: it holds a Chinese-CLIP (its config says `chinese_clip`), which can't be computed here: its text tower is a Chinese BERT, with another tokenizer
        ");
        assert!(Family::by_model_type("clip").is_none());
    }

    #[test]
    fn the_names_of_a_clip_are_no_sign() {
        for layout in super::super::layouts::all() {
            let sizes = crate::weights::Checkpoint::from_bytes(
                "nano",
                crate::nano::safetensors(),
                &crate::weights::LoadOptions::default(),
            )
            .unwrap()
            .sizes()
            .tensors();
            let none = TensorFile {
                path: "x".into(),
                format: FileFormat::Safetensors,
                blobs: Vec::new(),
                tensors: BTreeMap::new(),
            };
            let names: Vec<String> = sizes
                .iter()
                .flat_map(|(name, _)| {
                    let assembly = (layout.assembly)(&none, name);
                    assembly.parts().into_iter().map(str::to_owned).collect::<Vec<_>>()
                })
                .collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            assert!(said(&names).ends_with("are not known"), "{}", said(&names));
        }
    }
}
