//! The pipeline: reads and prepares items on threads, and passes them on in batches, in the order of the input.
//!
//! `cli` runs every command over images through [`run`]. Readers wait for disks and networks, preparers use the CPU,
//! and the calling thread processes each batch. A window of limited size connects them (`window.rs`): when it is full,
//! no more items are drawn, so that memory does not grow with the input.
//!
//! On a CPU, preparers and the model compete for the same cores and caches, and both can use all of them. So they take
//! turns ([`Sharing::TakeTurns`], `queue.rs`). Reading continues during both.

mod queue;
mod stop;
mod window;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

pub use self::stop::Stop;
use self::window::Window;
use crate::error::{Error, Result, caught};
use crate::input::{Item, Items};
pub use crate::memory::batch_that_fits;
use crate::memory::{Holds, holding};

/// How a pipeline uses the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The number of threads that prepare items.
    pub preparers: usize,
    /// The number of items in a full batch.
    pub batch: usize,
    /// Whether items are prepared while a batch is processed.
    pub sharing: Sharing,
}

/// Whether items are prepared while a batch is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// No: the model computes on the CPU.
    TakeTurns,
    /// Yes: the model computes on another device.
    SideBySide,
}

/// Images in a batch per thread. With fewer, some threads would have nothing to prepare at the end of a turn.
const IMAGES_PER_THREAD: usize = 4;
/// Images in a batch on a GPU.
const GPU_BATCH: usize = 64;

impl Settings {
    /// Settings whose batches keep the threads, or a GPU, busy. Batches are smaller if memory is short for images that
    /// take `picture_bytes` each.
    pub fn fitting(sharing: Sharing, threads: usize, picture_bytes: usize) -> Self {
        let most = match sharing {
            Sharing::TakeTurns => (IMAGES_PER_THREAD * threads).max(16),
            Sharing::SideBySide => GPU_BATCH,
        };
        Settings {
            preparers: threads,
            batch: batch_that_fits(most, picture_bytes),
            sharing,
        }
    }
}

/// Threads that wait for disks and networks. They hardly use the CPU, and a web server or a hard disk serves several
/// requests at once faster than one by one.
const READERS: usize = 8;

/// An item after preparation.
#[derive(Debug)]
pub struct Prepared<T> {
    /// The item, without its bytes.
    pub item: Item,
    /// The result of preparing its bytes, or why that failed.
    pub outcome: Result<T>,
}

/// What reading an item gave: its bytes, and the memory that was taken for them.
struct Read {
    bytes: Result<Vec<u8>>,
    holds: Holds,
}

impl Read {
    fn n_bytes(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }
}

/// Prepares all items on threads, and passes them in batches, in their order, to `process` on the calling thread.
///
/// `prepare` gets an item and its bytes. A batch is smaller than a full one at the end of the input and when the input
/// is slow: results are never held back to wait for more. The run ends early if `process` fails, and after the current
/// batch if `stop` is requested.
///
/// # Errors
/// The errors of `process`; [`Error::System`] if the system cannot start threads, or if a thread fails for a bug.
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
    // However this function ends, it makes the threads end too.
    let _closed = window.close_at_end();
    let threads = spawn_threads(items, settings, &window, Arc::new(prepare))
        .map_err(Error::system("start the threads that read images"))?;
    while let Some(batch) = window.next_batch() {
        process(batch)?;
        window.batch_is_done();
    }
    if let Some(error) = window.failure() {
        return Err(error.into());
    }
    if !stop.is_requested() {
        // They have nothing left to do. After a stop, a reader may still be blocked on a pipe; the process ends it.
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
    Ok(())
}

/// Starts the threads. One that reads and one that prepares are enough, if the system refuses more.
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
        thread.spawn(move || window.fail_on_bug(|| read_all(&items, &window)))
    };
    let preparer = |i: usize| {
        let (window, prepare) = (Arc::clone(window), Arc::clone(&prepare));
        let thread = thread::Builder::new().name(format!("prepare-{i}"));
        thread.spawn(move || window.fail_on_bug(|| prepare_all(&window, &*prepare)))
    };
    let mut threads = vec![reader(0)?, preparer(0)?];
    let more = (1..settings.preparers).map(preparer).chain((1..READERS).map(reader));
    threads.extend(more.map_while(std::io::Result::ok));
    Ok(threads)
}

/// A reader thread: whenever there is room, draws an item and reads its bytes.
fn read_all<T>(items: &Mutex<Items>, window: &Window<T>) {
    loop {
        let drawn = {
            // Held while waiting for room and for the next item, so that numbers follow the order of the input.
            let mut items = items.lock().unwrap_or_else(PoisonError::into_inner);
            if !window.wait_for_room() {
                return;
            }
            match caught(|| items.next()) {
                Ok(Some(item)) => window.admit().map(|number| (number, item)),
                Ok(None) => {
                    window.input_has_ended();
                    None
                }
                // Noted before another reader can draw from what the bug left, and reach its end.
                Err(bug) => {
                    window.fail(bug.into());
                    None
                }
            }
        };
        let Some((number, mut item)) = drawn else { return };
        let name = item.name.to_string();
        let (bytes, holds) = holding(|| caught(|| item.content.take(&name)).unwrap_or_else(|bug| Err(bug.into())));
        window.put_read(number, item, Read { bytes, holds });
    }
}

/// A preparer thread: takes the earliest item that has been read, if it is allowed to, and prepares it.
fn prepare_all<T>(window: &Window<T>, prepare: &(impl Fn(&Item, &[u8]) -> Result<T> + ?Sized)) {
    while let Some((number, item, Read { bytes, holds })) = window.next_read() {
        let (outcome, decoding) = holding(|| {
            // A bug that one image triggers must cost this image only, not the run.
            let prepared = |bytes: Vec<u8>| caught(|| prepare(&item, &bytes));
            bytes.and_then(|bytes| prepared(bytes).unwrap_or_else(|_| Err(unexpected_failure(&item))))
        });
        drop((holds, decoding));
        window.put_prepared(number, Prepared { item, outcome });
    }
}

fn unexpected_failure(item: &Item) -> Error {
    Error::Picture {
        name: item.name.to_string(),
        problem: "preparing it failed unexpectedly".into(),
        hint: Some("please report this image".into()),
    }
}

#[cfg(test)]
mod tests;
