//! Recorded outputs of the official longclip-B.pt, to compare a model's with.
//!
//! The recordings in `longclip-b.json` are in f16 from a GPU, so a cosine of 0.9999 is the most that can be expected.

use serde::Deserialize;

use crate::error::Result;
use crate::weights::{Checkpoint, Sizes};

/// A model's outputs, as recorded.
#[derive(Deserialize)]
pub(super) struct Recorded {
    /// Row, column and value of some elements of the text position table, which identify the model.
    positions: Vec<(usize, usize, f32)>,
    /// The texts that were encoded.
    pub(super) texts: Vec<String>,
    /// Their token ids.
    pub(super) ids: Vec<Vec<u32>>,
    /// Their embeddings.
    pub(super) text_features: Vec<Vec<f32>>,
    /// The embedding of an image of 224x224 pixels, each (127, 127, 127).
    pub(super) image_features: Vec<f32>,
}

/// The least cosine between our f32 and the recorded f16.
pub(super) const LEAST_COSINE: f64 = 0.9999;

/// Positions that were stored as f16 or bf16 differ by up to 2^-8 of their value; those of another model by all of it.
const POSITION_TOLERANCE: f32 = 1.0 / 128.0;

impl Recorded {
    /// The outputs of the official longclip-B.pt.
    pub(super) fn longclip_b() -> Self {
        serde_json::from_str(include_str!("longclip-b.json")).expect("a test reads it")
    }

    /// Whether these are the sizes and the positions of the recorded model.
    ///
    /// # Errors
    /// [`Error::NotWeights`](crate::Error::NotWeights) if the positions can't be read.
    pub(super) fn is_of(&self, checkpoint: &Checkpoint) -> Result<bool> {
        Ok(has_sizes_of_longclip_b(checkpoint.sizes()) && self.matches_positions(&checkpoint.text_positions()?))
    }

    /// `positions`: `(248, 512)`, row-major.
    fn matches_positions(&self, positions: &[f32]) -> bool {
        self.positions.iter().all(|(row, column, recorded)| {
            let found = positions.get(row * LONGCLIP_B_TEXT_WIDTH + column);
            found.is_some_and(|found| (found - recorded).abs() <= recorded.abs() * POSITION_TOLERANCE)
        })
    }
}

const LONGCLIP_B_TEXT_WIDTH: usize = 512;

fn has_sizes_of_longclip_b(sizes: &Sizes) -> bool {
    sizes.image_resolution_px == 224
        && sizes.patch_px == 16
        && sizes.vision_width == 768
        && sizes.vision_layers == 12
        && sizes.text_width == LONGCLIP_B_TEXT_WIDTH
        && sizes.text_layers == 12
        && sizes.context_length == 248
}

/// The cosine of two vectors, in f64; 0 if one is zero, or their dimensions differ.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if a.len() != b.len() || norms == 0.0 {
        return 0.0;
    }
    dot(a, b) / norms
}

#[cfg(test)]
mod tests {
    use crate::text::{ContextLength, Tokenizer};

    use super::*;

    #[test]
    fn the_recordings_are_complete() {
        let recorded = Recorded::longclip_b();
        assert_eq!(recorded.texts.len(), recorded.ids.len());
        assert_eq!(recorded.texts.len(), recorded.text_features.len());
        assert!(recorded.text_features.iter().all(|row| row.len() == 512));
        assert_eq!(recorded.image_features.len(), 512);
        assert_eq!(recorded.positions.len(), 24);
    }

    #[test]
    fn the_tokenizer_gives_the_recorded_ids() {
        let recorded = Recorded::longclip_b();
        for (text, ids) in recorded.texts.iter().zip(&recorded.ids) {
            assert_eq!(
                Tokenizer::clip().encode(text, ContextLength::LONG).ids(),
                &ids[..],
                "{text}"
            );
        }
    }

    #[test]
    fn the_official_positions_are_recognised_stored_as_bf16_too_and_others_are_not() {
        let recorded = Recorded::longclip_b();
        let mut positions = vec![0.0; 248 * 512];
        for (row, column, value) in &recorded.positions {
            positions[row * 512 + column] = half::bf16::from_f32(*value).to_f32();
        }
        assert!(recorded.matches_positions(&positions));
        let (row, column, value) = recorded.positions[7];
        positions[row * 512 + column] = value * 1.02;
        assert!(!recorded.matches_positions(&positions));
        assert!(!recorded.matches_positions(&[]));
    }

    #[test]
    fn a_cosine_tells_directions_apart() {
        assert_eq!(cosine(&[3.0, 4.0], &[6.0, 8.0]), 1.0);
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, 1.0]), 0.0);
        assert_eq!(cosine(&[0.0], &[1.0]), 0.0);
    }
}
