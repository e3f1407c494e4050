//! The embeddings that an image is scored by: of the one square that the model reads of it, or of several tiles, whose
//! scores become one score per label.

use super::LabelScore;
use crate::model::ImageEmbeddings;

/// What an image is scored by.
#[derive(Debug, Clone, PartialEq)]
pub enum Views {
    /// One embedding, `(embed_dim,)`.
    One(Vec<f32>),
    /// The embeddings of its tiles, `(n_tiles, embed_dim)`, at least one.
    Tiles(ImageEmbeddings, Pooling),
}

impl Views {
    /// The image's only embedding, `(embed_dim,)`, for what needs one.
    ///
    /// # Panics
    /// If the image was cut into tiles, so that `_one` is another run's.
    pub fn into_embedding(self, _one: OneView) -> Vec<f32> {
        match self {
            Views::One(embedding) => embedding,
            Views::Tiles(tiles, _) => panic!("{} tiles are not one embedding", tiles.0.len()),
        }
    }
}

/// Shows that a run doesn't cut its images into tiles. Whatever keeps one embedding per image must be given this, so it
/// can't be set up for a run with tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneView(());

impl OneView {
    /// That of a run with these tiles; `None` if it cuts images into tiles.
    pub fn of(tiles: Option<Pooling>) -> Option<OneView> {
        match tiles {
            None => Some(OneView(())),
            Some(Pooling::Best | Pooling::Mean) => None,
        }
    }
}

/// How the scores of tiles become the score of their image, for each label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The best one: a label is right if one tile shows it.
    Best,
    /// The mean: a label is right if most tiles show it.
    Mean,
}

/// What becomes the scores of an image: labels in their order, without probabilities.
pub(super) struct Candidates {
    pub(super) labels: Vec<LabelScore>,
    /// The logit of "none of these", if that is a candidate.
    pub(super) none: Option<f64>,
}

/// The value by which labels are sorted.
pub(super) fn rank(label: &LabelScore) -> f64 {
    label.logit.unwrap_or(label.cosine)
}

/// One candidate per label, in the order of labels, of those of each tile. "None of these" is pooled as a label is.
///
/// # Panics
/// If there is no tile.
pub(super) fn pooled(tiles: &[Candidates], pooling: Pooling) -> Candidates {
    let mean = |sum: f64| sum / tiles.len() as f64;
    let label = |i: usize| {
        let of_tiles = || tiles.iter().map(move |tile| tile.labels[i]);
        let best = of_tiles().reduce(|best, other| if rank(&other) > rank(&best) { other } else { best });
        let best = best.expect("an image has a tile");
        match pooling {
            Pooling::Best => best,
            Pooling::Mean => LabelScore {
                logit: best
                    .logit
                    .map(|_| mean(of_tiles().filter_map(|label| label.logit).sum())),
                cosine: mean(of_tiles().map(|label| label.cosine).sum()),
                ..best
            },
        }
    };
    let nones = tiles.iter().filter_map(|tile| tile.none);
    Candidates {
        labels: (0..tiles[0].labels.len()).map(label).collect(),
        none: match pooling {
            Pooling::Best => nones.reduce(f64::max),
            Pooling::Mean => nones.reduce(|a, b| a + b).map(mean),
        },
    }
}
