//! Prompts to embeddings: looked up where a run before this one has computed them, over-long ones cut or read in parts.
//!
//! Used by [`LabelSet`](super::LabelSet) and for neutral prompts. A text that is read in parts has the mean direction of
//! its parts: sentences packed into as few parts as there must be, each at most the model's context.

use std::collections::HashMap;

use super::cache::{Key, VectorCache};
use super::{Notice, mean_direction};
use crate::error::{Control, Error, Result, hint};
use crate::model::{Embeddings, LongClip};
use crate::text::{self, start_of};

/// What becomes of a text that is longer than the model reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongText {
    /// It is cut, and a notice says what is lost.
    #[default]
    Truncate,
    /// It is refused.
    Refuse,
    /// It is read in parts, whose embeddings are averaged.
    Chunk,
}

/// Encodes prompts with one model, each distinct text once.
pub struct PromptEncoder<'a> {
    model: &'a LongClip,
    long_text: LongText,
    cache: Option<VectorCache>,
    notices: Vec<Notice>,
}

impl<'a> PromptEncoder<'a> {
    /// Without a cache; over-long texts are cut.
    pub fn new(model: &'a LongClip) -> Self {
        PromptEncoder {
            model,
            long_text: LongText::default(),
            cache: None,
            notices: Vec::new(),
        }
    }

    /// Sets what becomes of over-long texts.
    #[must_use]
    pub fn long_text(mut self, long_text: LongText) -> Self {
        self.long_text = long_text;
        self
    }

