//! A small pool of persistent threads. The work of a kernel is divided into equal parts before it starts, one per
//! worker.
//!
//! The caller is worker 0. Between kernels, workers spin for some microseconds, because the next kernel usually follows
//! soon, and then park. There is no work stealing, because with few cores and equal parts it costs more than it gains.
//! (With eight parts per worker taken from a counter, ViT-B/16 was 1% faster in f32 and 8% slower in int8, and 80 texts
//! were 4% slower: two cores, paired runs of `longclip bench`.) A kernel computes each number in the same way on any
//! worker, so the number of threads does not change a single bit of a result.

use super::buffer::Buffer;
use super::cores::{physical_cores, pin_to, pinned_cpus};
use super::cpu::{Isa, Level};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// About 20 µs: longer than the plain code between two kernels of a block, short enough not to waste power.
const SPINS: usize = 1500;

/// A pool of worker threads and the instruction set they use.
pub struct Threads {
    isa: Isa,
    count: usize,
    shared: Arc<State>,
    /// Held while a kernel runs, because a pool runs one kernel at a time. Also guards the scratch memory of each
    /// worker.
    turn: Mutex<()>,
    scratch: Vec<Mutex<Buffer>>,
    handles: Vec<JoinHandle<()>>,
}

/// The state that the caller shares with the workers.
struct State {
    /// The number of jobs so far. A change wakes the workers.
    epoch: AtomicUsize,
    /// The number of workers that have not finished the current job.
    busy: AtomicUsize,
    job: Mutex<Option<Job>>,
    stop: AtomicBool,
    panicked: AtomicBool,
}

