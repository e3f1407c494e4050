//! Batches of examples: always full, and from one epoch, so that no sample appears twice in a batch.
//!
//! A sample that can't be used is reported, and the next one takes its place. The samples left at the end of an epoch that
//! don't fill a batch are dropped, as is usual for contrastive losses.

use std::time::{Duration, Instant};

use super::loader::Loader;
use super::order::{Draw, Position};
use super::pass::Example;
use crate::error::{Error, Result, counted};

pub(super) struct Batch {
    pub(super) examples: Vec<Example>,
    /// The position after its last draw.
    pub(super) end: Position,
    /// How long the caller waited for it.
    pub(super) waited: Duration,
    /// Long captions that were cut to the context length.
    pub(super) n_cut: u64,
}

pub(super) struct Batches {
    loader: Loader,
    size: usize,
    /// Usable samples of the current epoch so far; `None` if drawing didn't start at its beginning.
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

    /// The next batch. `skip` is called for each sample that can't be used.
    ///
    /// # Errors
    /// [`Error::Usage`] if a complete epoch doesn't fill one batch; the error of `skip`.
    pub(super) fn next(&mut self, skip: &mut dyn FnMut(Draw, Error) -> Result<()>) -> Result<Batch> {
        let began = Instant::now();
        let mut examples: Vec<Example> = Vec::with_capacity(self.size);
        let (mut n_cut, mut epoch, mut end) = (0, None, Position::default());
        while examples.len() < self.size {
            let Some((draw, example, is_cut)) = self.draw(skip)? else {
                continue;
            };
            if epoch.is_some_and(|epoch| epoch != draw.position.epoch) {
                // The epoch has ended: its last samples don't fill a batch.
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

    /// The next sample and whether its caption was cut; `None` if it can't be used.
    fn draw(&mut self, skip: &mut dyn FnMut(Draw, Error) -> Result<()>) -> Result<Option<(Draw, Example, bool)>> {
        let (draw, loaded) = self.loader.next().expect("an order never ends");
        if draw.position.drawn == 0 {
            if let Some(n_usable) = self.n_usable.filter(|n_usable| *n_usable < self.size) {
                return Err(Error::usage(
                    format!(
                        "the data has {}, but a batch needs {}",
                        counted(n_usable, "usable sample"),
                        self.size
                    ),
                    "use more data or a smaller batch; `skipped.ndjson` lists the samples that can't be used",
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
                skip(draw, error)?;
                Ok(None)
            }
        }
    }
}
