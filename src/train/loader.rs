//! Reads, decodes and tokenises samples on threads, ahead of the step that needs them, in the order drawn.
//!
//! A training draws its batches from a [`Loader`], a validation its whole data set. The threads are at most `ahead`
//! samples ahead of the consumer, so memory doesn't grow with the data. A sample that can't be used becomes an error in
//! its place.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::data::TrainingSet;
use super::order::Draw;
use super::pass::Example;
use crate::error::{Error, Result, caught};
use crate::preprocess::Preprocess;
use crate::text::{ContextLength, Tokenizer};

/// A sample, ready for the towers.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) example: Example,
    pub(super) class: Option<String>,
    /// Whether the long caption was cut to the context length.
    pub(super) is_cut: bool,
}

/// How a sample is made into an example.
#[derive(Clone)]
pub(super) struct Preparation {
    pub(super) data: Arc<TrainingSet>,
    pub(super) preprocess: Preprocess,
    pub(super) context: ContextLength,
}

impl Preparation {
    fn load(&self, draw: Draw) -> Result<Loaded> {
        let sample = self.data.read(draw.sample_idx, draw.number)?;
        let pixels = self.preprocess.run(&sample.name, &sample.image)?;
        let long = Tokenizer::clip().encode(&sample.long, self.context);
        let short = Tokenizer::clip().encode(&sample.short, self.context);
        Ok(Loaded {
            is_cut: long.truncated(),
            example: Example {
                pixels,
                long: long.ids().to_vec(),
                short: short.ids().to_vec(),
            },
            class: sample.class,
        })
    }

    fn load_or_refuse(&self, draw: Draw) -> Result<Loaded> {
        // A panic must cost one sample, not the run.
        let loaded = caught(|| self.load(draw));
        loaded.unwrap_or_else(|_| {
            Err(Error::Sample {
                name: self.data.name(draw.sample_idx),
                problem: "loading it failed unexpectedly; please report this".into(),
            })
        })
    }
}

/// Iterates over loaded samples in the order of their draws.
pub(super) struct Loader {
    shared: Arc<LoaderShared>,
    threads: Vec<JoinHandle<()>>,
}

struct LoaderShared {
    state: Mutex<LoaderState>,
    changed: Condvar,
    ahead: u64,
    preparation: Preparation,
}

struct LoaderState {
    draws: Box<dyn Iterator<Item = Draw> + Send>,
    /// Draws that threads have taken.
    n_drawn: u64,
    /// Samples that the consumer has taken.
    n_given: u64,
    /// Loaded samples by the number of their draw.
    loaded: BTreeMap<u64, (Draw, Result<Loaded>)>,
    /// Whether there are no more draws.
    ended: bool,
    /// Whether the consumer is gone.
    closed: bool,
}

impl Loader {
    /// Starts `n_threads` threads, which load at most `ahead` samples ahead of the consumer.
    ///
    /// # Errors
    /// [`Error::System`] if the system can't start a thread.
    pub(super) fn start(
        preparation: Preparation,
        draws: impl Iterator<Item = Draw> + Send + 'static,
        n_threads: usize,
        ahead: usize,
    ) -> Result<Self> {
        let shared = Arc::new(LoaderShared {
            state: Mutex::new(LoaderState {
                draws: Box::new(draws),
                n_drawn: 0,
                n_given: 0,
                loaded: BTreeMap::new(),
                ended: false,
                closed: false,
            }),
            changed: Condvar::new(),
            ahead: ahead.max(1) as u64,
            preparation,
        });
        let mut loader = Loader {
            shared,
            threads: Vec::new(),
        };
        for i in 0..n_threads.max(1) {
            let shared = Arc::clone(&loader.shared);
            let thread = thread::Builder::new().name(format!("load-{i}"));
            let spawned = thread.spawn(move || shared.load_all());
            loader
                .threads
                .push(spawned.map_err(Error::system("start the threads that load samples"))?);
        }
        Ok(loader)
    }
}

impl Iterator for Loader {
    type Item = (Draw, Result<Loaded>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut state = self.shared.locked();
        loop {
            let number = state.n_given;
            if let Some(loaded) = state.loaded.remove(&number) {
                state.n_given += 1;
                self.shared.changed.notify_all();
                return Some(loaded);
            }
            if state.ended && state.n_given == state.n_drawn {
                return None;
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.locked().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // The threads catch their panics, so joining doesn't fail.
            let _ = thread.join();
        }
    }
}

impl LoaderShared {
    fn load_all(&self) {
        while let Some((number, draw)) = self.next_draw() {
            let loaded = self.preparation.load_or_refuse(draw);
            self.locked().loaded.insert(number, (draw, loaded));
            self.changed.notify_all();
        }
    }

    fn next_draw(&self) -> Option<(u64, Draw)> {
        let mut state = self.locked();
        loop {
            if state.closed || state.ended {
                return None;
            }
            if state.n_drawn < state.n_given + self.ahead {
                let Some(draw) = state.draws.next() else {
                    state.ended = true;
                    self.changed.notify_all();
                    return None;
                };
                state.n_drawn += 1;
                return Some((state.n_drawn - 1, draw));
            }
            state = self.wait(state);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, LoaderState>) -> MutexGuard<'a, LoaderState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, LoaderState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