/// A borrowed closure that is called with the index of the worker. [`Threads::run`] returns only after its last use.
#[derive(Clone, Copy)]
struct Job(&'static (dyn Fn(usize) + Sync));

impl Threads {
    /// A pool of `count` workers including the caller, with the best instruction set of this CPU; 0 counts as 1.
    pub fn new(count: usize) -> Self {
        Threads::with_level(count, Level::best())
    }

    /// A pool with one worker per physical core that this process may use.
    pub fn physical() -> Self {
        Threads::new(physical_cores())
    }

    /// A pool whose kernels use no level higher than `limit`.
    pub fn with_level(count: usize, limit: Level) -> Self {
        let count = count.max(1);
        let shared = Arc::new(State {
            epoch: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            job: Mutex::new(None),
            stop: AtomicBool::new(false),
            panicked: AtomicBool::new(false),
        });
        let pinned_cpus = pinned_cpus(count);
        let handles: Vec<_> = (1..count)
            .map_while(|worker| {
                let shared = Arc::clone(&shared);
                let pinned_cpu = pinned_cpus.get(worker).copied();
                let thread = std::thread::Builder::new().name(format!("kernel-{worker}"));
                let main = move || {
                    pinned_cpu.into_iter().for_each(pin_to);
                    shared.serve(worker);
                };
                thread.spawn(main).ok()
            })
            .collect();
        // If the system refuses to start a thread, the pool is smaller.
        let count = handles.len() + 1;
        Threads {
            isa: Isa::detect(limit),
            count,
            shared,
            turn: Mutex::new(()),
            scratch: (0..count).map(|_| Mutex::default()).collect(),
            handles,
        }
    }

    /// The number of workers, including the caller.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The instruction set in use.
    pub fn level(&self) -> Level {
        self.isa.level()
    }

    /// Divides `0..n` into equal ranges, in order, and runs `work` once per range, each on its own worker. Returns when
    /// all are done.
    ///
    /// If a worker panics, this function panics. Must not be called from inside `work`.
    pub fn split(&self, n: usize, work: impl Fn(Range<usize>) + Sync) {
        self.run(|worker, _| {
            let part = share(n, self.count, worker);
            if !part.is_empty() {
                work(part);
            }
        });
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Runs `work(worker, scratch memory of the worker)` once on each worker.
    pub(crate) fn run(&self, work: impl Fn(usize, &mut Buffer) + Sync) {
        let _turn = locked(&self.turn);
        let job = |worker: usize| work(worker, &mut locked(&self.scratch[worker]));
        if self.handles.is_empty() {
            return job(0);
        }
        let borrowed: &(dyn Fn(usize) + Sync) = &job;
        // SAFETY: this only changes the lifetime. The workers use the closure until `busy` is 0, and this function does
        // not return or unwind before that.
        let borrowed: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(borrowed) };
        *locked(&self.shared.job) = Some(Job(borrowed));
        self.shared.busy.store(self.handles.len(), Ordering::Relaxed);
        self.shared.epoch.fetch_add(1, Ordering::Release);
        for handle in &self.handles {
            handle.thread().unpark();
        }
        let own = catch_unwind(AssertUnwindSafe(|| job(0)));
        wait_until(|| self.shared.busy.load(Ordering::Acquire) == 0, std::thread::yield_now);
        *locked(&self.shared.job) = None;
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(
            !self.shared.panicked.swap(false, Ordering::Relaxed),
            "a kernel's worker panicked"
        );
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.epoch.fetch_add(1, Ordering::Release);
        for handle in self.handles.drain(..) {
            handle.thread().unpark();
            // A worker catches its panics, so joining cannot fail.
            let _ = handle.join();
        }
    }
}

impl State {
    /// The main loop of a worker.
    fn serve(&self, worker: usize) {
        let mut seen = 0;
        loop {
            wait_until(|| self.epoch.load(Ordering::Acquire) != seen, std::thread::park);
            seen = self.epoch.load(Ordering::Acquire);
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let job = *locked(&self.job);
            if let Some(Job(work)) = job {
                if catch_unwind(AssertUnwindSafe(|| work(worker))).is_err() {
                    self.panicked.store(true, Ordering::Relaxed);
                }
                self.busy.fetch_sub(1, Ordering::Release);
            }
        }
    }
}

/// Spins for a while, then calls `rest` between checks.
fn wait_until(done: impl Fn() -> bool, rest: impl Fn()) {
    for _ in 0..SPINS {
        if done() {
            return;
        }
        std::hint::spin_loop();
    }
    while !done() {
        rest();
    }
}

/// Takes the lock even if its holder panicked: the guarded state is never left inconsistent.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Range `worker` of `0..n` divided into `workers` ranges whose lengths differ by at most one.
pub(crate) fn share(n: usize, workers: usize, worker: usize) -> Range<usize> {
    n * worker / workers..n * (worker + 1) / workers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(sum: &AtomicUsize, n: usize) {
        sum.fetch_add(n, Ordering::Relaxed);
    }

    #[test]
    fn split_covers_every_index_once_on_any_number_of_threads() {
        for count in [1, 2, 3, 5] {
            let threads = Threads::new(count);
            for n in [0, 1, 2, 7, 1000] {
                let hits: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
                threads.split(n, |part| {
                    for i in part {
                        hits[i].fetch_add(1, Ordering::Relaxed);
                    }
                });
                assert!(
                    hits.iter().all(|hit| hit.load(Ordering::Relaxed) == 1),
                    "{n} on {count}"
                );
            }
        }
    }

    #[test]
    fn a_panic_of_a_worker_reaches_the_caller_and_the_pool_still_works() {
        let threads = Threads::new(2);
        for culprit in 0..2 {
            let run = || threads.run(|worker, _| assert_ne!(worker, culprit, "on purpose"));
            assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        }
        let sum = AtomicUsize::new(0);
        threads.split(10, |part| add(&sum, part.len()));
        assert_eq!(sum.load(Ordering::Relaxed), 10);
    }

    #[test]
    fn callers_on_several_threads_take_turns() {
        let threads = Threads::new(2);
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        threads.split(3, |part| add(&sum, part.len()));
                    }
                });
            }
        });
        assert_eq!(sum.load(Ordering::Relaxed), 4 * 50 * 3);
    }
}
