//! The items that were drawn and not yet handed over, each in its place, and whose turn on the CPU it is.
//!
//! Places are in the input's order, so that results are too, whichever thread is done first. Nothing here waits: the
//! window does, and asks what it may do.
//!
//! Turns, where preparers and model share the cores ([`Sharing::TakeTurns`]): the model's kernels are cut into equal
//! parts, one a core, so that a picture that is still being prepared on one core holds up all of them, and a core without
//! a picture is lost while another has one. So preparers begin some batches, no more; the model waits until the last of
//! them is prepared, and computes them all. Where items come slowly, a preparer that finds none ends the turn: the model
//! uses the pause, and the items that come meanwhile make the next turn a fuller one.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Prepared, Settings, Sharing};
use crate::error::Result;
use crate::input::Item;

/// How long no item has to come before an idle preparer ends a turn: longer than a reader is between two items of a fast
/// disk, shorter than a photo takes.
pub(super) const LINGER: Duration = Duration::from_millis(1);

/// Batches that a turn of the preparers makes. At its end each core waits for half a picture on average: of 16 pictures a
/// core that is 3 %, of 32 it is half of that, and a picture's pixels are no more than some hundred kB.
pub(super) const BATCHES_A_TURN: usize = 4;

pub(super) struct Places<T> {
    settings: Settings,
    places: VecDeque<Place<T>>,
    /// The number of the first place.
    first: u64,
    bytes_waiting: usize,
    turn: Turn,
    input_ended: bool,
}

enum Place<T> {
    BeingRead,
    Read(Box<Item>, Result<Vec<u8>>),
    BeingPrepared,
    Prepared(Box<Prepared<T>>),
}

impl<T> Place<T> {
    fn is_begun(&self) -> bool {
        matches!(self, Place::BeingPrepared | Place::Prepared(_))
    }
}

/// Who uses the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Preparers take what is read.
    Preparers,
    /// They finish what they have in hand, for the model.
    HandOver,
    /// A batch is being computed.
    Model,
}

