//! Primary component matching: the two losses of Long-CLIP.
//!
//! Images are matched with their long captions. Their principal components, which are what an image shares with its
//! batch, are matched with the short captions. So details from long captions don't change what short captions are about
//! (Long-CLIP, arXiv 2403.15378, section 3.2; upstream `model_longclip.py`, `forward`).

use candle_core::Tensor;
use serde::Serialize;

use super::loss::clip_loss;
use super::pca::principal_part;

/// The settings of the losses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Matching {
    /// How many principal components are matched with short captions; `None` leaves short captions out.
    pub components: Option<usize>,
    /// The share of a target that is spread over the whole batch, 0 to 1.
    pub label_smoothing: f64,
}

impl Default for Matching {
    /// The values of upstream: 32 components, smoothing 0.1.
    fn default() -> Self {
        Matching {
            components: Some(32),
            label_smoothing: 0.1,
        }
    }
}

/// The embeddings of one batch, each `(batch, embed_dim)`, not normalised. Row i belongs to sample i.
#[derive(Debug, Clone)]
pub struct BatchEmbeddings {
    /// Of the images.
    pub image: Tensor,
    /// Of their long captions.
    pub long: Tensor,
    /// Of their short captions.
    pub short: Tensor,
}

impl BatchEmbeddings {
    /// The same values without the graph that computed them, which would keep activations in memory.
    pub(super) fn detached(&self) -> Self {
        BatchEmbeddings {
            image: self.image.detach(),
            long: self.long.detach(),
            short: self.short.detach(),
        }
    }

    /// `n` rows of each tensor, from `first` on.
    pub(super) fn rows(&self, first: usize, n: usize) -> candle_core::Result<Self> {
        Ok(BatchEmbeddings {
            image: self.image.narrow(0, first, n)?,
            long: self.long.narrow(0, first, n)?,
            short: self.short.narrow(0, first, n)?,
        })
    }

    /// The sum of the products of all elements, a scalar.
    pub(super) fn dot(&self, other: &Self) -> candle_core::Result<Tensor> {
        let product = |a: &Tensor, b: &Tensor| (a * b)?.sum_all();
        let texts = (product(&self.long, &other.long)? + product(&self.short, &other.short)?)?;
        product(&self.image, &other.image)? + texts
    }
}

/// Both losses, scalars. Training minimises their sum.
#[derive(Debug, Clone)]
pub struct Losses {
    /// Images with long captions.
    pub long: Tensor,
    /// Principal components of images with short captions; 0 if [`Matching::components`] is `None`.
    pub short: Tensor,
}

/// Computes both losses. The scalar `logit_scale` is the logarithm of the inverse temperature.
///
/// # Errors
/// If the shapes don't fit, or an embedding is not finite.
pub fn losses(batch: &BatchEmbeddings, logit_scale: &Tensor, matching: &Matching) -> candle_core::Result<Losses> {
    let scale = logit_scale.exp()?;
    let image = unit_rows(&batch.image)?;
    let long = clip_loss(&image, &unit_rows(&batch.long)?, &scale, matching.label_smoothing)?;
    let short = match matching.components {
        Some(components) => {
            let principal = principal_part(&image, components)?;
            clip_loss(&principal, &unit_rows(&batch.short)?, &scale, matching.label_smoothing)?
        }
        None => long.zeros_like()?,
    };
    Ok(Losses { long, short })
}

