//! The recipe that generates a model's weights from the names of its tensors, so that goldens of models of real size can
//! be checked without their files.
//!
//! Element i of a tensor is `offset + scale * u`, with u in [-1, 1) from SplitMix64 of (FNV-1a of the name, i). It is
//! computed in f64 and rounded to f32 and then to f16. It follows "The recipe" in `../shared/reference/README.md` and
//! `specs()` of `clip_reference.py` there. Names and shapes are upstream's; values are row-major.

mod files;

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

pub(crate) use files::{Stored, write_safetensors, write_torch};

/// Widths and depths of a model. Its heads have 64 dimensions.
#[derive(Clone, Copy, serde::Deserialize)]
pub(crate) struct Config {
    pub(crate) resolution: usize,
    patch: usize,
    vision_width: usize,
    vision_layers: usize,
    embed: usize,
    text_width: usize,
    text_layers: usize,
    pub(crate) vocab: usize,
}

impl Config {
    /// The reference's two-layer model with CLIP's complete vocabulary, so that it can read texts.
    pub(crate) const SMALL: Config = Config {
        resolution: 64,
        patch: 16,
        vision_width: 128,
        vision_layers: 2,
        embed: 64,
        text_width: 64,
        text_layers: 2,
        vocab: 49408,
    };
}

/// Which position tables a model has.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Positions {
    /// Long-CLIP: 248 rows, in a fixed and a trained table.
    Long,
    /// CLIP: the first 77 rows of the fixed table.
    Short,
}

/// A tensor and how it is generated.
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    offset: f64,
    scale: f64,
}

impl Tensor {
    /// The values, exact in f16 except for the temperature and with `F32Unrounded`.
    pub(crate) fn values(&self, stored: Stored) -> Vec<f32> {
        let mut values = recipe(&self.name, self.shape.iter().product(), self.offset, self.scale);
        if self.name != "logit_scale" && stored != Stored::F32Unrounded {
            round_to_f16(&mut values);
        }
        values
    }
}

/// All tensors of a model, in `specs()`' order.
pub(crate) fn tensors(config: &Config, positions: Positions) -> Vec<Tensor> {
    let mut specs = Specs(Vec::new());
    let (vision, text, embed) = (config.vision_width, config.text_width, config.embed);
    let n_patches = (config.resolution / config.patch).pow(2);
    let rows = if positions == Positions::Long { 248 } else { 77 };
    specs.weight("positional_embedding", &[rows, text], 0.01);
    if positions == Positions::Long {
        specs.weight("positional_embedding_res", &[rows, text], 0.01);
    }
    specs.weight("text_projection", &[text, embed], (text as f64).powf(-0.5));
    specs.add("logit_scale", &[], 4.6052, 0.0);
    let spread = (vision as f64).powf(-0.5);
    specs.weight("visual.class_embedding", &[vision], spread);
    specs.weight("visual.positional_embedding", &[n_patches + 1, vision], spread);
    specs.weight("visual.proj", &[vision, embed], spread);
    let patch_values = (3 * config.patch * config.patch) as f64;
    let conv = [vision, 3, config.patch, config.patch];
    specs.weight("visual.conv1.weight", &conv, patch_values.powf(-0.5));
    specs.norm("visual.ln_pre", vision);
    specs.norm("visual.ln_post", vision);
    specs.blocks("visual.transformer", vision, config.vision_layers);
    specs.blocks("transformer", text, config.text_layers);
    specs.weight("token_embedding.weight", &[config.vocab, text], 0.02);
    specs.norm("ln_final", text);
    specs.0
}

/// Builds the list for `tensors`.
struct Specs(Vec<Tensor>);

impl Specs {
    fn add(&mut self, name: &str, shape: &[usize], offset: f64, scale: f64) {
        self.0.push(Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            offset,
            scale,
        });
    }

    /// Values around zero with this standard deviation, which for a uniform distribution is its scale over √3.
    fn weight(&mut self, name: &str, shape: &[usize], deviation: f64) {
        self.add(name, shape, 0.0, 3f64.sqrt() * deviation);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width], 1.0, 0.25);
        self.add(&format!("{name}.bias"), &[width], 0.0, 0.1);
    }

    fn blocks(&mut self, tower: &str, w: usize, layers: usize) {
        let width = w as f64;
        let into_residual = width.powf(-0.5) * (2.0 * layers as f64).powf(-0.5);
        for i in 0..layers {
            let name = |part: &str| format!("{tower}.resblocks.{i}.{part}");
            self.weight(&name("attn.in_proj_weight"), &[3 * w, w], width.powf(-0.5));
            self.add(&name("attn.in_proj_bias"), &[3 * w], 0.0, 0.05);
            self.weight(&name("attn.out_proj.weight"), &[w, w], into_residual);
            self.add(&name("attn.out_proj.bias"), &[w], 0.0, 0.05);
            self.norm(&name("ln_1"), w);
            self.weight(&name("mlp.c_fc.weight"), &[4 * w, w], (2.0 * width).powf(-0.5));
            self.add(&name("mlp.c_fc.bias"), &[4 * w], 0.0, 0.05);
            self.weight(&name("mlp.c_proj.weight"), &[w, 4 * w], into_residual);
            self.add(&name("mlp.c_proj.bias"), &[w], 0.0, 0.05);
            self.norm(&name("ln_2"), w);
        }
    }
}

/// A test image: normalised pixels `(3, resolution, resolution)`.
pub(crate) fn picture(name: &str, resolution: usize) -> Vec<f32> {
    let mut values = recipe(name, 3 * resolution * resolution, 0.2, 2.0);
    round_to_f16(&mut values);
    values
}

/// Token ids: the start token, `n` smaller ids, and the end token, which is the largest id. Not padded.
pub(crate) fn ids(name: &str, n: usize, vocab: usize) -> Vec<u32> {
    let start = vocab - 2;
    let body = uniform(name, n).map(|u| ((u + 1.0) / 2.0 * start as f64) as u32);
    [start as u32]
        .into_iter()
        .chain(body)
        .chain([vocab as u32 - 1])
        .collect()
}

/// `offset + scale * u`, computed in f64, as f32. Long tensors are generated in parts on several threads.
pub(crate) fn recipe(name: &str, n: usize, offset: f64, scale: f64) -> Vec<f32> {
    const PART: usize = 1 << 16;
    let hash = fnv1a_64(name);
    let mut values = vec![0.0; n];
    values.par_chunks_mut(PART).enumerate().for_each(|(part, values)| {
        let first = (part * PART) as u64;
        for (value, i) in values.iter_mut().zip(first..) {
            *value = (offset + scale * at(hash, i)) as f32;
        }
    });
    values
}

fn uniform(name: &str, n: usize) -> impl Iterator<Item = f64> {
    let hash = fnv1a_64(name);
    (0..n as u64).map(move |i| at(hash, i))
}

/// Element i of the stream of a hash: the top 24 bits of SplitMix64, in [-1, 1).
fn at(hash: u64, i: u64) -> f64 {
    let mut z = hash.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    (z >> 40) as f64 * 2f64.powi(-23) - 1.0
}

fn fnv1a_64(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    name.bytes().fold(0xCBF2_9CE4_8422_2325, step)
}

fn round_to_f16(values: &mut [f32]) {
    values.par_chunks_mut(1 << 14).for_each(|part| {
        let mut halves = vec![f16::ZERO; part.len()];
        halves.convert_from_f32_slice(part);
        halves.convert_to_f32_slice(part);
    });
}
