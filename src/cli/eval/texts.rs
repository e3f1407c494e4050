//! Encodes the texts of an evaluation, each once. Their embeddings can be kept, so that a run can be resumed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use longclip::eval::{Embeddings, Origin};
use longclip::model::{self, LongClip, TextEmbeddings};
use longclip::pipeline::Stop;
use longclip::weights::identity;
use sha2::{Digest, Sha256};

use crate::cli::interrupt::stop_on_interrupt;
use crate::cli::model_flags::Loaded;
use crate::cli::report::Report;

/// Texts per pass; after each, interruptions are checked and the results written.
const TEXTS_A_PASS: usize = 64;
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// Encodes texts with a model, and keeps the ones encoded already.
pub(super) struct Texts<'a> {
    model: &'a LongClip,
    kept: Embeddings,
    stop: Stop,
    report: Report,
    last_line: Instant,
}

/// Why encoding ended.
pub(super) enum Halt {
    Broken(anyhow::Error),
    Interrupted,
}

impl<E: Into<anyhow::Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Halt::Broken(error.into())
    }
}

impl<'a> Texts<'a> {
    /// Opens the embeddings in `kept`, to add more.
    pub(super) fn open(loaded: &'a Loaded, kept: Option<&Path>, report: Report) -> longclip::Result<Self> {
        let embed_dim = loaded.model.sizes().embed_dim;
        let origin = Origin {
            model: loaded.name.to_owned(),
            identity: loaded.model.text_identity(),
            dtype: loaded.dtype().to_owned(),
            // A text is its token ids, whatever data it is from.
            reading: "as token ids".to_owned(),
            data: "texts".to_owned(),
            n_pictures: 0,
            fingerprint: "texts".to_owned(),
        };
        Ok(Texts {
            model: &loaded.model,
            kept: match kept {
                Some(kept) => Embeddings::open(kept, &origin, embed_dim)?,
                None => Embeddings::in_memory(embed_dim),
            },
            stop: stop_on_interrupt(),
            report,
            last_line: Instant::now(),
        })
    }

    /// One row per text, given as token ids.
    pub(super) fn encode(&mut self, texts: &[Vec<u32>]) -> Result<TextEmbeddings, Halt> {
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
            self.tell(n_done, missing.len());
        }
        let rows = texts.iter().map(|ids| self.kept.get(&key(ids)).expect("encoded above"));
        let values: Vec<f32> = rows.flatten().copied().collect();
        Ok(TextEmbeddings(model::Embeddings::new(values, self.kept.embed_dim())))
    }

    fn tell(&mut self, n_done: usize, n_all: usize) {
        if self.last_line.elapsed() >= BETWEEN_LINES {
            self.last_line = Instant::now();
            self.report.note(format!("{n_done} of {n_all} texts encoded"));
        }
    }
}

/// The key of a text.
fn key(ids: &[u32]) -> String {
    let mut hash = Sha256::new();
    ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
    identity(hash)
}
