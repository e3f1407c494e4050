//! candle-transformers' CLIP gives the same results with the same weights. The largest measured difference is 3.2e-6 per value.
//!
//! It uses Hugging Face's names, so for it queries, keys and values are split, projections transposed, and the two position
//! tables merged. It computes a text at full length with a mask, while ours stops at the end token.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::clip::text_model::{Activation, ClipTextConfig};
use candle_transformers::models::clip::vision_model::ClipVisionConfig;
use candle_transformers::models::clip::{ClipConfig, ClipModel};
use longclip::weights::{Checkpoint, LoadOptions, Sizes};

use crate::recipe::{Positions, Stored, write_safetensors};
use crate::reference::{Golden, check_values, open, slices};

/// The bound on the difference of a feature value; features are around 1.
const DIFFERENCE_MAX: f64 = 1e-5;

#[test]
fn agrees_with_candle_transformers_on_images_and_texts() {
    let golden = Golden::read("model-tiny.json");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tiny.safetensors");
    write_safetensors(&path, &golden.config, Positions::Long, Stored::F32).unwrap();
    let oracle = oracle(&Checkpoint::open(&path, &LoadOptions::default()).unwrap());
    let ours = open(&path);

    let pictures = golden.recipe_pictures();
    let side = golden.config.resolution;
    let pixels: Vec<f32> = pictures.iter().flat_map(|picture| picture.values().to_vec()).collect();
    let pixels = Tensor::from_vec(pixels, (pictures.len(), 3, side, side), &Device::Cpu).unwrap();
    let theirs = values(&oracle.get_image_features(&pixels).unwrap());
    check_values(
        "images",
        ours.encode_images(&pictures).unwrap().0.values(),
        &theirs,
        DIFFERENCE_MAX,
    );

    let ids = golden.token_ids();
    let padded = ids.iter().flat_map(|ids| ids.iter().copied().chain([0; 248]).take(248));
    let tokens = Tensor::from_iter(padded, &Device::Cpu)
        .unwrap()
        .reshape((ids.len(), 248))
        .unwrap();
    let theirs = values(&oracle.get_text_features(&tokens).unwrap());
    let texts = ours.encode_token_ids(&slices(&ids)).unwrap().0;
    check_values("texts", texts.values(), &theirs, DIFFERENCE_MAX);
}

fn values(features: &Tensor) -> Vec<f64> {
    let wide = features.to_dtype(DType::F64).unwrap();
    wide.flatten_all().unwrap().to_vec1().unwrap()
}

/// A checkpoint as candle-transformers' model.
fn oracle(checkpoint: &Checkpoint) -> ClipModel {
    let sizes = checkpoint.sizes();
    let mut named = Named {
        checkpoint,
        tensors: HashMap::new(),
    };
    named.tower("visual.transformer", "vision_model", sizes.vision_layers);
    named.tower("transformer", "text_model", sizes.text_layers);
    let (vision, text) = ("vision_model.embeddings", "text_model.embeddings");
    named.copy("visual.class_embedding", &format!("{vision}.class_embedding"));
    named.copy("visual.conv1.weight", &format!("{vision}.patch_embedding.weight"));
    named.copy(
        "visual.positional_embedding",
        &format!("{vision}.position_embedding.weight"),
    );
    named.copy("token_embedding.weight", &format!("{text}.token_embedding.weight"));
    for (ours, theirs) in [
        ("visual.ln_pre", "vision_model.pre_layrnorm"),
        ("visual.ln_post", "vision_model.post_layernorm"),
        ("ln_final", "text_model.final_layer_norm"),
    ] {
        named.copy_both(ours, theirs);
    }
    for (ours, theirs) in [
        ("visual.proj", "visual_projection"),
        ("text_projection", "text_projection"),
    ] {
        let transposed = named.get(ours).t().unwrap().contiguous().unwrap();
        named.tensors.insert(format!("{theirs}.weight"), transposed);
    }
    let positions = checkpoint.text_positions().unwrap();
    let positions = Tensor::from_vec(positions, (sizes.context_length, sizes.text_width), &Device::Cpu).unwrap();
    named
        .tensors
        .insert(format!("{text}.position_embedding.weight"), positions);
    let source = VarBuilder::from_tensors(named.tensors, DType::F32, &Device::Cpu);
    ClipModel::new(source, &config(sizes)).unwrap()
}

/// Tensors under Hugging Face's names.
struct Named<'a> {
    checkpoint: &'a Checkpoint,
    tensors: HashMap<String, Tensor>,
}

impl Named<'_> {
    fn get(&self, ours: &str) -> Tensor {
        self.checkpoint.tensor(ours, DType::F32, &Device::Cpu).unwrap()
    }

    fn copy(&mut self, ours: &str, theirs: &str) {
        let tensor = self.get(ours);
        self.tensors.insert(theirs.to_owned(), tensor);
    }

    fn copy_both(&mut self, ours: &str, theirs: &str) {
        for part in ["weight", "bias"] {
            self.copy(&format!("{ours}.{part}"), &format!("{theirs}.{part}"));
        }
    }

    fn tower(&mut self, ours: &str, theirs: &str, layers: usize) {
        for i in 0..layers {
            let (ours, theirs) = (format!("{ours}.resblocks.{i}"), format!("{theirs}.encoder.layers.{i}"));
            for (a, b) in [
                ("attn.out_proj", "self_attn.out_proj"),
                ("ln_1", "layer_norm1"),
                ("ln_2", "layer_norm2"),
                ("mlp.c_fc", "mlp.fc1"),
                ("mlp.c_proj", "mlp.fc2"),
            ] {
                self.copy_both(&format!("{ours}.{a}"), &format!("{theirs}.{b}"));
            }
            for part in ["weight", "bias"] {
                let joined = self.get(&format!("{ours}.attn.in_proj_{part}"));
                for (tensor, name) in joined.chunk(3, 0).unwrap().into_iter().zip(["q", "k", "v"]) {
                    let tensor = tensor.contiguous().unwrap();
                    self.tensors
                        .insert(format!("{theirs}.self_attn.{name}_proj.{part}"), tensor);
                }
            }
        }
    }
}

fn config(sizes: &Sizes) -> ClipConfig {
    ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: sizes.vocab_size,
            embed_dim: sizes.text_width,
            activation: Activation::QuickGelu,
            intermediate_size: sizes.text_mlp_dim,
            max_position_embeddings: sizes.context_length,
            pad_with: None,
            num_hidden_layers: sizes.text_layers,
            num_attention_heads: sizes.text_heads,
            projection_dim: sizes.embed_dim,
        },
        vision_config: ClipVisionConfig {
            embed_dim: sizes.vision_width,
            activation: Activation::QuickGelu,
            intermediate_size: sizes.vision_mlp_dim,
            num_hidden_layers: sizes.vision_layers,
            num_attention_heads: sizes.vision_heads,
            projection_dim: sizes.embed_dim,
            num_channels: 3,
            image_size: sizes.image_resolution_px,
            patch_size: sizes.patch_px,
        },
        logit_scale_init_value: 0.0,
        image_size: sizes.image_resolution_px,
    }
}
