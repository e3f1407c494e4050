//! Memory for kernels: zeroed, aligned to a cache line, reused, and on huge pages if the system has them.
//!
//! Holds packed weights and activations. Streaming hundreds of megabytes through 4 KiB pages would be dominated by page
//! faults and address translation.

use memmap2::MmapMut;
use std::alloc::{Layout, alloc_zeroed};

/// Bytes per cache line. Every row of packed data starts on a new line.
pub(crate) const LINE: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

/// A growing block of bytes. When [`Buffer::reserve`] makes it larger, all of its bytes are zero.
#[derive(Default)]
pub(crate) struct Buffer {
    map: Option<MmapMut>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Makes the buffer at least `len` bytes long. If it has to grow, its content is lost.
    pub(crate) fn reserve(&mut self, len: usize) {
        if len <= self.len {
            return;
        }
        // A mapping starts on a small page. Reserve extra space so that the data can start on a huge page.
        let room = if len >= HUGE_PAGE { HUGE_PAGE } else { 0 };
        let mut map = MmapMut::map_anon(len + room).expect("the system has memory left");
        let start = if room == 0 {
            0
        } else {
            map.as_ptr().align_offset(HUGE_PAGE)
        };
        ask_for_huge_pages(&mut map[start..start + len]);
        *self = Buffer {
            map: Some(map),
            start,
            len,
        };
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.map {
            Some(map) => &map[self.start..self.start + self.len],
            None => &[],
        }
    }

    /// The bytes, writable.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.map {
            Some(map) => &mut map[self.start..self.start + self.len],
            None => &mut [],
        }
    }

    /// The first `n` words, f32 or u32, after making room for them.
    pub(crate) fn words<T: Word>(&mut self, n: usize) -> &mut [T] {
        self.reserve(n * 4);
        let bytes = &mut self.bytes_mut()[..n * 4];
        // SAFETY: any four bytes are a valid word, and a buffer starts on a cache line.
        let (before, words, _) = unsafe { bytes.align_to_mut::<T>() };
        assert!(before.is_empty() && words.len() == n, "a buffer starts on a cache line");
        words
    }
}

/// Numbers of four bytes.
pub(crate) trait Word: Copy {}
impl Word for f32 {}
impl Word for u32 {}

/// The system has no more memory.
#[derive(Debug)]
pub(crate) struct OutOfMemory {
    /// How much was asked for.
    pub(crate) bytes: usize,
}

/// This many zeroes, on huge pages if possible: a decoded photo would otherwise cost a page fault every 4 KiB.
///
/// # Errors
/// [`OutOfMemory`]; a vector of the standard library would end the process instead.
pub(crate) fn zeroes<T: bytemuck::Pod>(len: usize) -> Result<Vec<T>, OutOfMemory> {
    let layout = Layout::array::<T>(len).map_err(|_| OutOfMemory { bytes: usize::MAX })?;
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout's size is not 0.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return Err(OutOfMemory { bytes: layout.size() });
    }
    // SAFETY: the global allocator returned this memory for the layout of `len` values, and zeros are a valid `T`.
    let mut values = unsafe { Vec::from_raw_parts(start.cast::<T>(), len, len) };
    ask_for_huge_pages(bytemuck::cast_slice_mut(&mut values));
    Ok(values)
}

/// Asks for whole huge pages only: rounding up the end would waste up to 2 MiB per buffer.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(bytes: &mut [u8]) {
    let start = bytes.as_mut_ptr().align_offset(HUGE_PAGE);
    let len = bytes.len().saturating_sub(start) / HUGE_PAGE * HUGE_PAGE;
    if len > 0 {
        let inside = bytes[start..].as_mut_ptr();
        // SAFETY: the range is inside `bytes`; the advice changes how it is mapped, not its content. A kernel without
        // huge pages rejects it, which does no harm.
        unsafe { libc::madvise(inside.cast(), len, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_bytes: &mut [u8]) {}

/// A pointer that workers share. Each worker writes a part of its own.
pub(crate) struct Shared<T>(*mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: it is only an address; code that writes through it promises that workers write disjoint parts.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Shares `slice` for as long as the caller keeps it borrowed.
    pub(crate) fn new(slice: &mut [T]) -> Self {
        Shared(slice.as_mut_ptr())
    }

    pub(crate) fn get(self) -> *mut T {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_buffer_is_aligned_and_zeroed() {
        for len in [0, 1, 63, 64, 4096, 5 << 20] {
            let mut buffer = Buffer::default();
            buffer.reserve(len);
            assert!(buffer.bytes().len() >= len);
            assert_eq!(buffer.bytes().as_ptr().align_offset(LINE) * usize::from(len > 0), 0);
            assert!(buffer.bytes().iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_buffer_that_is_large_enough_keeps_its_content() {
        let mut buffer = Buffer::default();
        buffer.reserve(1000);
        buffer.bytes_mut()[3] = 7;
        buffer.reserve(10);
        assert_eq!(buffer.bytes()[3], 7);
    }
}
