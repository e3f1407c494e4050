//! The queue of items that have been drawn but not passed on, and whose turn it is to use the CPU.
//!
//! Slots are in the order of the input, so that results are too, whichever thread finishes first. Nothing here blocks;
//! the window waits, and asks the queue what may be done.
//!
//! Preparers and model take turns if they share the cores ([`Sharing::TakeTurns`]). The model's kernels are split into
//! equal parts, one per core. If one core is still preparing an image, all others wait for it; and a core without an
//! image to prepare is idle. So preparers start a fixed number of batches; the model waits until the last of them is
//! prepared, and then processes all of them. If items arrive slowly, a preparer that finds none ends the turn: the
//! model works during the pause, and the items that arrive meanwhile make the next turn larger.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Prepared, Read, Settings, Sharing};
use crate::input::Item;

/// How long no item must have arrived before an idle preparer ends a turn. This is longer than a reader takes between
/// two items on a fast disk, and shorter than it takes to process a photo.
pub(super) const LINGER: Duration = Duration::from_millis(1);

/// How many batches the preparers prepare in a turn. At its end each core waits for half an image on average: with 16
/// images per core this is 3%, with 32 half of that. The pixels of an image take only a few hundred kB.
pub(super) const BATCHES_PER_TURN: usize = 4;

pub(super) struct ItemQueue<T> {
    settings: Settings,
    slots: VecDeque<Slot<T>>,
    /// The number of the first slot's item.
    first: u64,
    bytes_waiting: usize,
    turn: Turn,
    input_ended: bool,
}

enum Slot<T> {
    BeingRead,
    Read(Box<Item>, Read),
    BeingPrepared,
    Prepared(Box<Prepared<T>>),
}

impl<T> Slot<T> {
    fn is_started(&self) -> bool {
        matches!(self, Slot::BeingPrepared | Slot::Prepared(_))
    }
}

/// Who uses the CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Preparers prepare what has been read.
    Preparers,
    /// Preparers finish the items they have started, then the model takes over.
    HandOver,
    /// A batch is being processed.
    Model,
}

