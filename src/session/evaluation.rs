//! Encodes what an evaluation measures: images through a [`Run`](super::Run), and texts, each once. Embeddings can be kept
//! in a file, so that an evaluation can be resumed.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{ImageReading, Loaded, Seen, Sink, Verdict};
use crate::data::{Image, fingerprint};
use crate::error::{Error, Result};
use crate::eval::{Embeddings, Origin};
use crate::input::Item;
use crate::model::{self, LongClip, TextEmbeddings};
use crate::pipeline::Stop;
use crate::score::OneView;
use crate::weights::identity;

/// The origin of a model's embeddings of texts. A text is its token ids, whatever data it is from, so only the model counts.
fn origin_of_texts(loaded: &Loaded) -> Origin {
    Origin {
        model: loaded.name.clone(),
        identity: loaded.model.text_identity(),
        dtype: loaded.dtype().to_owned(),
        reading: "as token ids".to_owned(),
        data: "texts".to_owned(),
        n_images: 0,
        fingerprint: "texts".to_owned(),
    }
}

/// A model's embeddings of the images of a data set, which are read as `reading` says: those that a file has, and none yet
/// without one.
///
/// # Errors
/// As [`Embeddings::kept_in`].
pub fn image_embeddings(
    loaded: &Loaded,
    reading: &ImageReading,
    (data, images): (&str, &[Image]),
    file: Option<&Path>,
) -> Result<Embeddings> {
    let origin = Origin {
        reading: reading.in_words(),
        data: data.to_owned(),
        n_images: images.len(),
        fingerprint: fingerprint(images),
        ..origin_of_texts(loaded)
    };
    Embeddings::kept_in(file, &origin, loaded.model.sizes().embed_dim)
}

/// The images that have no embedding yet, each once.
pub fn missing(images: &[Image], embeddings: &Embeddings) -> Vec<Image> {
    let mut seen = HashSet::new();
    let is_missing = |image: &&Image| embeddings.get(image.name()).is_none() && seen.insert(image.name().to_owned());
    images.iter().filter(is_missing).cloned().collect()
}

/// Keeps the embedding of each image of a run.
pub struct Keeping<'a> {
    /// Where it is kept.
    pub embeddings: &'a mut Embeddings,
    /// That there is one.
    pub one: OneView,
}

impl Sink for Keeping<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        Ok(match seen {
            Ok(seen) => {
                let embedding = seen.views.into_embedding(self.one);
                self.embeddings.add(&item.name.to_string(), &embedding);
                Verdict::Done
            }
            Err(error) => Verdict::Failed(error),
        })
    }

    fn flush(&mut self) -> Result<()> {
        self.embeddings.flush()
    }
}

/// Texts per pass; after each, interruptions are checked and the results written.
const TEXTS_A_PASS: usize = 64;

/// Encodes texts with a model, and keeps the ones encoded already.
pub struct Texts<'a> {
    model: &'a LongClip,
    /// What is encoded already.
    kept: Embeddings,
    stop: Stop,
}

/// Why texts were not encoded.
#[derive(Debug)]
pub enum Halt {
    /// Something failed.
    Broken(Error),
    /// It was requested.
    Interrupted,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Broken(error)
    }
}

impl<'a> Texts<'a> {
    /// Texts for a model, with those that a file has. `stop` ends the work after a pass.
    ///
    /// # Errors
    /// As [`Embeddings::kept_in`].
    pub fn of(loaded: &'a Loaded, file: Option<&Path>, stop: Stop) -> Result<Self> {
        let model = &loaded.model;
        Ok(Texts {
            kept: Embeddings::kept_in(file, &origin_of_texts(loaded), model.sizes().embed_dim)?,
            model,
            stop,
        })
    }

    /// One row per text, given as token ids. After each pass, `watch` hears how many of how many are done.
    ///
    /// # Errors
    /// [`Halt`]; as [`LongClip::encode_token_ids`] and [`Embeddings::flush`].
    pub fn encode(
        &mut self,
        texts: &[Vec<u32>],
        mut watch: impl FnMut(usize, usize),
    ) -> std::result::Result<TextEmbeddings, Halt> {
        let is_missing = |ids: &&Vec<u32>| self.kept.get(&key(ids)).is_none();
        // Sorted by their ids, so that texts with the same beginning are adjacent: the model computes it once.
        let missing: BTreeSet<&[u32]> = texts.iter().filter(is_missing).map(Vec::as_slice).collect();
        let missing: Vec<&[u32]> = missing.into_iter().collect();
        let mut n_done = 0;
        for pass in missing.chunks(TEXTS_A_PASS) {
            if self.stop.is_requested() {
                return Err(Halt::Interrupted);
            }
            let TextEmbeddings(rows) = self.model.encode_token_ids(pass)?;
            for (ids, row) in pass.iter().zip(rows.rows()) {
                self.kept.add(&key(ids), row);
            }
            self.kept.flush()?;
            n_done += pass.len();
            watch(n_done, missing.len());
        }
        let rows = texts.iter().map(|ids| self.kept.get(&key(ids)).expect("encoded above"));
        let values: Vec<f32> = rows.flatten().copied().collect();
        Ok(TextEmbeddings(model::Embeddings::new(values, self.kept.embed_dim())))
    }
}

/// The key of a text.
fn key(ids: &[u32]) -> String {
    let mut hash = Sha256::new();
    ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
    identity(hash)
}
