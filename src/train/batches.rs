//! Batches of examples: full ones, each of one epoch, so that no sample is its own wrong answer.
//!
//! What can't be used is told and left out, and the next sample takes its place. What an epoch has left over at its end
//! is dropped, as data loaders do in the training of contrastive losses.

use std::time::{Duration, Instant};

use super::gradients::Example;
use super::loader::Loader;
use super::order::{Draw, Position};
use crate::error::{Error, Result, counted};

/// A batch, and how it came about.
pub(super) struct Batch {
    pub(super) examples: Vec<Example>,
    /// Behind its last draw.
    pub(super) end: Position,
    /// How long the caller was kept waiting for it.
    pub(super) waited: Duration,
    /// Long captions that were cut at the context.
    pub(super) n_cut: u64,
}

pub(super) struct Batches {
    loader: Loader,
    size: usize,
    /// Usable samples of the epoch that is being drawn, if it was drawn from its beginning.
    n_usable: Option<usize>,
}

impl Batches {
    pub(super) fn new(loader: Loader, size: usize) -> Self {
        Batches {
            loader,
            size,
            n_usable: None,
        }
    }

    /// The next batch; `tell` hears of each sample that can't be used.
    ///
    /// # Errors
    /// [`Error::Usage`] if a whole epoch doesn't fill one batch.
    pub(super) fn next(&mut self, tell: &mut dyn FnMut(Draw, Error)) -> Result<Batch> {
        let began = Instant::now();
        let mut examples: Vec<Example> = Vec::with_capacity(self.size);
        let (mut n_cut, mut epoch, mut end) = (0, None, Position::default());
        while examples.len() < self.size {
            let Some((draw, example, is_cut)) = self.draw(tell)? else {
                continue;
            };
            if epoch.is_some_and(|epoch| epoch != draw.position.epoch) {
                // The end of an epoch: what was gathered of it is left over.
                examples.clear();
                n_cut = 0;
            }
            epoch = Some(draw.position.epoch);
            end = Position {
                drawn: draw.position.drawn + 1,
                ..draw.position
            };
            n_cut += u64::from(is_cut);
            examples.push(example);
        }
        Ok(Batch {
            examples,
            end,
            waited: began.elapsed(),
            n_cut,
        })
    }

    /// The next sample; none if it can't be used.
    fn draw(&mut self, tell: &mut dyn FnMut(Draw, Error)) -> Result<Option<(Draw, Example, bool)>> {
        let (draw, loaded) = self.loader.next().expect("an order has no end");
        if draw.position.drawn == 0 {
            if let Some(n_usable) = self.n_usable.filter(|n_usable| *n_usable < self.size) {
                return Err(Error::usage(
                    format!(
                        "the data has {}, and a batch takes {}",
                        counted(n_usable, "usable sample"),
                        self.size
                    ),
                    "give more data, or a smaller `--batch`; `skipped.ndjson` lists what could not be used",
                ));
            }
            self.n_usable = Some(0);
        }
        match loaded {
            Ok(loaded) => {
                if let Some(n_usable) = &mut self.n_usable {
                    *n_usable += 1;
                }
                Ok(Some((draw, loaded.example, loaded.is_cut)))
            }
            Err(error) => {
                tell(draw, error);
                Ok(None)
            }
        }
    }
}
