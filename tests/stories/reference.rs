//! The reference's results, and the largest allowed differences from them.
//!
//! Cosines must agree within 1e-5, and probabilities within 1e-4. `cargo nextest run goldens real_sizes --no-capture`
//! prints the largest measured differences.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use longclip::model::{Embeddings, LongClip, LongClipOptions, MeasuredTexts, TextEmbeddings};
use longclip::preprocess::Pixels;
use longclip::score::Scoring;
use longclip::weights::{Checkpoint, LoadOptions};
use serde::Deserialize;

use crate::recipe::{self, Config};

/// The bound on 1 - cosine of a feature and the reference's.
pub(crate) const COSINE_DIFFERENCE_MAX: f64 = 1e-5;
/// The bound on the relative difference of a feature's length.
pub(crate) const LENGTH_DIFFERENCE_MAX: f64 = 1e-4;
pub(crate) const PROBABILITY_DIFFERENCE_MAX: f64 = 1e-4;

type Rows = Vec<Vec<f64>>;

/// A golden file. Fields that a file does not have are empty.
#[derive(Deserialize)]
pub(crate) struct Golden {
    pub(crate) config: Config,
    #[serde(default)]
    pub(crate) ids: Vec<(String, usize)>,
    #[serde(default)]
    pub(crate) texts: Vec<String>,
    #[serde(default)]
    pub(crate) images: Vec<String>,
    #[serde(default)]
    pub(crate) weights_check: BTreeMap<String, WeightsCheck>,
    pub(crate) image_features: Rows,
    pub(crate) text_features: Rows,
    pub(crate) logits: Rows,
    pub(crate) probabilities: Rows,
    pub(crate) raw_dot: Rows,
    pub(crate) raw_dot_probabilities: Rows,
    #[serde(rename = "text_hidden_ids.1", default)]
    pub(crate) text_hidden_ids_1: Rows,
    #[serde(default)]
    pub(crate) text_hidden_0: BTreeMap<String, Vec<f64>>,
    pub(crate) stretched_from_77: Features,
    #[serde(default)]
    pub(crate) unstretched_77: Option<Unstretched>,
    #[serde(default)]
    pub(crate) unrounded: BTreeMap<String, Features>,
}

#[derive(Deserialize)]
pub(crate) struct WeightsCheck {
    pub(crate) first: Vec<f64>,
    pub(crate) last: Vec<f64>,
    pub(crate) sum: f64,
}

#[derive(Deserialize)]
pub(crate) struct Features {
    #[serde(default)]
    pub(crate) image_features: Rows,
    pub(crate) text_features: Rows,
}

#[derive(Deserialize)]
pub(crate) struct Unstretched {
    /// Indices of the texts that fit into 77 tokens.
    pub(crate) rows: Vec<usize>,
    pub(crate) text_features: Rows,
}

