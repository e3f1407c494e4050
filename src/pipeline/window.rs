//! The window between input and output: places for items behind a lock, and the waiting of all who use them.
//!
//! Readers, preparers and the model wait for a condition each, so that nobody is woken who can do nothing: while a batch
//! is computed on all cores, a needless wake-up takes one of them away.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::places::{BATCHES_A_TURN, LINGER, Places};
use super::{Prepared, READERS, Settings, Sharing, Stop};
use crate::error::Result;
use crate::input::Item;

/// How often a wish to stop is looked for by those who wait.
const STOP_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of encoded pictures at which no more are read ahead: a dozen photos, more than a model takes in a second.
const BYTES_AHEAD: usize = 64 << 20;

pub(super) struct Window<T> {
    state: Mutex<State<T>>,
    /// There is room for one more item.
    room: Condvar,
    /// There is something to prepare.
    work: Condvar,
    /// There may be a batch to compute.
    ready: Condvar,
    settings: Settings,
    stop: Stop,
}

struct State<T> {
    places: Places<T>,
    last_read: Instant,
    closed: bool,
}

/// Closes its window when it goes.
pub(super) struct CloseAtEnd<'a, T>(&'a Window<T>);

impl<T> Drop for CloseAtEnd<'_, T> {
    fn drop(&mut self) {
        self.0.close(self.0.locked());
    }
}

/// Items in the window: those of a turn, those that are read ahead for the next one, and one in each reader's hands.
pub(super) fn room(batch: usize) -> usize {
    2 * BATCHES_A_TURN * batch + READERS
}

impl<T> Window<T> {
    pub(super) fn new(settings: Settings, stop: Stop) -> Self {
        Window {
            state: Mutex::new(State {
                places: Places::new(settings),
                last_read: Instant::now(),
                closed: false,
            }),
            room: Condvar::new(),
            work: Condvar::new(),
            ready: Condvar::new(),
            settings,
            stop,
        }
    }

    pub(super) fn close_at_end(&self) -> CloseAtEnd<'_, T> {
        CloseAtEnd(self)
    }

    /// Waits until an item may be drawn; false where none may any more. One reader waits at a time.
    pub(super) fn wait_for_room(&self) -> bool {
        let room = room(self.settings.batch);
        let mut state = self.locked();
        loop {
            if state.closed || state.places.input_has_ended() || self.stop.is_requested() {
                return false;
            }
            let n = state.places.len();
            if n < room && (state.places.bytes_waiting() < BYTES_AHEAD || n == 0) {
                return true;
            }
            state = wait(&self.room, state, STOP_INTERVAL);
        }
    }

    /// Gives a drawn item its number; none where the run ended while it was drawn.
    pub(super) fn admit(&self) -> Option<u64> {
        let mut state = self.locked();
        let goes_on = !state.closed && !self.stop.is_requested();
        goes_on.then(|| state.places.admit())
    }

    pub(super) fn input_has_ended(&self) {
        self.locked().places.end_input();
        self.ready.notify_one();
    }

    pub(super) fn put_read(&self, number: u64, item: Item, bytes: Result<Vec<u8>>) {
        let mut state = self.locked();
        state.places.put_read(number, item, bytes);
        state.last_read = Instant::now();
        let may_prepare = state.places.may_prepare();
        drop(state);
        if may_prepare {
            self.work.notify_one();
        }
    }

    /// The earliest item that has its bytes, once preparers may work; none where the run has ended.
    pub(super) fn next_read(&self) -> Option<(u64, Item, Result<Vec<u8>>)> {
        let mut state = self.locked();
        loop {
            if state.closed {
                return None;
            }
            if let Some(taken) = state.places.take_read() {
                self.room.notify_one();
                return Some(taken);
            }
            // A preparer without work is what ends a turn.
            self.ready.notify_one();
            state = wait(&self.work, state, STOP_INTERVAL);
        }
    }

    pub(super) fn put_prepared(&self, number: u64, prepared: Prepared<T>) {
        self.locked().places.put_prepared(number, prepared);
        // Where turns are taken, the preparer's next look for work tells more.
        if self.settings.sharing == Sharing::SideBySide {
            self.ready.notify_one();
        }
    }

    /// Waits for a batch: a full one, or what there is where the input has ended or is slow.
    /// None at the end, and after a wish to stop. Until [`Window::batch_is_done`], a batch is being computed.
    pub(super) fn next_batch(&self) -> Option<Vec<Prepared<T>>> {
        let mut state = self.locked();
        loop {
            if self.stop.is_requested() {
                state.places.give_up();
            }
            if state.places.is_done() {
                self.close(state);
                return None;
            }
            let silence = state.last_read.elapsed();
            if let Some(batch) = state.places.take_batch(silence) {
                self.room.notify_one();
                return Some(batch);
            }
            let at_most = if state.places.is_starving() {
                LINGER
            } else {
                STOP_INTERVAL
            };
            state = wait(&self.ready, state, at_most);
        }
    }

    pub(super) fn batch_is_done(&self) {
        let mut state = self.locked();
        state.places.batch_is_done();
        let may_prepare = state.places.may_prepare();
        drop(state);
        if may_prepare {
            self.work.notify_all();
        }
    }

    fn close(&self, mut state: MutexGuard<'_, State<T>>) {
        state.closed = true;
        drop(state);
        self.room.notify_all();
        self.work.notify_all();
    }

    fn locked(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a, T>(what: &Condvar, state: MutexGuard<'a, State<T>>, at_most: Duration) -> MutexGuard<'a, State<T>> {
    let waited = what.wait_timeout(state, at_most);
    waited.unwrap_or_else(PoisonError::into_inner).0
}
