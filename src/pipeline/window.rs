//! The window between input and output: the item queue with its lock, and the condition variables of its users.
//!
//! Readers, preparers and the model each wait for their own condition, so that no thread is woken without work to do.
//! While a batch is computed on all cores, a needless wake-up would take one of them away.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::queue::{BATCHES_PER_TURN, ItemQueue, LINGER};
use super::{Prepared, READERS, Read, Settings, Sharing, Stop};
use crate::error::{Error, caught};
use crate::input::Item;

/// How often waiting threads check whether a stop was requested.
const STOP_INTERVAL: Duration = Duration::from_millis(100);
/// Once this many bytes of encoded images are waiting, no more are read ahead. It is about a dozen photos, more than a
/// model processes in a second.
const BYTES_AHEAD: usize = 64 << 20;

pub(super) struct Window<T> {
    state: Mutex<State<T>>,
    /// Signals that there is room for one more item.
    room: Condvar,
    /// Signals that there is something to prepare.
    work: Condvar,
    /// Signals that there may be a batch to process.
    ready: Condvar,
    settings: Settings,
    stop: Stop,
}

struct State<T> {
    queue: ItemQueue<T>,
    last_read: Instant,
    closed: bool,
    /// Why the run can't continue.
    failure: Option<Error>,
}

/// Closes its window when dropped.
pub(super) struct CloseAtEnd<'a, T>(&'a Window<T>);

impl<T> Drop for CloseAtEnd<'_, T> {
    fn drop(&mut self) {
        self.0.close(self.0.locked());
    }
}

/// The number of items in the window: those of a turn, as many read ahead for the next turn, and one per reader.
pub(super) fn room(batch: usize) -> usize {
    2 * BATCHES_PER_TURN * batch + READERS
}

impl<T> Window<T> {
    pub(super) fn new(settings: Settings, stop: Stop) -> Self {
        Window {
            state: Mutex::new(State {
                queue: ItemQueue::new(settings),
                last_read: Instant::now(),
                closed: false,
                failure: None,
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

    /// Waits until an item may be drawn; false if no more may be drawn. Only one reader waits at a time.
    pub(super) fn wait_for_room(&self) -> bool {
        let room = room(self.settings.batch);
        let mut state = self.locked();
        loop {
            let is_over = state.closed || state.failure.is_some() || state.queue.input_has_ended();
            if is_over || self.stop.is_requested() {
                return false;
            }
            let n = state.queue.len();
            if n < room && (state.queue.bytes_waiting() < BYTES_AHEAD || n == 0) {
                return true;
            }
            state = wait(&self.room, state, STOP_INTERVAL);
        }
    }

    /// Gives a drawn item its number; `None` if the run ended while it was being drawn.
    pub(super) fn admit(&self) -> Option<u64> {
        let mut state = self.locked();
        let is_running = !state.closed && !self.stop.is_requested();
        is_running.then(|| state.queue.admit())
    }

    pub(super) fn input_has_ended(&self) {
        self.locked().queue.end_input();
        self.ready.notify_one();
    }

    pub(super) fn put_read(&self, number: u64, item: Item, read: Read) {
        let mut state = self.locked();
        state.queue.put_read(number, item, read);
        state.last_read = Instant::now();
        let may_prepare = state.queue.may_prepare();
        drop(state);
        if may_prepare {
            self.work.notify_one();
        }
    }

    /// The earliest item that has been read, once preparers may work; `None` if the run has ended.
    pub(super) fn next_read(&self) -> Option<(u64, Item, Read)> {
        let mut state = self.locked();
        loop {
            if state.closed {
                return None;
            }
            if let Some(taken) = state.queue.take_read() {
                self.room.notify_one();
                return Some(taken);
            }
            // The turn may end because this preparer has no work.
            self.ready.notify_one();
            state = wait(&self.work, state, STOP_INTERVAL);
        }
    }

    pub(super) fn put_prepared(&self, number: u64, prepared: Prepared<T>) {
        self.locked().queue.put_prepared(number, prepared);
        // When taking turns, the preparer's next call of `next_read` gives the signal.
        if self.settings.sharing == Sharing::SideBySide {
            self.ready.notify_one();
        }
    }

    /// Waits for a batch: a full one, or the items available if the input has ended or is slow. Returns `None` at the
    /// end and after a stop request. The batch is being processed until [`Window::batch_is_done`].
    pub(super) fn next_batch(&self) -> Option<Vec<Prepared<T>>> {
        let mut state = self.locked();
        loop {
            if self.stop.is_requested() {
                state.queue.discard_all();
            }
            if state.queue.is_done() || state.failure.is_some() {
                self.close(state);
                return None;
            }
            let idle_time = state.last_read.elapsed();
            if let Some(batch) = state.queue.take_batch(idle_time) {
                self.room.notify_one();
                return Some(batch);
            }
            let at_most = if state.queue.is_starving() {
                LINGER
            } else {
                STOP_INTERVAL
            };
            state = wait(&self.ready, state, at_most);
        }
    }

    pub(super) fn batch_is_done(&self) {
        let mut state = self.locked();
        state.queue.batch_is_done();
        let may_prepare = state.queue.may_prepare();
        drop(state);
        if may_prepare {
            self.work.notify_all();
        }
    }

    /// Runs a thread's work. If it panics, the run ends: without this thread it could wait forever.
    pub(super) fn fail_on_bug(&self, work: impl FnOnce()) {
        if let Err(bug) = caught(work) {
            self.fail(bug.into());
        }
    }

    /// Ends the run with an error. No more items are drawn.
    pub(super) fn fail(&self, error: Error) {
        self.locked().failure.get_or_insert(error);
        self.ready.notify_one();
    }

    /// Why the run ended early, if it did.
    pub(super) fn failure(&self) -> Option<Error> {
        self.locked().failure.take()
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
