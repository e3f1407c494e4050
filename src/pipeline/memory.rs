//! How much memory is free, measured when a run begins, and the batch that fits into a part of it.
//!
//! Linux only: `MemAvailable` of `/proc/meminfo`, and the limit of the process's control group (version 2), under which
//! containers run. Where neither is told, the batch is as it was asked for.

use std::fs;

/// The part of the free memory that batches may take; weights, encoded pictures and other programs want some too.
const PART: usize = 4;

/// The largest batch up to `most` whose pictures, of so many bytes each, take a quarter of the free memory; at least 1.
pub fn batch_that_fits(most: usize, picture_bytes: usize) -> usize {
    fitting(most, picture_bytes, free_bytes())
}

fn fitting(most: usize, picture_bytes: usize, free_bytes: Option<usize>) -> usize {
    let fitting = free_bytes.map_or(most, |free| free / PART / picture_bytes.max(1));
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
    fn a_batch_takes_a_quarter_of_the_free_memory_at_most() {
        assert_eq!(fitting(16, 1 << 20, Some(1 << 30)), 16);
        assert_eq!(fitting(16, 1 << 20, Some(20 << 20)), 5);
        assert_eq!(fitting(16, 1 << 20, Some(0)), 1);
        assert_eq!(fitting(16, 1 << 20, None), 16);
    }

    #[test]
    fn meminfo_is_read_as_the_kernel_writes_it() {
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   24 kB\n"), Some(24 * 1024));
        assert_eq!(available("MemTotal: 9 kB\n"), None);
    }
}
