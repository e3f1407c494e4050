//! Encodes prompts. Embeddings come from the cache if an earlier run computed them; texts that are too long are
//! truncated or split into chunks.
//!
//! Used by [`LabelSet`](super::LabelSet) and for neutral prompts. The embedding of a text in chunks is their mean
//! direction. Chunks are whole sentences, as few chunks as possible, each no longer than the model's context.

use std::collections::{HashMap, HashSet};

use super::cache::{Key, VectorCache};
use super::{Notice, mean_direction};
use crate::error::{Control, Error, Result, hint};
use crate::model::{Embeddings, LongClip};
use crate::named::named;
use crate::text::{self, ContextLength, start_of};

/// What to do with a text that is longer than the model's context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LongText {
    /// Truncate it, with a notice that says what is lost.
    #[default]
    Truncate,
    /// Return an error.
    Refuse,
    /// Encode it in chunks and average their embeddings.
    Chunk,
}

named!(LongText, "way with long texts": Truncate = "truncate", Refuse = "error", Chunk = "chunk");

/// Encodes prompts with one model, each distinct text once.
pub struct PromptEncoder<'a> {
    model: &'a LongClip,
    long_text: LongText,
    cache: Option<VectorCache>,
    notices: Vec<Notice>,
    /// Texts that a notice is about.
    noticed: HashSet<String>,
}

impl<'a> PromptEncoder<'a> {
    /// An encoder without a cache that truncates texts that are too long.
    pub fn new(model: &'a LongClip) -> Self {
        PromptEncoder {
            model,
            long_text: LongText::default(),
            cache: None,
            notices: Vec::new(),
            noticed: HashSet::new(),
        }
    }

    /// Sets what to do with texts that are too long.
    #[must_use]
    pub fn long_text(mut self, long_text: LongText) -> Self {
        self.long_text = long_text;
        self
    }

    /// Looks embeddings up in this cache, which must be of the same model, and adds new ones to it.
    #[must_use]
    pub fn cache(mut self, cache: VectorCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The number of values per row.
    pub fn embed_dim(&self) -> usize {
        self.model.sizes().embed_dim
    }

    /// Warnings about the texts that were encoded since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.noticed.clear();
        std::mem::take(&mut self.notices)
    }

    /// One row per text, `(n, embed_dim)`: as the tower returns it, or of unit length if the text was split into
    /// chunks.
    ///
    /// # Errors
    /// [`Error::Usage`] for a text that is too long under [`LongText::Refuse`]; otherwise as
    /// [`LongClip::encode_texts`].
    pub fn encode(&mut self, texts: &[String]) -> Result<Embeddings> {
        self.encode_and_cache(texts, Cached::EachText)
    }

    fn encode_and_cache(&mut self, texts: &[String], cached: Cached) -> Result<Embeddings> {
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
            match self.cached_row(key) {
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
        if cached == Cached::EachText {
            self.add_to_cache(missing.iter().map(|(key, _)| (*key, known[key].clone())).collect());
        }
        let values = keys.iter().flat_map(|key| &known[key]).copied().collect();
        Ok(Embeddings::new(values, self.embed_dim()))
    }

    /// One row per label, `(n_labels, embed_dim)`: the mean direction of its prompts, or a single prompt's row
    /// unchanged.
    pub(super) fn means(&mut self, labels: &[Vec<String>]) -> Result<Embeddings> {
        let key = |prompts: &Vec<String>| Key::of("mean", prompts.iter().map(String::as_str));
        let keys: Vec<Key> = labels.iter().map(key).collect();
        // Prompts that may be too long are handled one by one, so that each run reports what is lost.
        let by_mean: Vec<bool> = labels
            .iter()
            .map(|prompts| prompts.len() > 1 && !self.may_be_long(prompts))
            .collect();
        let mut rows: Vec<Option<Vec<f32>>> = keys
            .iter()
            .zip(&by_mean)
            .map(|(key, by_mean)| if *by_mean { self.cached_row(key) } else { None })
            .collect();
        let prompts_of = |wanted: bool| -> Vec<String> {
            let indices = (0..labels.len()).filter(|i| by_mean[*i] == wanted && rows[*i].is_none());
            indices.flat_map(|i| labels[i].clone()).collect()
        };
        let (of_means, others) = (prompts_of(true), prompts_of(false));
        let of_means = self.encode_and_cache(&of_means, Cached::OnlyTheirMeans)?;
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
        self.add_to_cache(fresh);
        Ok(Embeddings::new(
            rows.into_iter().flatten().flatten().collect(),
            self.embed_dim(),
        ))
    }

    fn cached_row(&self, key: &Key) -> Option<Vec<f32>> {
        self.cache.as_ref()?.get(key)
    }

    fn add_to_cache(&mut self, fresh: Vec<(Key, Vec<f32>)>) {
        if let Some(cache) = &mut self.cache
            && let Err(reason) = cache.keep(fresh)
        {
            let notice = Notice::NotKept { reason };
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
        }
    }

    /// The token ids by which the model distinguishes this text from others: up to the cut, unless it is read in parts.
    pub(super) fn ids(&self, text: &str) -> Vec<u32> {
        let tokens = match self.long_text {
            LongText::Truncate | LongText::Refuse => self.model.tokenize(text),
            LongText::Chunk => self.model.tokenizer().encode(text, ContextLength::UNLIMITED),
        };
        tokens.ids().to_vec()
    }

    /// Whether one of these texts might have more tokens than the model reads. Does not tokenize them.
    fn may_be_long(&self, texts: &[String]) -> bool {
        let per_byte = self.model.tokenizer().tokens_per_byte_max();
        let context_length = self.model.sizes().context_length;
        texts.iter().any(|text| text.len() * per_byte > context_length)
    }

    /// The texts that the model reads for `text`: itself, or its chunks if it is too long.
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
        if self.noticed.insert(text.to_owned()) {
            self.notices.push(notice);
        }
        Ok(parts)
    }
}

/// What is cached for the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cached {
    EachText,
    /// The caller caches the means instead. With every prompt too, the cache would grow by the number of prompts per
    /// label.
    OnlyTheirMeans,
}

fn text_key(text: &str, parts: &[String]) -> Key {
    match parts {
        [_] => Key::of("text", [text]),
        several => Key::of("parts", several.iter().map(String::as_str)),
    }
}

/// Splits a text into as few chunks as its sentences allow, none longer than the model reads, without losing anything.
/// A sentence that is too long is split at white space, and a word that is too long between characters.
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

/// Splits a word in halves until every piece fits.
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