impl<T> Places<T> {
    pub(super) fn new(settings: Settings) -> Self {
        Places {
            settings,
            places: VecDeque::new(),
            first: 0,
            bytes_waiting: 0,
            turn: Turn::Preparers,
            input_ended: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes that are read and not yet being prepared.
    pub(super) fn bytes_waiting(&self) -> usize {
        self.bytes_waiting
    }

    pub(super) fn input_has_ended(&self) -> bool {
        self.input_ended
    }

    /// Whether everything was handed over and nothing comes any more.
    pub(super) fn is_done(&self) -> bool {
        self.input_ended && self.places.is_empty()
    }

    /// A place for an item that was drawn; gives its number.
    pub(super) fn admit(&mut self) -> u64 {
        self.places.push_back(Place::BeingRead);
        self.first + self.places.len() as u64 - 1
    }

    pub(super) fn end_input(&mut self) {
        self.input_ended = true;
    }

    pub(super) fn put_read(&mut self, number: u64, item: Item, bytes: Result<Vec<u8>>) {
        let n_bytes = bytes.as_ref().map_or(0, Vec::len);
        if let Some(place) = self.place(number) {
            *place = Place::Read(Box::new(item), bytes);
            self.bytes_waiting += n_bytes;
        }
    }

    /// The earliest item that has its bytes, for a preparer; none where there is none or where it is not its turn.
    pub(super) fn take_read(&mut self) -> Option<(u64, Item, Result<Vec<u8>>)> {
        if !self.may_prepare() {
            return None;
        }
        let index = self.places.iter().position(|place| matches!(place, Place::Read(..)))?;
        let Place::Read(item, bytes) = std::mem::replace(&mut self.places[index], Place::BeingPrepared) else {
            return None;
        };
        self.bytes_waiting -= bytes.as_ref().map_or(0, Vec::len);
        Some((self.first + index as u64, *item, bytes))
    }

    pub(super) fn put_prepared(&mut self, number: u64, prepared: Prepared<T>) {
        if let Some(place) = self.place(number) {
            *place = Place::Prepared(Box::new(prepared));
        }
    }

    /// A batch for the model, if there is one and it is the model's turn. No item came for as long as `silence`.
    pub(super) fn take_batch(&mut self, silence: Duration) -> Option<Vec<Prepared<T>>> {
        let n_ready = self.n_ready();
        let is_due = match self.settings.sharing {
            Sharing::SideBySide => n_ready == self.settings.batch || (n_ready > 0 && !self.has_unprepared()),
            Sharing::TakeTurns => {
                if self.turn == Turn::Preparers && self.is_turn_over(silence) {
                    self.turn = Turn::HandOver;
                }
                self.turn == Turn::HandOver && self.n_in_hand() == 0
            }
        };
        if !is_due || n_ready == 0 {
            return None;
        }
        self.turn = Turn::Model;
        self.first += n_ready as u64;
        let taken = self.places.drain(..n_ready).filter_map(|place| match place {
            Place::Prepared(prepared) => Some(*prepared),
            Place::BeingRead | Place::Read(..) | Place::BeingPrepared => None,
        });
        Some(taken.collect())
    }

    /// A batch is computed: the model goes on where a full one is there, else preparers do.
    pub(super) fn batch_is_done(&mut self) {
        let is_full = self.n_ready() == self.settings.batch;
        self.turn = if is_full { Turn::HandOver } else { Turn::Preparers };
    }

    /// Whether a preparer may begin something.
    pub(super) fn may_prepare(&self) -> bool {
        match self.settings.sharing {
            Sharing::SideBySide => true,
            Sharing::TakeTurns => self.turn == Turn::Preparers && self.n_begun() < self.most_in_a_turn(),
        }
    }

    /// Whether only more input, or its absence, keeps the turn from ending.
    pub(super) fn is_starving(&self) -> bool {
        let takes_turns = self.settings.sharing == Sharing::TakeTurns;
        takes_turns && self.turn == Turn::Preparers && self.n_begun() > 0 && self.has_idle_preparer()
    }

    /// After a wish to stop: what the model doesn't have yet is let go. A turn of a large model takes a minute; to prepare
    /// it again takes a moment.
    pub(super) fn give_up(&mut self) {
        self.input_ended = true;
        self.places.clear();
    }

    fn is_turn_over(&self, silence: Duration) -> bool {
        if self.n_begun() == 0 {
            return false;
        }
        let is_full = self.n_begun() >= self.most_in_a_turn();
        let is_last = self.input_ended && self.places.iter().all(Place::is_begun);
        is_full || is_last || (self.has_idle_preparer() && silence >= LINGER)
    }

    fn has_idle_preparer(&self) -> bool {
        let has_read = self.places.iter().any(|place| matches!(place, Place::Read(..)));
        !has_read && self.n_in_hand() < self.settings.preparers.max(1)
    }

    fn most_in_a_turn(&self) -> usize {
        BATCHES_A_TURN * self.settings.batch
    }

    /// Items from the first on that are prepared or being prepared, up to one that isn't.
    fn n_begun(&self) -> usize {
        self.places.iter().take_while(|place| place.is_begun()).count()
    }

    /// Items from the first on that are prepared, up to a batch.
    fn n_ready(&self) -> usize {
        let prepared = |place: &&Place<T>| matches!(place, Place::Prepared(_));
        self.places
            .iter()
            .take(self.settings.batch)
            .take_while(prepared)
            .count()
    }

    fn n_in_hand(&self) -> usize {
        let in_hand = |place: &&Place<T>| matches!(place, Place::BeingPrepared);
        self.places.iter().filter(in_hand).count()
    }

    fn has_unprepared(&self) -> bool {
        let unprepared = |place: &Place<T>| matches!(place, Place::Read(..) | Place::BeingPrepared);
        self.places.iter().any(unprepared)
    }

    fn place(&mut self, number: u64) -> Option<&mut Place<T>> {
        // Nothing is handed over before it is prepared; but what was given up at a stop has no place any more.
        let index = number.checked_sub(self.first)?;
        self.places.get_mut(usize::try_from(index).ok()?)
    }
}