impl<T> ItemQueue<T> {
    pub(super) fn new(settings: Settings) -> Self {
        ItemQueue {
            settings,
            slots: VecDeque::new(),
            first: 0,
            bytes_waiting: 0,
            turn: Turn::Preparers,
            input_ended: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The number of bytes that have been read and are not being prepared yet.
    pub(super) fn bytes_waiting(&self) -> usize {
        self.bytes_waiting
    }

    pub(super) fn input_has_ended(&self) -> bool {
        self.input_ended
    }

    /// Whether the input has ended and everything was passed on.
    pub(super) fn is_done(&self) -> bool {
        self.input_ended && self.slots.is_empty()
    }

    /// Adds a slot for an item that was drawn, and returns its number.
    pub(super) fn admit(&mut self) -> u64 {
        self.slots.push_back(Slot::BeingRead);
        self.first + self.slots.len() as u64 - 1
    }

    pub(super) fn end_input(&mut self) {
        self.input_ended = true;
    }

    pub(super) fn put_read(&mut self, number: u64, item: Item, read: Read) {
        let n_bytes = read.n_bytes();
        if let Some(slot) = self.slot(number) {
            *slot = Slot::Read(Box::new(item), read);
            self.bytes_waiting += n_bytes;
        }
    }

    /// The earliest item that has been read, for a preparer; `None` if there is none or it is not the preparers' turn.
    pub(super) fn take_read(&mut self) -> Option<(u64, Item, Read)> {
        if !self.may_prepare() {
            return None;
        }
        let index = self.slots.iter().position(|slot| matches!(slot, Slot::Read(..)))?;
        let Slot::Read(item, read) = std::mem::replace(&mut self.slots[index], Slot::BeingPrepared) else {
            return None;
        };
        self.bytes_waiting -= read.n_bytes();
        Some((self.first + index as u64, *item, read))
    }

    pub(super) fn put_prepared(&mut self, number: u64, prepared: Prepared<T>) {
        if let Some(slot) = self.slot(number) {
            *slot = Slot::Prepared(Box::new(prepared));
        }
    }

    /// A batch for the model, if there is one and it is the model's turn. No item has arrived for `idle_time`.
    pub(super) fn take_batch(&mut self, idle_time: Duration) -> Option<Vec<Prepared<T>>> {
        let n_ready = self.n_ready();
        let is_due = match self.settings.sharing {
            Sharing::SideBySide => n_ready == self.settings.batch || (n_ready > 0 && !self.has_unprepared()),
            Sharing::TakeTurns => {
                if self.turn == Turn::Preparers && self.is_turn_over(idle_time) {
                    self.turn = Turn::HandOver;
                }
                self.turn == Turn::HandOver && self.n_being_prepared() == 0
            }
        };
        if !is_due || n_ready == 0 {
            return None;
        }
        self.turn = Turn::Model;
        self.first += n_ready as u64;
        let taken = self.slots.drain(..n_ready).filter_map(|slot| match slot {
            Slot::Prepared(prepared) => Some(*prepared),
            Slot::BeingRead | Slot::Read(..) | Slot::BeingPrepared => None,
        });
        Some(taken.collect())
    }

    /// Ends the processing of a batch. If another full batch is ready the model continues, otherwise it is the
    /// preparers' turn.
    pub(super) fn batch_is_done(&mut self) {
        let is_full = self.n_ready() == self.settings.batch;
        self.turn = if is_full { Turn::HandOver } else { Turn::Preparers };
    }

    /// Whether a preparer may start an item.
    pub(super) fn may_prepare(&self) -> bool {
        match self.settings.sharing {
            Sharing::SideBySide => true,
            Sharing::TakeTurns => self.turn == Turn::Preparers && self.n_started() < self.items_per_turn(),
        }
    }

    /// Whether the turn continues only because more items may arrive.
    pub(super) fn is_starving(&self) -> bool {
        let takes_turns = self.settings.sharing == Sharing::TakeTurns;
        takes_turns && self.turn == Turn::Preparers && self.n_started() > 0 && self.has_idle_preparer()
    }

    /// Discards everything that the model has not received, after a stop request. Processing it with a large model
    /// could take a minute, and preparing it again takes a moment.
    pub(super) fn discard_all(&mut self) {
        self.input_ended = true;
        self.slots.clear();
    }

    fn is_turn_over(&self, idle_time: Duration) -> bool {
        if self.n_started() == 0 {
            return false;
        }
        let is_full = self.n_started() >= self.items_per_turn();
        let is_last = self.input_ended && self.slots.iter().all(Slot::is_started);
        is_full || is_last || (self.has_idle_preparer() && idle_time >= LINGER)
    }

    fn has_idle_preparer(&self) -> bool {
        let has_read = self.slots.iter().any(|slot| matches!(slot, Slot::Read(..)));
        !has_read && self.n_being_prepared() < self.settings.preparers.max(1)
    }

    fn items_per_turn(&self) -> usize {
        BATCHES_PER_TURN * self.settings.batch
    }

    /// The number of items at the front that are prepared or being prepared.
    fn n_started(&self) -> usize {
        self.slots.iter().take_while(|slot| slot.is_started()).count()
    }

    /// The number of items at the front that are prepared, at most a batch.
    fn n_ready(&self) -> usize {
        let prepared = |slot: &&Slot<T>| matches!(slot, Slot::Prepared(_));
        self.slots.iter().take(self.settings.batch).take_while(prepared).count()
    }

    fn n_being_prepared(&self) -> usize {
        let being_prepared = |slot: &&Slot<T>| matches!(slot, Slot::BeingPrepared);
        self.slots.iter().filter(being_prepared).count()
    }

    fn has_unprepared(&self) -> bool {
        let unprepared = |slot: &Slot<T>| matches!(slot, Slot::Read(..) | Slot::BeingPrepared);
        self.slots.iter().any(unprepared)
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot<T>> {
        // Items are prepared before they are passed on, but items discarded at a stop have no slot any more.
        let index = number.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(index).ok()?)
    }
}
