//! The memory that a run may take: free memory, and two budgets that are shared by all threads.
//!
//! Images come from anywhere, and a few bytes can stand for a gigabyte. So code that reads or decodes an image takes its
//! bytes from a [`Pool`] first, and waits if other threads hold them. Bytes are held until the end of the work that an outer
//! caller wraps in [`holding`], since an image outlives the function that decoded it.
//!
//! Free memory is known on Linux only: `MemAvailable` of `/proc/meminfo`, the limits of control groups (both versions),
//! which apply in containers, and the limit on the address space (`ulimit -v`).

use std::cell::RefCell;
use std::fs;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// Batches take at most this fraction (1/4) of the free memory. The rest is for weights, encoded images and other
/// programs.
const BATCH_SHARE: usize = 4;

/// The largest batch of at most `most` images that takes no more than a quarter of the free memory, if each image takes
/// `picture_bytes`; at least 1.
pub fn batch_that_fits(most: usize, picture_bytes: usize) -> usize {
    fitting(most, picture_bytes, free_bytes())
}

fn fitting(most: usize, picture_bytes: usize, free_bytes: Option<usize>) -> usize {
    let fitting = free_bytes.map_or(most, |free| free / BATCH_SHARE / picture_bytes.max(1));
    fitting.clamp(1, most.max(1))
}

/// Bytes that threads share: what one holds, another waits for.
pub(crate) struct Pool {
    /// The share of free memory that all holders together may take, in eighths.
    share: u64,
    /// The share that a holder may take if it is the only one.
    alone: u64,
    free: OnceLock<u64>,
    used: Mutex<u64>,
    released: Condvar,
}

/// For encoded images: while they are read, and until they are decoded.
pub(crate) static READING: Pool = Pool::new(2, 2);
/// For images while they are decoded and resized.
pub(crate) static DECODING: Pool = Pool::new(4, 5);

/// There is not as much memory as something would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) wanted: u64,
    pub(crate) available: u64,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let TooLarge { wanted, available } = self;
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        write!(
            f,
            "it would take {} MiB of memory; {} MiB are available for it",
            mib(*wanted),
            available >> 20
        )
    }
}

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    pool: &'static Pool,
    bytes: u64,
}

/// All that was taken during a call of [`holding`].
#[derive(Debug, Default)]
pub(crate) struct Holds(Vec<Hold>);

thread_local! {
    static HOLDING: RefCell<Option<Vec<Hold>>> = const { RefCell::new(None) };
}

/// Calls `work`, and returns what it took from pools together with its result.
pub(crate) fn holding<T>(work: impl FnOnce() -> T) -> (T, Holds) {
    let before = HOLDING.replace(Some(Vec::new()));
    // A panic in `work` leaves the list in place; the next call replaces it, which releases it.
    let result = work();
    let holds = HOLDING.replace(before).unwrap_or_default();
    (result, Holds(holds))
}

impl Holds {
    /// Passes them to the caller of [`holding`] on this thread, or releases them if there is none.
    pub(crate) fn pass_on(self) {
        HOLDING.with_borrow_mut(|holding| {
            if let Some(holding) = holding {
                holding.extend(self.0);
            }
        });
    }
}

impl Pool {
    const fn new(share: u64, alone: u64) -> Pool {
        Pool {
            share,
            alone,
            free: OnceLock::new(),
            used: Mutex::new(0),
            released: Condvar::new(),
        }
    }

    /// Takes bytes, and waits while other holders have too many. A thread takes once for one image: if it took a part
    /// and waited for more, two of them could wait for each other.
    ///
    /// # Errors
    /// If there will never be as many.
    pub(crate) fn take(&'static self, bytes: u64) -> Result<(), TooLarge> {
        let hold = self.take_of(self.free(), bytes)?;
        HOLDING.with_borrow_mut(|holding| match holding {
            Some(holding) => holding.push(hold),
            // Nobody says for how long.
            None => drop(hold),
        });
        Ok(())
    }

    /// Whether a single holder may take this many bytes.
    ///
    /// # Errors
    /// If not.
    #[cfg(feature = "arrow")]
    pub(crate) fn fits(&self, bytes: u64) -> Result<(), TooLarge> {
        self.fits_in(self.free(), bytes)
    }

    fn free(&self) -> u64 {
        let known = || free_bytes().map_or(u64::MAX, |free| free as u64);
        *self.free.get_or_init(known)
    }

    fn fits_in(&self, free: u64, wanted: u64) -> Result<(), TooLarge> {
        let available = free / 8 * self.alone;
        match wanted > available {
            true => Err(TooLarge { wanted, available }),
            false => Ok(()),
        }
    }

