//! What the allocator does with memory that is given back.

/// Has the allocator keep memory that is freed, for what is allocated next.
///
/// For work that frees and allocates the same large blocks again and again, as a training does: by default glibc gives each
/// back to the system, which clears its pages anew one by one as they are touched. Of a step of nano's training that was two
/// fifths of the time. The process's memory stays at its peak then. Elsewhere than with glibc this does nothing.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets two numbers of the allocator; allowed at any time.
    unsafe {
        // No block is a mapping of its own, and the heap's end is never given back.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}
