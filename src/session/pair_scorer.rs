//! Scores of image-text pairs: how well each text fits its own image, whatever else would fit it.

use std::ops::Range;

use crate::error::Result;
use crate::labels::{LongText, Notice, PromptEncoder};
use crate::model::{LongClip, MeasuredTexts, TextEmbeddings};
use crate::output::Labelled;
use crate::score::Scoring;

/// An image's embedding, `(embed_dim,)`, and the texts it is scored against.
pub type Pair<'p> = (&'p [f32], &'p [String]);

/// Scores images against their own texts. The texts of many pairs are encoded at once.
pub struct PairScorer<'a> {
    encoder: PromptEncoder<'a>,
    scoring: Scoring,
}

impl<'a> PairScorer<'a> {
    /// `long_text` says what happens to a text of more tokens than the model reads.
    pub fn new(model: &'a LongClip, long_text: LongText) -> Self {
        PairScorer {
            encoder: PromptEncoder::new(model).long_text(long_text),
            scoring: Scoring::softmax(model.logit_scale()),
        }
    }

    /// For each pair, its texts in their order, each with its cosine and its logit: the cosine times `exp(logit_scale)`.
    ///
    /// # Errors
    /// As [`PromptEncoder::encode`].
    ///
    /// # Panics
    /// If an embedding is another model's.
    pub fn score(&mut self, pairs: &[Pair<'_>]) -> Result<Vec<Vec<Labelled>>> {
        let texts: Vec<String> = pairs.iter().flat_map(|(_, texts)| texts.iter().cloned()).collect();
        let rows = MeasuredTexts::new(TextEmbeddings(self.encoder.encode(&texts)?));
        let mut next_row = 0..;
        let scored = pairs.iter().map(|(embedding, own)| {
            let own_rows: Vec<Range<usize>> = next_row.by_ref().take(own.len()).map(|row| row..row + 1).collect();
            let mut scores = self.scoring.scores(embedding, &rows, &own_rows).labels;
            scores.sort_by_key(|score| score.label_idx);
            let labelled = own.iter().zip(scores).map(|(text, score)| Labelled {
                label: text.clone(),
                // A probability would be among texts that were never meant to exclude each other.
                probability: None,
                logit: score.logit,
                cosine: Some(score.cosine),
                group: None,
                parents: Vec::new(),
            });
            labelled.collect()
        });
        Ok(scored.collect())
    }

    /// What the user should know of the texts since this was last called.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.encoder.take_notices()
    }
}
