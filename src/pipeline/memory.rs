//! The largest batch that fits into a part of the free memory, measured when a run begins.
//!
//! Linux only: `MemAvailable` of `/proc/meminfo`, and the limit of the process's control group (version 2), which
//! applies in containers. If neither is known, the batch is not reduced.

use std::fs;

/// Batches take at most this fraction (1/4) of the free memory. The rest is for weights, encoded images and other
/// programs.
const MEMORY_SHARE: usize = 4;

/// The largest batch of at most `most` images that takes no more than a quarter of the free memory, if each image takes
/// `picture_bytes`; at least 1.
pub fn batch_that_fits(most: usize, picture_bytes: usize) -> usize {
    fitting(most, picture_bytes, free_bytes())
}

fn fitting(most: usize, picture_bytes: usize, free_bytes: Option<usize>) -> usize {
    let fitting = free_bytes.map_or(most, |free| free / MEMORY_SHARE / picture_bytes.max(1));
    fitting.clamp(1, most.max(1))
}

fn free_bytes() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available(&text));
    let number = |name: &str| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse::<usize>().ok()
    };
    let group = number("memory.max").zip(number("memory.current"));
    let group = group.map(|(limit, used)| limit.saturating_sub(used));
    machine.into_iter().chain(group).min()
}

fn available(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_takes_at_most_a_quarter_of_the_free_memory() {
        assert_eq!(fitting(16, 1 << 20, Some(1 << 30)), 16);
        assert_eq!(fitting(16, 1 << 20, Some(20 << 20)), 5);
        assert_eq!(fitting(16, 1 << 20, Some(0)), 1);
        assert_eq!(fitting(16, 1 << 20, None), 16);
    }

    #[test]
    fn reads_available_memory_from_meminfo() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   24 kB\n"), Some(24 * 1024));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}
