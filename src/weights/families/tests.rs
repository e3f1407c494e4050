//! Other families and encodings by their true names.

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
const TRUE_NAMES: [&[&str]; 46] = [
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
    &["text_model.transformer.embeddings.word_embeddings.weight", "vision_model.blocks.0.attn.q_proj.weight"],
    &["audio_model.audio_encoder.batch_norm.weight", "text_model.embeddings.word_embeddings.weight"],
    &["modality_trunks.vision.blocks.0.attn.in_proj_weight", "modality_heads.text.proj.0.weight"],
    &["vilt.embeddings.text_embeddings.word_embeddings.weight", "vilt.encoder.layer.0.output.dense.weight"],
    &["resnet.embedder.embedder.convolution.weight"],
    &["encoder.block.0.layer.0.SelfAttention.q.weight", "shared.weight"],
    &["model.layers.0.mlp.gate_proj.weight", "model.embed_tokens.weight"],
    &["visual.trunk.blocks.0.attn.qkv.weight", "visual.trunk.pos_embed", "ln_final.weight"],
];

#[test]
fn each_family_is_known_by_its_true_names() {
    let said = TRUE_NAMES.map(said);
    for family in &FAMILIES {
        let is_named = said
            .iter()
            .any(|said| said.contains(&format!("it holds {} (", family.name)));
        assert!(is_named, "no names of {}", family.name);
    }
    assert_snapshot!(said.join("\n"), @"
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
    cannot use `x`: it holds a Jina CLIP (`text_model.transformer.embeddings.word_embeddings.weight`), which can't be computed here: its towers are a BERT and an EVA, with rotary positions
    cannot use `x`: it holds a CLAP (`audio_model.audio_encoder.batch_norm.weight`), which can't be computed here: it compares texts with sounds
    cannot use `x`: it holds an ImageBind (`modality_trunks.vision.blocks.0.attn.in_proj_weight`), which can't be computed here: its towers are of their own kind
    cannot use `x`: it holds a ViLT (`vilt.embeddings.text_embeddings.word_embeddings.weight`), which can't be computed here: one transformer reads image and text together
    cannot use `x`: it holds a ResNet or another convolutional image model without texts (`resnet.embedder.embedder.convolution.weight`), which can't be computed here: it has no text tower
    cannot use `x`: it holds a T5 or another model of texts (`encoder.block.0.layer.0.SelfAttention.q.weight`), which can't be computed here: its tokenizer and its layers are not CLIP's
    cannot use `x`: it holds a language model (`model.layers.0.mlp.gate_proj.weight`), which can't be computed here: it writes text and has no image tower
    cannot use `x`: it holds an image tower of timm that is not a plain CLIP ViT (`visual.trunk.blocks.0.attn.qkv.weight`), which can't be computed here: it is computed in another way
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
    let is_said = |encoding: &Encoding| {
        said.iter()
            .any(|said| said.contains(&format!("it holds {} (", encoding.name)))
    };
    let has_global = |encoding: &Encoding| {
        globals
            .iter()
            .any(|global| global.starts_with(encoding.globals.first().unwrap_or(&"-")))
    };
    for encoding in &ENCODINGS {
        assert!(
            is_said(encoding) || has_global(encoding),
            "no names of {}",
            encoding.name
        );
    }
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
    for family in &FAMILIES {
        for model_type in family.model_types {
            assert!(
                of_type(model_type).contains(&format!("it holds {} (", family.name)),
                "{model_type}"
            );
        }
    }
    assert_snapshot!(["siglip2", "chinese_clip"].map(of_type).join("\n"), @r"
    cannot use `x`: it holds a SigLIP, SigLIP 2 or a model made from them (its config says `siglip2`), which can't be computed here: it pools by attention and has another tokenizer
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
