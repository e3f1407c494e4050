//! The main job in one call: a picture, labels, and their scores. The pipeline does the same for many pictures.

use crate::error::Result;
use crate::labels::LabelSet;
use crate::model::LongClip;
use crate::preprocess::Pixels;
use crate::score::{Scores, Scoring};

/// Scores one picture against labels; the likeliest first.
///
/// # Errors
/// As [`LongClip::encode_images`].
pub fn classify(model: &LongClip, picture: &Pixels, labels: &LabelSet, scoring: &Scoring) -> Result<Scores> {
    let image = model.encode_image(picture)?.0;
    Ok(scoring.scores(image.row(0), labels.texts(), labels.rows()))
}