fn unit_rows(x: &Tensor) -> candle_core::Result<Tensor> {
    x.broadcast_div(&x.sqr()?.sum_keepdim(1)?.sqrt()?)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};
    use serde_json::Value;

    use super::*;
    use crate::train::testing::{assert_close, golden, matrix, numbers, recipe, reference, values};

    /// The features of one case of the reference. Texts are images plus noise, so losses are neither 0 nor log n.
    fn features(case: &Value, dtype: DType) -> [Var; 4] {
        let name = case["name"].as_str().unwrap();
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let n = size("batch") * size("dim");
        let part = |which: &str, offset, scale| -> Vec<f64> {
            let values = recipe(&format!("{name}.{which}"), n, offset, scale);
            values.into_iter().map(f64::from).collect()
        };
        let image = part("image", 0.3, 1.0);
        let text = |which, factor: f64| -> Vec<f64> {
            let noise = part(which, 0.0, 0.7);
            image
                .iter()
                .zip(noise)
                .map(|(image, noise)| factor * image + noise)
                .collect()
        };
        let scale = [case["logit_scale"].as_f64().unwrap()];
        let rows = size("batch");
        let var = |tensor: Tensor| Var::from_tensor(&tensor.to_dtype(dtype).unwrap()).unwrap();
        [
            var(matrix(&image, rows)),
            var(matrix(&text("long", 0.5), rows)),
            var(matrix(&text("short", 0.3), rows)),
            var(matrix(&scale, 1).reshape(()).unwrap()),
        ]
    }

    /// The design asks for losses to 1e-4 and gradients to 1e-2. In f64 the bounds are tighter.
    #[track_caller]
    fn check(case: &Value, dtype: DType, loss_bound: f64, gradient_bound: f64) {
        let name = case["name"].as_str().unwrap();
        let [image, long, short, scale] = features(case, dtype);
        let components = case["components"].as_u64().unwrap() as usize;
        let matching = Matching {
            components: Some(components),
            ..Matching::default()
        };
        let batch = BatchEmbeddings {
            image: image.as_tensor().clone(),
            long: long.as_tensor().clone(),
            short: short.as_tensor().clone(),
        };
        let losses = losses(&batch, &scale, &matching).unwrap();
        let close = |what: &str, found: &[f64], bound| {
            assert_close(&format!("{name}: {what}"), found, &numbers(&case[what]), bound);
        };
        close("loss_long", &values(&losses.long), loss_bound);
        close("loss_short", &values(&losses.short), loss_bound);
        let principal = principal_part(&unit_rows(&image).unwrap(), components).unwrap();
        close("pca_row_0", &values(&principal.narrow(0, 0, 1).unwrap()), loss_bound);

        let gradients = (losses.long + losses.short).unwrap().backward().unwrap();
        for (what, var) in [("grad_image", &image), ("grad_long", &long), ("grad_short", &short)] {
            let gradient = values(gradients.get(var).unwrap());
            close(what, &gradient[..numbers(&case[what]).len()], gradient_bound);
            let norm = gradient.iter().map(|v| v * v).sum::<f64>().sqrt();
            close(&format!("{what}_norm"), &[norm], gradient_bound);
        }
        close(
            "grad_logit_scale",
            &values(gradients.get(&scale).unwrap()),
            gradient_bound,
        );
    }

    #[track_caller]
    fn check_all(goldens: &Value) {
        for case in goldens["cases"].as_array().unwrap() {
            check(case, DType::F64, 1e-7, 1e-6);
            check(case, DType::F32, 1e-4, 1e-2);
        }
    }

    #[test]
    fn losses_and_gradients_equal_the_reference() {
        check_all(&golden("pcm.json"));
    }

    #[test]
    fn losses_and_gradients_equal_the_reference_in_all_its_cases() {
        if let Some(path) = reference("pcm.json") {
            check_all(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap());
        }
    }

    #[test]
    fn without_components_short_captions_are_ignored() {
        let [image, long, short, scale] = features(&golden("pcm.json")["cases"][0], DType::F64);
        let batch = BatchEmbeddings {
            image: image.as_tensor().clone(),
            long: long.as_tensor().clone(),
            short: short.as_tensor().clone(),
        };
        let matching = Matching {
            components: None,
            ..Matching::default()
        };
        let losses = losses(&batch, &scale, &matching).unwrap();
        assert_eq!(values(&losses.short), [0.0]);
        let gradients = (losses.long + losses.short).unwrap().backward().unwrap();
        assert!(gradients.get(&short).is_none() && gradients.get(&long).is_some());
    }
}
