//! Physical cores, and pinning a pool's workers to them.
//!
//! The two hyperthreads of a core share its vector units and caches, so a pool has one worker per core. If a pool has
//! as many workers as the process has cores, each worker except the caller is pinned to its own core. Otherwise, when
//! every core is busy (even with work of the lowest priority), Linux wakes a worker next to the thread that wakes it,
//! and two workers share a core. Smaller pools are not pinned, or several processes would use the same cores.

use std::collections::BTreeMap;

/// The number of physical cores that this process may use.
pub fn physical_cores() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    match first_cpus().len() {
        0 => allowed,
        // A quota may allow fewer than the affinity does.
        cores => allowed.min(cores),
    }
}

/// The CPU that each worker of a pool of `count` is pinned to: one per core if the pool uses all cores, otherwise none.
pub(crate) fn pinned_cpus(count: usize) -> Vec<usize> {
    let cpus = first_cpus();
    if count > 1 && cpus.len() == count {
        cpus
    } else {
        Vec::new()
    }
}

/// The first allowed CPU of each core, in ascending order; empty if the system does not say.
fn first_cpus() -> Vec<usize> {
    let mut cores = BTreeMap::new();
    for cpu in allowed_cpus() {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let Ok(siblings) = std::fs::read_to_string(path) else {
            return Vec::new();
        };
        cores.entry(siblings).or_insert(cpu);
    }
    let mut cpus: Vec<usize> = cores.into_values().collect();
    cpus.sort_unstable();
    cpus
}

/// The CPUs that this thread may run on.
#[cfg(target_os = "linux")]
fn allowed_cpus() -> Vec<usize> {
    // SAFETY: all bits zero is an empty set; the call writes no more bytes than the size it is given.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return Vec::new();
        }
        let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
        (0..most).filter(|cpu| libc::CPU_ISSET(*cpu, &set)).collect()
    }
}

/// Pins the calling thread to `cpu`. If the system refuses, nothing changes.
#[cfg(target_os = "linux")]
pub(crate) fn pin_to(cpu: usize) {
    // SAFETY: all bits zero is an empty set; `cpu` came from a set of the same size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

#[cfg(not(target_os = "linux"))]
fn allowed_cpus() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin_to(_cpu: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_at_least_one_core_and_at_most_one_per_cpu() {
        let cpus = std::thread::available_parallelism().unwrap().get();
        assert!((1..=cpus).contains(&physical_cores()));
    }

    #[test]
    fn pins_only_a_pool_that_uses_all_cores() {
        let cores = first_cpus().len();
        for count in 0..cores + 2 {
            let expected = if count == cores && count > 1 { count } else { 0 };
            assert_eq!(pinned_cpus(count).len(), expected);
        }
    }
}
