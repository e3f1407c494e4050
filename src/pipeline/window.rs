//! The window between input and output: the items that were drawn and not yet handed over, each in its place.
//!
//! Places are in the input's order, so that results are too, whichever thread is done first. One lock guards it all and
//! one condition wakes everybody: a picture takes milliseconds, a wake-up microseconds.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Prepared, READERS, Settings, Sharing, Stop};
use crate::error::Result;
use crate::input::Item;

/// How long a batch that is not full waits when nothing is being prepared: longer than a reader is between two items,
/// too short to be seen.
const LINGER: Duration = Duration::from_millis(5);
/// How often a wish to stop is looked for by those who wait.
const STOP_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of encoded pictures at which no more are read ahead: some fifty photos.
const BYTES_AHEAD: usize = 256 << 20;

pub(super) struct Window<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    settings: Settings,
    stop: Stop,
}

struct State<T> {
    places: VecDeque<Place<T>>,
    /// The number of the first place.
    first: u64,
    /// Bytes that are read and not yet prepared.
    bytes_waiting: usize,
    input_ended: bool,
    /// A batch is being computed.
    computing: bool,
    closed: bool,
}

enum Place<T> {
    BeingRead,
    Read(Box<Item>, Result<Vec<u8>>),
    BeingPrepared,
    Prepared(Box<Prepared<T>>),
}

/// Closes its window when it goes.
pub(super) struct CloseAtEnd<'a, T>(&'a Window<T>);

impl<T> Drop for CloseAtEnd<'_, T> {
    fn drop(&mut self) {
        self.0.locked().closed = true;
        self.0.changed.notify_all();
    }
}

impl<T> Window<T> {
    pub(super) fn new(settings: Settings, stop: Stop) -> Self {
        Window {
            state: Mutex::new(State {
                places: VecDeque::new(),
                first: 0,
                bytes_waiting: 0,
                input_ended: false,
                computing: false,
                closed: false,
            }),
            changed: Condvar::new(),
            settings,
            stop,
        }
    }

    pub(super) fn close_at_end(&self) -> CloseAtEnd<'_, T> {
        CloseAtEnd(self)
    }

    /// Waits until an item may be drawn; false where none may any more.
    pub(super) fn wait_for_room(&self) -> bool {
        // The batch that is gathered, one that is read meanwhile, and one for each reader's hands.
        let room = 2 * self.settings.batch + READERS;
        let mut state = self.locked();
        loop {
            if state.closed || state.input_ended || self.stop.is_requested() {
                return false;
            }
            if state.places.len() < room && (state.bytes_waiting < BYTES_AHEAD || state.places.is_empty()) {
                return true;
            }
            state = self.wait(state, STOP_INTERVAL);
        }
    }

    /// Gives a drawn item its number; none where the run ended while it was drawn.
    pub(super) fn admit(&self) -> Option<u64> {
        let mut state = self.locked();
        if state.closed || self.stop.is_requested() {
            return None;
        }
        state.places.push_back(Place::BeingRead);
        Some(state.first + state.places.len() as u64 - 1)
    }

    pub(super) fn input_has_ended(&self) {
        self.locked().input_ended = true;
        self.changed.notify_all();
    }

    pub(super) fn put_read(&self, number: u64, item: Item, bytes: Result<Vec<u8>>) {
        let mut state = self.locked();
        let n_bytes = bytes.as_ref().map_or(0, Vec::len);
        if let Some(place) = state.place(number) {
            *place = Place::Read(Box::new(item), bytes);
            state.bytes_waiting += n_bytes;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The earliest item that has its bytes, once preparers may work; none where the run has ended.
    pub(super) fn next_read(&self) -> Option<(u64, Item, Result<Vec<u8>>)> {
        let mut state = self.locked();
        loop {
            if state.closed || (state.input_ended && state.is_all_prepared()) {
                return None;
            }
            let allowed = !state.computing || self.settings.sharing == Sharing::SideBySide;
            if let Some(taken) = allowed.then(|| state.take_read()).flatten() {
                return Some(taken);
            }
            state = self.wait(state, STOP_INTERVAL);
        }
    }

    pub(super) fn put_prepared(&self, number: u64, prepared: Prepared<T>) {
        let mut state = self.locked();
        if let Some(place) = state.place(number) {
            *place = Place::Prepared(Box::new(prepared));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for a batch: a full one, or what there is where the input has ended, is slow, or is stopped.
    /// None at the end. Until [`Window::batch_is_done`], a batch is being computed.
    pub(super) fn next_batch(&self) -> Option<Vec<Prepared<T>>> {
        let mut state = self.locked();
        let mut lingered = false;
        loop {
            if self.stop.is_requested() {
                state.give_up_unprepared();
            }
            let n_prepared = state.n_prepared(self.settings.batch);
            let ended = state.input_ended && n_prepared == state.places.len();
            if n_prepared == 0 && ended {
                return None;
            }
            let idle = n_prepared > 0 && !state.is_preparing();
            if n_prepared == self.settings.batch || ended || (idle && lingered) {
                state.computing = true;
                return Some(state.take_prepared(n_prepared));
            }
            lingered = idle;
            state = self.wait(state, if idle { LINGER } else { STOP_INTERVAL });
        }
    }

    pub(super) fn batch_is_done(&self) {
        self.locked().computing = false;
        self.changed.notify_all();
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>, at_most: Duration) -> MutexGuard<'a, State<T>> {
        let waited = self.changed.wait_timeout(state, at_most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn locked(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn place(&mut self, number: u64) -> Option<&mut Place<T>> {
        // Nothing is handed over before it is prepared; but what was given up at a stop has no place any more.
        let index = number.checked_sub(self.first)?;
        self.places.get_mut(usize::try_from(index).ok()?)
    }

    fn take_read(&mut self) -> Option<(u64, Item, Result<Vec<u8>>)> {
        let index = self.places.iter().position(|place| matches!(place, Place::Read(..)))?;
        let Place::Read(item, bytes) = std::mem::replace(&mut self.places[index], Place::BeingPrepared) else {
            return None;
        };
        self.bytes_waiting -= bytes.as_ref().map_or(0, Vec::len);
        Some((self.first + index as u64, *item, bytes))
    }

    /// How many places from the first on are prepared, counted up to `most`.
    fn n_prepared(&self, most: usize) -> usize {
        let prepared = |place: &&Place<T>| matches!(place, Place::Prepared(_));
        self.places.iter().take(most).take_while(prepared).count()
    }

    fn is_all_prepared(&self) -> bool {
        self.places.iter().all(|place| matches!(place, Place::Prepared(_)))
    }

    /// Whether the preparers have something to do.
    fn is_preparing(&self) -> bool {
        self.places
            .iter()
            .any(|place| matches!(place, Place::Read(..) | Place::BeingPrepared))
    }

    /// After a wish to stop: what is being prepared is waited for; from the first that only waits on, all is let go.
    fn give_up_unprepared(&mut self) {
        self.input_ended = true;
        let begun = |place: &Place<T>| matches!(place, Place::Prepared(_) | Place::BeingPrepared);
        let n_begun = self.places.iter().take_while(|place| begun(place)).count();
        self.places.truncate(n_begun);
    }

    fn take_prepared(&mut self, n: usize) -> Vec<Prepared<T>> {
        self.first += n as u64;
        let taken = self.places.drain(..n).filter_map(|place| match place {
            Place::Prepared(prepared) => Some(*prepared),
            Place::BeingRead | Place::Read(..) | Place::BeingPrepared => None,
        });
        taken.collect()
    }
}
