//! Physical cores, and keeping a pool's workers on them.
//!
//! Two hyperthreads of one core share its vector units and caches, so a pool has one worker a core. Where it has all cores
//! that the process may use, each worker but the caller stays on its own: the scheduler of Linux wakes a worker beside its
//! waker when every core has something to do, be it of the lowest priority, and then two workers share a core. A pool
//! smaller than that stays free, or several processes would sit on the same cores.

use std::collections::BTreeMap;

/// Physical cores that this process may use.
pub fn physical_cores() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    match first_cpus().len() {
        0 => allowed,
        // A quota may allow less than the affinity does.
        cores => allowed.min(cores),
    }
}

/// The CPU that each worker of a pool of `count` keeps to: one a core if the pool has all of them, else none.
pub(crate) fn seats(count: usize) -> Vec<usize> {
    let cpus = first_cpus();
    if count > 1 && cpus.len() == count {
        cpus
    } else {
        Vec::new()
    }
}

/// The first CPU of each core among those allowed, in ascending order; empty where the system does not say.
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
    // SAFETY: all bits zero are an empty set; the call fills in as many bytes as it is told there are.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return Vec::new();
        }
        let most = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
        (0..most).filter(|cpu| libc::CPU_ISSET(*cpu, &set)).collect()
    }
}

/// Keeps the calling thread on `cpu`. A system that refuses leaves it where it was.
#[cfg(target_os = "linux")]
pub(crate) fn stay_on(cpu: usize) {
    // SAFETY: all bits zero are an empty set; `cpu` came from a set of the same size.
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
pub(crate) fn stay_on(_cpu: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_core_and_no_more_than_there_are_cpus() {
        let cpus = std::thread::available_parallelism().unwrap().get();
        assert!((1..=cpus).contains(&physical_cores()));
    }

    #[test]
    fn only_a_pool_that_has_all_cores_takes_seats() {
        let cores = first_cpus().len();
        for count in 0..cores + 2 {
            let expected = if count == cores && count > 1 { count } else { 0 };
            assert_eq!(seats(count).len(), expected);
        }
    }
}