    /// Looks vectors up in a cache of this model, and keeps new ones there.
    #[must_use]
    pub fn cache(mut self, cache: VectorCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Numbers a row.
    pub fn embed_dim(&self) -> usize {
        self.model.sizes().embed_dim
    }

    /// What the person should know about the texts encoded since this was asked last.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// One row a text, `(n, embed_dim)`: as the tower gives it, unit length where the text was read in parts.
    ///
    /// # Errors
    /// [`Error::Usage`] for an over-long text under [`LongText::Refuse`]; else as [`LongClip::encode_texts`].
    pub fn encode(&mut self, texts: &[String]) -> Result<Embeddings> {
        self.encode_and_keep(texts, Kept::EachText)
    }

    fn encode_and_keep(&mut self, texts: &[String], kept: Kept) -> Result<Embeddings> {
        let parts: Vec<Vec<String>> = texts.iter().map(|text| self.parts(text)).collect::<Result<_>>()?;
        let keys: Vec<Key> = texts
            .iter()
            .zip(&parts)
            .map(|(text, parts)| text_key(text, parts))
            .collect();
        let mut known: HashMap<Key, Vec<f32>> = HashMap::with_capacity(keys.len());
        let mut missing: Vec<(Key, &[String])> = Vec::new();
        for (key, parts) in keys.iter().zip(&parts) {
            if known.contains_key(key) {
                continue;
            }
            match self.looked_up(key) {
                Some(row) => {
                    known.insert(*key, row);
                }
                None => {
                    known.insert(*key, Vec::new());
                    missing.push((*key, parts));
                }
            }
        }
        let flat: Vec<&str> = missing
            .iter()
            .flat_map(|(_, parts)| parts.iter().map(String::as_str))
            .collect();
        let encoded = self.model.encode_texts(&flat)?.0;
        let mut rows = encoded.rows();
        for (key, parts) in &missing {
            let own: Vec<f32> = rows.by_ref().take(parts.len()).flatten().copied().collect();
            let row = mean_direction(&Embeddings::new(own, self.embed_dim()));
            known.insert(*key, row);
        }
        if kept == Kept::EachText {
            self.keep(missing.iter().map(|(key, _)| (*key, known[key].clone())).collect());
        }
        let values = keys.iter().flat_map(|key| &known[key]).copied().collect();
        Ok(Embeddings::new(values, self.embed_dim()))
    }

    /// One row a label, `(n_labels, embed_dim)`: the mean direction of its prompts; a single prompt as it is.
    pub(super) fn means(&mut self, labels: &[Vec<String>]) -> Result<Embeddings> {
        let key = |prompts: &Vec<String>| Key::of("mean", prompts.iter().map(String::as_str));
        let keys: Vec<Key> = labels.iter().map(key).collect();
        // What may be too long is taken text by text, so that what is lost of it is said each time.
        let by_mean: Vec<bool> = labels
            .iter()
            .map(|prompts| prompts.len() > 1 && !self.may_be_long(prompts))
            .collect();
        let mut rows: Vec<Option<Vec<f32>>> = keys
            .iter()
            .zip(&by_mean)
            .map(|(key, by_mean)| if *by_mean { self.looked_up(key) } else { None })
            .collect();
        let prompts_of = |wanted: bool| -> Vec<String> {
            let places = (0..labels.len()).filter(|i| by_mean[*i] == wanted && rows[*i].is_none());
            places.flat_map(|i| labels[i].clone()).collect()
        };
        let (of_means, others) = (prompts_of(true), prompts_of(false));
        let of_means = self.encode_and_keep(&of_means, Kept::TheirMeans)?;
        let others = self.encode(&others)?;
        let (mut of_means, mut others) = (of_means.rows(), others.rows());
        let mut fresh = Vec::new();
        for (i, row) in rows.iter_mut().enumerate().filter(|(_, row)| row.is_none()) {
            let encoded = if by_mean[i] { &mut of_means } else { &mut others };
            let own: Vec<f32> = encoded.by_ref().take(labels[i].len()).flatten().copied().collect();
            let mean = mean_direction(&Embeddings::new(own, self.embed_dim()));
            if by_mean[i] {
                fresh.push((keys[i], mean.clone()));
            }
            *row = Some(mean);
        }
        self.keep(fresh);
        Ok(Embeddings::new(
            rows.into_iter().flatten().flatten().collect(),
            self.embed_dim(),
        ))
    }

    fn looked_up(&mut self, key: &Key) -> Option<Vec<f32>> {
        self.cache.as_mut()?.get(key)
    }

    fn keep(&mut self, fresh: Vec<(Key, Vec<f32>)>) {
        if let Some(cache) = &mut self.cache
            && let Err(reason) = cache.keep(fresh)
        {
            let notice = Notice::NotKept {
                reason: reason.to_string(),
            };
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }

    /// Whether one of these texts might have more tokens than the model reads, without counting them.
    fn may_be_long(&self, texts: &[String]) -> bool {
        texts
            .iter()
            .any(|text| text.len() * LONGEST_BYTE > self.model.sizes().context_length)
    }

    /// What the model is to read for a text: the text, or the parts of one that is too long.
    fn parts(&mut self, text: &str) -> Result<Vec<String>> {
        if !self.may_be_long(std::slice::from_ref(&text.to_owned())) {
            return Ok(vec![text.to_owned()]);
        }
        let tokens = self.model.tokenize(text);
        if !tokens.truncated() {
            return Ok(vec![text.to_owned()]);
        }
        let context_length = self.model.sizes().context_length;
        let (n_tokens, text_owned) = (tokens.count(), text.to_owned());
        let (notice, parts) = match self.long_text {
            LongText::Refuse => {
                return Err(Error::usage(
                    format!(
                        "label `{}` has {n_tokens} tokens; this model reads at most {context_length}",
                        start_of(text)
                    ),
                    hint!(
                        "shorten it, or use {} or {}",
                        Control::TruncateLongText,
                        Control::ChunkLongText
                    ),
                ));
            }
            LongText::Truncate => (
                Notice::Cut {
                    text: text_owned,
                    n_tokens,
                    context_length,
                    lost: tokens.lost().to_owned(),
                },
                vec![text.to_owned()],
            ),
            LongText::Chunk => {
                let parts = chunks(self.model, text);
                let n_parts = parts.len();
                (
                    Notice::Chunked {
                        text: text_owned,
                        n_tokens,
                        n_parts,
                    },
                    parts,
                )
            }
        };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
        Ok(parts)
    }
}

/// What is kept of texts for the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    EachText,
    /// The caller keeps their means: with each prompt too, a cache would be as many times larger as labels have prompts.
    TheirMeans,
}

/// A byte of a text becomes at most this many tokens: a token has at least one byte, and cleaning and lower case make
/// at most three bytes of one.
const LONGEST_BYTE: usize = 3;

fn text_key(text: &str, parts: &[String]) -> Key {
    match parts {
        [_] => Key::of("text", [text]),
        several => Key::of("parts", several.iter().map(String::as_str)),
    }
}

/// A text in as few parts as its sentences allow, none longer than the model reads and nothing left out. A sentence
/// that is too long is taken apart at white space, a word that is too long between characters.
fn chunks(model: &LongClip, text: &str) -> Vec<String> {
    let fits = |text: &str| !model.tokenize(text).truncated();
    let mut units: Vec<String> = Vec::new();
    for sentence in text::sentences(text) {
        if fits(sentence) {
            units.push(sentence.to_owned());
            continue;
        }
        for word in sentence.split_whitespace() {
            split_word(word, &fits, &mut units);
        }
    }
    let mut parts: Vec<String> = Vec::new();
    for unit in units {
        if let Some(last) = parts.last_mut() {
            let joined = format!("{last} {unit}");
            if fits(&joined) {
                *last = joined;
                continue;
            }
        }
        parts.push(unit);
    }
    parts
}

/// Halves a word until every piece fits.
fn split_word(word: &str, fits: &impl Fn(&str) -> bool, units: &mut Vec<String>) {
    let n_characters = word.chars().count();
    if n_characters < 2 || fits(word) {
        units.push(word.to_owned());
        return;
    }
    let middle = word
        .char_indices()
        .nth(n_characters / 2)
        .map_or(word.len(), |(at, _)| at);
    split_word(&word[..middle], fits, units);
    split_word(&word[middle..], fits, units);
}