impl Golden {
    /// The complete golden next to the repository, or the part of it in the repository.
    pub(crate) fn read(file: &str) -> Golden {
        let part = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/models")
            .join(file);
        let path = shared(file).unwrap_or(part);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The token ids of the generated texts.
    pub(crate) fn token_ids(&self) -> Vec<Vec<u32>> {
        let ids = self.ids.iter();
        ids.map(|(name, n)| recipe::ids(name, *n, self.config.vocab)).collect()
    }

    /// The generated images, one per feature.
    pub(crate) fn recipe_pictures(&self) -> Vec<Pixels> {
        (0..self.image_features.len())
            .map(|i| self.recipe_picture(&format!("image.{i}")))
            .collect()
    }

    pub(crate) fn recipe_picture(&self, name: &str) -> Pixels {
        let resolution = self.config.resolution;
        Pixels::from_normalised(recipe::picture(name, resolution), resolution).unwrap()
    }
}

/// A file in the reference folder next to the repository, if it exists.
pub(crate) fn shared(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/reference")
        .join(file);
    path.exists().then_some(path)
}

pub(crate) fn open(path: &Path) -> LongClip {
    open_with(path, &LoadOptions::default(), &LongClipOptions::default())
}

pub(crate) fn open_with(path: &Path, load: &LoadOptions, options: &LongClipOptions) -> LongClip {
    let opened = Checkpoint::open(path, load).and_then(|checkpoint| LongClip::from_checkpoint(checkpoint, options));
    opened.unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn slices(ids: &[Vec<u32>]) -> Vec<&[u32]> {
    ids.iter().map(Vec::as_slice).collect()
}

/// Compares the direction and length of features with the reference's.
#[track_caller]
pub(crate) fn check_features(what: &str, ours: &Embeddings, theirs: &[Vec<f64>]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let (mut worst_cosine, mut worst_length) = (0f64, 0f64);
    for (ours, theirs) in ours.rows().zip(theirs) {
        let ours: Vec<f64> = ours.iter().map(|v| f64::from(*v)).collect();
        worst_cosine = worst_cosine.max(1.0 - dot(&ours, theirs) / (length(&ours) * length(theirs)));
        worst_length = worst_length.max((length(&ours) / length(theirs) - 1.0).abs());
    }
    println!("{what}: cosine {worst_cosine:.1e}, length {worst_length:.1e}");
    check_bound(what, "1 - cosine", worst_cosine, COSINE_DIFFERENCE_MAX);
    check_bound(what, "length", worst_length, LENGTH_DIFFERENCE_MAX);
}

/// Compares every value with the reference's.
#[track_caller]
pub(crate) fn check_values(what: &str, ours: &[f32], theirs: &[f64], difference_max: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let differences = ours
        .iter()
        .zip(theirs)
        .map(|(ours, theirs)| (f64::from(*ours) - theirs).abs());
    let worst = differences.fold(0.0, f64::max);
    println!("{what}: values {worst:.1e}");
    check_bound(what, "values", worst, difference_max);
}

/// Checks that features differ from the reference's by at most this share of their length.
#[track_caller]
pub(crate) fn check_relative(what: &str, ours: &Embeddings, theirs: &[Vec<f64>], difference_max: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let differences = ours.rows().zip(theirs).map(|(ours, theirs)| {
        let difference: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| f64::from(*a) - b).collect();
        length(&difference) / length(theirs)
    });
    let worst = differences.fold(0.0, f64::max);
    println!("{what}: {worst:.1e} of the length");
    check_bound(what, "share of the length", worst, difference_max);
}

/// Compares the logits and probabilities of every image for all texts with the reference's.
#[track_caller]
pub(crate) fn check_scores(what: &str, model: &LongClip, golden: &Golden, images: &Embeddings, texts: &Embeddings) {
    let scale = model.logit_scale();
    let measured = MeasuredTexts::new(TextEmbeddings(texts.clone()));
    let rows: Vec<_> = (0..texts.len()).map(|i| i..i + 1).collect();
    for (score, scoring, logits, probabilities) in [
        (
            "softmax",
            Scoring::softmax(scale),
            &golden.logits,
            &golden.probabilities,
        ),
        (
            "raw dot",
            Scoring::raw_dot(scale),
            &golden.raw_dot,
            &golden.raw_dot_probabilities,
        ),
    ] {
        let (mut worst_logit, mut worst_probability) = (0f64, 0f64);
        for (i, image) in images.rows().enumerate() {
            for ours in scoring.scores(image, &measured, &rows).labels {
                let (j, logit, probability) = (ours.label_idx, ours.logit.unwrap(), ours.probability.unwrap());
                worst_logit = worst_logit.max((logit - logits[i][j]).abs());
                worst_probability = worst_probability.max((probability - probabilities[i][j]).abs());
            }
        }
        println!("{what}, {score}: logits {worst_logit:.1e}, probabilities {worst_probability:.1e}");
        // A logit is 100 times a cosine, or a dot product of features with lengths of 5 to 30.
        check_bound(what, "logits", worst_logit, 1e-2);
        check_bound(what, "probabilities", worst_probability, PROBABILITY_DIFFERENCE_MAX);
    }
}

#[track_caller]
fn check_bound(what: &str, of: &str, difference: f64, difference_max: f64) {
    // Written so that NaN fails.
    assert!(
        difference <= difference_max,
        "{what}: {of} differ by {difference:e}, {difference_max:e} allowed"
    );
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn length(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}
