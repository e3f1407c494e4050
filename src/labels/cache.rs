//! Label embeddings on disk, so that a second run needs no text tower: one row per text, model and number type.
//!
//! A [store](crate::store) that processes share, `ROOT/<model>.store`. `<model>` is [`LongClip::text_identity`], so that
//! another model's rows are never found.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::model::LongClip;
use crate::store::{Store, bytes_of, row_of};

/// What a row is found by: the first half of a SHA-256 over what was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// `kind` distinguishes a text from a list of one text.
    pub(super) fn of<'a>(kind: &'a str, texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for text in std::iter::once(kind).chain(texts) {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let hash = hash.finalize();
        Key(std::array::from_fn(|i| hash[i]))
    }
}

/// One model's rows that are on disk; or why there are none.
pub struct VectorCache(Result<Store>);

impl VectorCache {
    /// Opens what is there for this model, and makes the root if it isn't there.
    pub fn open(root: &Path, model: &LongClip) -> Self {
        let path = root.join(format!("{}.store", model.text_identity()));
        let made = std::fs::create_dir_all(root).map_err(Error::write(root));
        VectorCache(made.and_then(|()| Store::shared(&path, "the embeddings of labels", &model.sizes().embed_dim)))
    }

    /// The row of this key, if it is there and whole.
    pub(super) fn get(&self, key: &Key) -> Option<Vec<f32>> {
        row_of(&self.0.as_ref().ok()?.value(&key.0)?)
    }

    /// Adds new rows; an error says why they are not kept.
    pub(super) fn keep(&mut self, rows: Vec<(Key, Vec<f32>)>) -> Result<(), String> {
        let store = self.0.as_mut().map_err(|error| error.to_string())?;
        for (key, row) in rows {
            store.add(&key.0, &bytes_of(&row));
        }
        store.flush().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_texts_has_another_key_than_the_texts_joined() {
        assert_ne!(Key::of("mean", ["ab", "c"]), Key::of("mean", ["a", "bc"]));
        assert_ne!(Key::of("mean", ["a"]), Key::of("text", ["a"]));
    }
}
