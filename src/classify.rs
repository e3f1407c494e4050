//! The main job in one call: a picture, labels, and their scores. The pipeline does the same for many pictures.

use crate::error::Result;
use crate::labels::LabelSet;
use crate::model::LongClip;
use crate::preprocess::Pixels;
use crate::score::{LabelScore, Score, score_labels};

/// Scores one picture against labels; the likeliest first.
///
/// # Errors
/// As [`LongClip::encode_images`].
pub fn classify(model: &LongClip, picture: &Pixels, labels: &LabelSet, score: Score) -> Result<Vec<LabelScore>> {
    let image = model.encode_image(picture)?.0;
    Ok(score_labels(
        image.row(0),
        labels.embeddings().0.rows(),
        model.logit_scale(),
        score,
    ))
}
