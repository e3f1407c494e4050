//! Scores of image-text pairs: how well each text fits its own image, whatever else would fit it.
//!
//! Texts are encoded ahead: when a pair's text is needed, the texts of all items that were drawn by then are encoded with
//! it, many at once, while their images are read and decoded. A text that occurs again within some thousand others is
//! encoded once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::input::{Item, Items};
use crate::labels::{LongText, Notice, PromptEncoder};
use crate::model::{Embeddings, LongClip, MeasuredTexts, TextEmbeddings};
use crate::output::Labelled;
use crate::score::{Scoring, Views};
use crate::text::start_of;

/// The most texts that wait to be encoded: more than the items in a run's window usually have.
const WAITING_MAX: usize = 1024;
/// How many of the last texts are surely remembered. Their embeddings take some megabytes.
const REMEMBERED: usize = 4096;

type Drawn = Arc<Mutex<Vec<String>>>;

/// Collects the texts of items for a [`PairScorer`].
pub struct TextsAhead(Drawn);

impl TextsAhead {
    /// The same items; when one is drawn, its texts are collected.
    pub fn of(self, items: Items) -> Items {
        Box::new(items.inspect(move |item| {
            let texts = item.labels.iter().flatten().cloned();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(texts);
        }))
    }
}

/// Scores images against their own texts.
pub struct PairScorer<'a> {
    model: &'a LongClip,
    encoder: PromptEncoder<'a>,
    scoring: Scoring,
    long_text: LongText,
    /// Texts of items that were drawn and not yet looked at.
    drawn: Drawn,
    /// Texts that were looked at and are to be encoded.
    waiting: VecDeque<String>,
    remembered: Remembered,
    n_long: u64,
}

impl<'a> PairScorer<'a> {
    /// `long_text` says what happens to a text of more tokens than the model reads.
    pub fn new(model: &'a LongClip, long_text: LongText) -> Self {
        PairScorer {
            model,
            encoder: PromptEncoder::new(model).long_text(long_text),
            scoring: Scoring::softmax(model.logit_scale()),
            long_text,
            drawn: Arc::default(),
            waiting: VecDeque::new(),
            remembered: Remembered::default(),
            n_long: 0,
        }
    }

    /// What texts are encoded ahead by.
    pub fn ahead(&self) -> TextsAhead {
        TextsAhead(Arc::clone(&self.drawn))
    }

    /// An item's texts in their order, each with its cosine and its logit: the cosine times `exp(logit_scale)`.
    /// `views` are those of its image.
    ///
    /// # Errors
    /// [`Error::Sample`] for a text that is too long, under [`LongText::Refuse`]; otherwise as [`PromptEncoder::encode`].
    ///
    /// # Panics
    /// If they are another model's.
    pub fn score(&mut self, item: &Item, views: &Views) -> Result<Vec<Labelled>> {
        let texts = item.labels.as_deref().unwrap_or_default();
        if let Some(problem) = texts.iter().find_map(|text| self.too_long(text)) {
            return Err(Error::Sample {
                name: item.name.to_string(),
                problem,
            });
        }
        let rows = self.rows_of(texts)?;
        // Each row is a text of its own.
        let each: Vec<_> = (0..texts.len()).map(|row| row..row + 1).collect();
        let mut scores = self.scoring.scores_of(views, &rows, &each).labels;
        scores.sort_by_key(|score| score.label_idx);
        let labelled = texts.iter().zip(scores).map(|(text, score)| Labelled {
            label: text.clone(),
            // A probability would be among texts that were never meant to exclude each other.
            probability: None,
            logit: score.logit,
            cosine: Some(score.cosine),
            group: None,
            parents: Vec::new(),
        });
        Ok(labelled.collect())
    }

    /// How many texts had more tokens than the model reads.
    pub fn n_long(&self) -> u64 {
        self.n_long
    }

    /// One row per text, `(n, embed_dim)`.
    fn rows_of(&mut self, texts: &[String]) -> Result<MeasuredTexts> {
        self.look_at_drawn();
        self.remembered.forget_oldest();
        let unknown = texts.iter().filter(|text| !self.remembered.has(text));
        let mut batch: Vec<String> = unknown.cloned().collect();
        if !batch.is_empty() {
            batch.extend(self.waiting.drain(..));
            let rows = self.encoder.encode(&batch)?;
            let is_long = |notice: &Notice| matches!(notice, Notice::Cut { .. } | Notice::Chunked { .. });
            let notices = self.encoder.take_notices().into_iter();
            self.n_long += notices.filter(is_long).count() as u64;
            for (text, row) in batch.into_iter().zip(rows.rows()) {
                self.remembered.add(text, row);
            }
        }
        let rows = texts.iter().flat_map(|text| self.remembered.row(text)).copied();
        let rows = Embeddings::new(rows.collect(), self.encoder.embed_dim());
        Ok(MeasuredTexts::new(TextEmbeddings(rows)))
    }

