//! A model with random weights, for training from scratch.
//!
//! OpenAI's initialisation (CLIP, `model.py`, `initialize_parameters`): normal distributions whose standard deviations
//! follow from widths and depths; biases 0, gains 1, and inverse temperature 1 / 0.07. The text tower has one position
//! table, as long as the config says, and trains all of it, since nothing learned has to be kept.

use candle_core::{Device, Tensor};

use super::parameters::Parameters;
use crate::error::{Error, Result};
use crate::random::Random;
use crate::weights::{Architecture, Sizes};

/// The logarithm of 1 / 0.07, CLIP's initial inverse temperature (Radford et al. 2021, section 2.5).
pub(super) const FIRST_LOGIT_SCALE: f64 = 2.659_260_036_932_778;

/// The first of the random streams for tensors. The streams below it are those of epochs.
const FIRST_STREAM: u64 = 1 << 62;

/// Makes the weights of an architecture. The same seed makes the same weights.
///
/// # Errors
/// As [`Parameters::from_checkpoint`].
pub(super) fn fresh(architecture: &Architecture, seed: u64, freeze: &[String], device: &Device) -> Result<Parameters> {
    let sizes = &architecture.sizes;
    let mut tensors = Vec::new();
    let all = sizes.tensors().into_iter();
    for (stream, (name, shape)) in (FIRST_STREAM..).zip(all.filter(|(name, _)| architecture.recipe.has(name))) {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = match initial_values(&name, sizes) {
            InitialValues::All(value) => vec![value as f32; n],
            InitialValues::Normal(deviation) => {
                let mut random = Random::new(seed, stream);
                (0..n).map(|_| (deviation * random.normal()) as f32).collect()
            }
        };
        let tensor = Tensor::from_vec(values, shape, device).map_err(Error::compute(format!("making `{name}`")))?;
        tensors.push((name, tensor));
    }
    Parameters::of_tensors(tensors, sizes.clone(), architecture.recipe.clone(), freeze)
}

/// The initial values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
enum InitialValues {
    All(f64),
    /// Normally distributed with mean 0 and this standard deviation.
    Normal(f64),
}

fn initial_values(name: &str, sizes: &Sizes) -> InitialValues {
    let (width, layers) = match name.starts_with("visual.") {
        true => (sizes.vision_width as f64, sizes.vision_layers as f64),
        false => (sizes.text_width as f64, sizes.text_layers as f64),
    };
    let fan_in_of_patches = (3 * sizes.patch_px * sizes.patch_px) as f64;
    match name {
        "logit_scale" => InitialValues::All(FIRST_LOGIT_SCALE),
        "token_embedding.weight" => InitialValues::Normal(0.02),
        "positional_embedding" => InitialValues::Normal(0.01),
        "visual.conv1.weight" => InitialValues::Normal(fan_in_of_patches.powf(-0.5)),
        "text_projection" | "visual.proj" | "visual.class_embedding" | "visual.positional_embedding" => {
            InitialValues::Normal(width.powf(-0.5))
        }
        _ if name.ends_with("bias") => InitialValues::All(0.0),
        _ if name.contains("ln_") => InitialValues::All(1.0),
        _ if name.ends_with("in_proj_weight") => InitialValues::Normal(width.powf(-0.5)),
        _ if name.ends_with("c_fc.weight") => InitialValues::Normal((2.0 * width).powf(-0.5)),
        // `out_proj` and `c_proj`, whose outputs are added to the residual stream.
        _ => InitialValues::Normal(width.powf(-0.5) * (2.0 * layers).powf(-0.5)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Activation;
    use crate::train::testing::values;

    fn architecture() -> Architecture {
        let config = serde_json::json!({
            "embed_dim": 32,
            "vision_cfg": { "image_size": 32, "layers": 2, "width": 64, "patch_size": 8 },
            "text_cfg": { "context_length": 16, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 3 },
        });
        Architecture::from_json(&config, "config.json").unwrap()
    }

    #[test]
    fn weights_follow_from_the_seed_and_have_openais_deviations() {
        let architecture = architecture();
        assert_eq!(architecture.recipe.text.activation, Activation::Gelu);
        let made = |seed| fresh(&architecture, seed, &[], &Device::Cpu).unwrap();
        let (first, again, other) = (made(1), made(1), made(2));
        let weight = |parameters: &Parameters, name: &str| values(parameters.tensors()[name]);
        let c_proj = "transformer.resblocks.2.mlp.c_proj.weight";
        assert_eq!(weight(&first, c_proj), weight(&again, c_proj));
        assert_ne!(weight(&first, c_proj), weight(&other, c_proj));
        let numbers = weight(&first, c_proj);
        let deviation = (numbers.iter().map(|x| x * x).sum::<f64>() / numbers.len() as f64).sqrt();
        assert!((deviation * 8.0 * 6f64.sqrt() - 1.0).abs() < 0.05, "{deviation}");
        assert_eq!(weight(&first, "visual.ln_pre.weight"), vec![1.0; 64]);
        assert_eq!(weight(&first, "ln_final.bias"), vec![0.0; 64]);
        assert!(first.trained().contains_key("positional_embedding"));
        assert_eq!(first.sizes().text_heads, 2);
    }
}
