//! An encoder that remembers the first images that it encoded, for a command that sees them twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Encoder;
use crate::error::Result;
use crate::model::{Embeddings, ImageEmbeddings};
use crate::preprocess::{Fingerprint, Pixels};

/// Encodes images, the first of them once only, as long as their pixels stay the same.
pub struct Remembering<'a> {
    encoder: &'a dyn Encoder,
    n_max: usize,
    known: Mutex<HashMap<Fingerprint, Vec<f32>>>,
}

impl<'a> Remembering<'a> {
    /// Remembers up to `n_max` images that `encoder` encodes.
    pub fn new(encoder: &'a dyn Encoder, n_max: usize) -> Self {
        Remembering {
            encoder,
            n_max,
            known: Mutex::default(),
        }
    }
}

impl Encoder for Remembering<'_> {
    fn encode_images(&self, images: &[Pixels]) -> Result<ImageEmbeddings> {
        let fingerprints: Vec<Fingerprint> = images.iter().map(Pixels::fingerprint).collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |print: &Fingerprint| !known.contains_key(print);
        let new = images.iter().zip(&fingerprints).filter(|(_, print)| is_new(print));
        let (new, new_prints): (Vec<Pixels>, Vec<Fingerprint>) =
            new.map(|(image, print)| (image.clone(), *print)).unzip();
        let encoded = self.encoder.encode_images(&new)?.0;
        let embed_dim = encoded.embed_dim();
        let rows: HashMap<Fingerprint, &[f32]> = new_prints.iter().copied().zip(encoded.rows()).collect();
        let row = |print: &Fingerprint| match rows.get(print) {
            Some(row) => *row,
            None => known[print].as_slice(),
        };
        let values: Vec<f32> = fingerprints.iter().flat_map(row).copied().collect();
        for (print, row) in rows {
            if known.len() < self.n_max {
                known.insert(print, row.to_vec());
            }
        }
        Ok(ImageEmbeddings(Embeddings::new(values, embed_dim)))
    }
}