    fn take_of(&'static self, free: u64, bytes: u64) -> Result<Hold, TooLarge> {
        self.fits_in(free, bytes)?;
        let together = free / 8 * self.share;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used > 0 && used.saturating_add(bytes) > together {
            used = self.released.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used = used.saturating_add(bytes);
        Ok(Hold { pool: self, bytes })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut used = self.pool.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(self.bytes);
        drop(used);
        self.pool.released.notify_all();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

/// The most memory that this process has had, in bytes, if the system says.
pub(crate) fn peak_bytes() -> Option<usize> {
    kib_after(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// The bytes that this process can still take.
fn free_bytes() -> Option<usize> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| kib_after(&text, "MemAvailable:"));
    let address_space = read("/proc/self/limits").zip(read("/proc/self/status"));
    let address_space = address_space.and_then(|(limits, status)| {
        let used = kib_after(&status, "VmSize:")?;
        Some(address_space_limit(&limits)?.saturating_sub(used))
    });
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let groups = group_folders(&groups).into_iter().filter_map(|folder| {
        let number = |name: &str| read(&format!("{folder}/{name}"))?.trim().parse::<usize>().ok();
        let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
        let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
        Some(limit.saturating_sub(used))
    });
    machine.into_iter().chain(address_space).chain(groups).min()
}

fn kib_after(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The soft limit in `/proc/self/limits`; `None` if there is none.
fn address_space_limit(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The folders of the control groups that a process is in, from its `/proc/self/cgroup`. In a container, its own group is
/// usually the root of what it sees.
fn group_folders(groups: &str) -> Vec<String> {
    let mut folders = vec!["/sys/fs/cgroup".to_owned(), "/sys/fs/cgroup/memory".to_owned()];
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            all if all.split(',').any(|one| one == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        // A group's limit applies to the groups in it.
        let mut path = path.trim_end_matches('/');
        while !path.is_empty() {
            folders.push(format!("{root}{path}"));
            path = path.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_batch_takes_at_most_a_quarter_of_the_free_memory() {
        assert_eq!(fitting(16, 1 << 20, Some(1 << 30)), 16);
        assert_eq!(fitting(16, 1 << 20, Some(20 << 20)), 5);
        assert_eq!(fitting(16, 1 << 20, Some(0)), 1);
        assert_eq!(fitting(16, 1 << 20, None), 16);
    }

    #[test]
    fn reads_free_memory_and_limits_as_the_system_writes_them() {
        let meminfo = "MemTotal: 9 kB\nMemAvailable:   24 kB\n";
        assert_eq!(kib_after(meminfo, "MemAvailable:"), Some(24 * 1024));
        assert_eq!(kib_after("MemTotal: 9 kB\n", "MemAvailable:"), None);
        let limits = "Max processes   94 94 processes\nMax address space         4294967296           unlimited            bytes\n";
        assert_eq!(address_space_limit(limits), Some(4 << 30));
        let unlimited = limits.replace("4294967296", "unlimited");
        assert_eq!(address_space_limit(&unlimited), None);
        let folders = group_folders("4:cpu,memory:/a\n0::/b/c\n2:cpu:/d\n");
        let expected = ["/sys/fs/cgroup/memory/a", "/sys/fs/cgroup/b/c", "/sys/fs/cgroup/b"];
        assert_eq!(folders[2..], expected);
    }

    #[test]
    fn bytes_that_are_held_are_waited_for() {
        static POOL: Pool = Pool::new(4, 6);
        let held = POOL.take_of(80, 30).unwrap();
        let (sender, receiver) = channel();
        let waiting = std::thread::spawn(move || {
            let held = POOL.take_of(80, 20);
            sender.send(()).unwrap();
            drop(held);
        });
        let early = receiver.recv_timeout(Duration::from_millis(20));
        assert_eq!(
            early,
            Err(RecvTimeoutError::Timeout),
            "30 + 20 is more than a half of 80"
        );
        drop(held);
        receiver.recv().unwrap();
        waiting.join().unwrap();
        // One alone may take more than a half, and nobody more than there is.
        drop(POOL.take_of(80, 60).unwrap());
        let refused = POOL.take_of(80, 61).unwrap_err();
        assert_eq!((refused.wanted, refused.available), (61, 60));
    }

    #[test]
    fn what_is_taken_is_held_until_the_work_around_it_is_done() {
        static POOL: Pool = Pool::new(4, 6);
        let used = || *POOL.used.lock().unwrap();
        let (outer, holds) = holding(|| {
            let ((), inner) = holding(|| POOL.take(5).unwrap());
            assert_eq!(used(), 5);
            inner.pass_on();
            used()
        });
        assert_eq!((outer, used()), (5, 5));
        drop(holds);
        assert_eq!(used(), 0);
        POOL.take(5).unwrap();
        assert_eq!(used(), 0, "without a caller that holds it, nothing is held");
    }
}
