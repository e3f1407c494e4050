//! The pipeline: draws items, reads and prepares them on threads, hands them over in batches, in the order of the input.
//!
//! `cli` runs every command over pictures through [`run`]. Readers wait for disks and networks, preparers use the CPU,
//! and the calling thread computes with each batch. Between them stands a window of so many items (`window.rs`): when it
//! is full, nothing more is drawn, so that memory doesn't grow with the input.
//!
//! On a CPU, preparing and the model want the same cores, and both can use all of them. They take turns
//! ([`Sharing::TakeTurns`], `places.rs`): side by side they would fight over cores and caches. Reading goes on during both.

mod memory;
mod places;
mod stop;
mod window;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

pub use self::memory::batch_that_fits;
pub use self::stop::Stop;
use self::window::Window;
use crate::error::{Error, Result};
use crate::input::{Item, Items};

/// How a pipeline uses the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Threads that prepare items.
    pub preparers: usize,
    /// Items that are handed over at once, where there are so many.
    pub batch: usize,
    /// Who may use the CPU while a batch is computed.
    pub sharing: Sharing,
}

/// Who may use the CPU while a batch is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Either the preparers or the model: the model computes on the CPU.
    TakeTurns,
    /// Both: the model computes elsewhere.
    SideBySide,
}

/// Pictures of a batch for each thread: with few of them, some threads have nothing to prepare at the end of a turn.
const PICTURES_A_THREAD: usize = 4;
/// Pictures of a batch on a GPU.
const PICTURES_A_GPU: usize = 64;

impl Settings {
    /// Batches that keep so many threads, or a GPU, at work; smaller where memory is short for pictures of so many bytes.
    pub fn fitting(sharing: Sharing, threads: usize, picture_bytes: usize) -> Self {
        let most = match sharing {
            Sharing::TakeTurns => (PICTURES_A_THREAD * threads).max(16),
            Sharing::SideBySide => PICTURES_A_GPU,
        };
        Settings {
            preparers: threads,
            batch: batch_that_fits(most, picture_bytes),
            sharing,
        }
    }
}

/// Threads that wait for disks and networks. They cost no CPU; a web server or a spinning disk answers faster when asked
/// for some things at once, and no one minds eight.
const READERS: usize = 8;

/// An item and what came of its preparation.
#[derive(Debug)]
pub struct Prepared<T> {
    /// The item; its bytes are gone.
    pub item: Item,
    /// What was prepared of its bytes, or why it could not be.
    pub outcome: Result<T>,
}

/// Runs all items through `prepare`, on threads, and then, on this one, in batches in their order, through `process`.
///
/// `prepare` gets an item and its bytes. A batch is smaller than asked for where the input ends or is slow: results are
/// never held back while nothing can be prepared. Ends early where `process` fails, and, behind the batch in hand, where
/// `stop` is requested.
///
/// # Errors
/// Those of `process`; [`Error::System`] if the system gives no threads.
pub fn run<T, E>(
    items: Items,
    settings: Settings,
    stop: &Stop,
    prepare: impl Fn(&Item, &[u8]) -> Result<T> + Send + Sync + 'static,
    mut process: impl FnMut(Vec<Prepared<T>>) -> Result<(), E>,
) -> Result<(), E>
where
    T: Send + 'static,
    E: From<Error>,
{
    let window = Arc::new(Window::new(settings, stop.clone()));
    // Whatever way this function ends, the threads see it and end too.
    let _closed = window.close_at_end();
    let threads = spawn_threads(items, settings, &window, Arc::new(prepare))
        .map_err(Error::system("start the threads that read images"))?;
    while let Some(batch) = window.next_batch() {
        process(batch)?;
        window.batch_is_done();
    }
    if !stop.is_requested() {
        // They have nothing left to do. After a stop, a reader may still hang on a pipe; it ends with the process.
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
    Ok(())
}

fn spawn_threads<T: Send + 'static>(
    items: Items,
    settings: Settings,
    window: &Arc<Window<T>>,
    prepare: Arc<impl Fn(&Item, &[u8]) -> Result<T> + Send + Sync + 'static>,
) -> std::io::Result<Vec<JoinHandle<()>>> {
    let items = Arc::new(Mutex::new(items));
    let reader = |i: usize| {
        let (items, window) = (Arc::clone(&items), Arc::clone(window));
        let thread = thread::Builder::new().name(format!("read-{i}"));
        thread.spawn(move || read_all(&items, &window))
    };
    let preparer = |i: usize| {
        let (window, prepare) = (Arc::clone(window), Arc::clone(&prepare));
        let thread = thread::Builder::new().name(format!("prepare-{i}"));
        thread.spawn(move || prepare_all(&window, &*prepare))
    };
    let readers = (0..READERS).map(reader);
    readers.chain((0..settings.preparers.max(1)).map(preparer)).collect()
}

/// The life of a reader: draw an item when there is room, read its bytes.
fn read_all<T>(items: &Mutex<Items>, window: &Window<T>) {
    loop {
        let drawn = {
            // Held while waiting for room and for the next item, so that numbers follow the input's order.
            let mut items = items.lock().unwrap_or_else(PoisonError::into_inner);
            if !window.wait_for_room() {
                return;
            }
            // A source that panics is a source that has ended; its reader's message is on stderr.
            match catch_unwind(AssertUnwindSafe(|| items.next())).unwrap_or(None) {
                Some(item) => window.admit().map(|number| (number, item)),
                None => {
                    window.input_has_ended();
                    None
                }
            }
        };
        let Some((number, mut item)) = drawn else { return };
        let name = item.name.to_string();
        let bytes = item.content.take(&name);
        window.put_read(number, item, bytes);
    }
}

/// The life of a preparer: take the earliest item that has its bytes and is allowed, prepare it.
fn prepare_all<T>(window: &Window<T>, prepare: &(impl Fn(&Item, &[u8]) -> Result<T> + ?Sized)) {
    while let Some((number, item, bytes)) = window.next_read() {
        let outcome = bytes.and_then(|bytes| {
            // A defect in one picture's path must cost that picture, not the run.
            catch_unwind(AssertUnwindSafe(|| prepare(&item, &bytes))).unwrap_or_else(|_| Err(gave_up(&item)))
        });
        window.put_prepared(number, Prepared { item, outcome });
    }
}

fn gave_up(item: &Item) -> Error {
    Error::Picture {
        name: item.name.to_string(),
        problem: "preparing it failed in an unforeseen way".into(),
        hint: Some("please report this picture".into()),
    }
}

#[cfg(test)]
mod tests;