    /// Adds what was drawn to the texts that wait, without those that are known. The oldest are dropped if there are too
    /// many: those of images that can't be used are never asked for, and others are encoded when they are.
    fn look_at_drawn(&mut self) {
        let drawn = std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner));
        for text in drawn {
            if !self.remembered.has(&text) && self.too_long(&text).is_none() {
                self.waiting.push_back(text);
            }
        }
        let n_surplus = self.waiting.len().saturating_sub(WAITING_MAX);
        self.waiting.drain(..n_surplus);
    }

    /// Why a text is refused, if it is.
    fn too_long(&self, text: &str) -> Option<String> {
        if self.long_text != LongText::Refuse {
            return None;
        }
        let tokens = self.model.tokenize(text);
        tokens.truncated().then(|| {
            format!(
                "its text `{}` has {} tokens; this model reads at most {}",
                start_of(text),
                tokens.count(),
                self.model.sizes().context_length
            )
        })
    }
}

/// Embeddings of texts, `(embed_dim,)` each, in two halves: when the newer is full, the older is forgotten.
#[derive(Default)]
struct Remembered {
    newer: HashMap<String, Vec<f32>>,
    older: HashMap<String, Vec<f32>>,
}

impl Remembered {
    fn has(&self, text: &str) -> bool {
        self.newer.contains_key(text) || self.older.contains_key(text)
    }

    fn row(&self, text: &str) -> &[f32] {
        &self
            .newer
            .get(text)
            .or_else(|| self.older.get(text))
            .expect("it was just encoded")[..]
    }

    fn add(&mut self, text: String, row: &[f32]) {
        self.newer.insert(text, row.to_vec());
    }

    /// Makes room for a batch.
    fn forget_oldest(&mut self) {
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Content;
    use crate::nano;

    fn item(texts: &[&str]) -> Item {
        let mut item = Item::new("a.jpg", Content::Bytes(Vec::new()));
        item.labels = Some(texts.iter().map(|text| (*text).to_owned()).collect());
        item
    }

    #[test]
    fn texts_that_are_drawn_are_encoded_together_and_equal_ones_once() {
        let model = LongClip::load(nano::NAME).unwrap();
        let views = Views::One(model.encode_texts(&["A cat."]).unwrap().0.row(0).to_vec());
        let mut ahead = PairScorer::new(&model, LongText::Truncate);
        let items = [&["A cat.", "A dog."][..], &["A cup."], &["A cat."]].map(item);
        let items: Vec<Item> = ahead.ahead().of(Box::new(items.into_iter())).collect();
        for item in &items {
            let mut alone = PairScorer::new(&model, LongText::Truncate);
            let (together, alone) = (ahead.score(item, &views), alone.score(item, &views));
            assert_eq!(together.unwrap(), alone.unwrap());
            // All were encoded with the first.
            assert_eq!((ahead.remembered.newer.len(), ahead.waiting.len()), (3, 0));
        }
        assert!((ahead.score(&items[0], &views).unwrap()[0].cosine.unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn texts_of_images_that_fail_are_dropped_in_time() {
        let model = LongClip::load(nano::NAME).unwrap();
        let mut scorer = PairScorer::new(&model, LongText::Truncate);
        let texts: Vec<String> = (0..3 * WAITING_MAX).map(|i| format!("Text {i}.")).collect();
        scorer.drawn.lock().unwrap().extend(texts);
        scorer.look_at_drawn();
        assert_eq!(scorer.waiting.len(), WAITING_MAX);
        assert_eq!(scorer.waiting[0], format!("Text {}.", 2 * WAITING_MAX));
    }

    #[test]
    fn a_text_that_is_too_long_is_refused_with_its_pair() {
        let model = LongClip::load(nano::NAME).unwrap();
        let views = Views::One(vec![1.0; model.sizes().embed_dim]);
        let mut scorer = PairScorer::new(&model, LongText::Refuse);
        let long = "A long sentence about a cat. ".repeat(60);
        let items: Vec<Item> = scorer
            .ahead()
            .of(Box::new([item(&["A cat."]), item(&[&long])].into_iter()))
            .collect();
        assert!(scorer.score(&items[0], &views).is_ok());
        let refused = scorer.score(&items[1], &views).unwrap_err().to_string();
        assert!(refused.contains("tokens; this model reads at most 248"), "{refused}");
    }
}
