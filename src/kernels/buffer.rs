//! Memory of the kernels: zeroed, aligned to a cache line, on huge pages where the system has them, used again and again.
//!
//! Packed weights and activations live here. A stream of hundreds of megabytes through 4 KiB pages would spend
//! its time in page faults and address translation.

use memmap2::MmapMut;

/// Bytes of a cache line; every row of packed data starts on one.
pub(crate) const LINE: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

/// A growing block of bytes. What it holds after [`Buffer::reserve`] made it larger is zero.
#[derive(Default)]
pub(crate) struct Buffer {
    map: Option<MmapMut>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// Makes at least `len` bytes of it; contents are lost when it has to grow.
    pub(crate) fn reserve(&mut self, len: usize) {
        if len <= self.len {
            return;
        }
        // A mapping starts on a small page. Leave room to start on a huge one, where there will be any.
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

    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.map {
            Some(map) => &map[self.start..self.start + self.len],
            None => &[],
        }
    }

    /// Its bytes, to write.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.map {
            Some(map) => &mut map[self.start..self.start + self.len],
            None => &mut [],
        }
    }

    /// The first `n` numbers of it, after making room for them.
    pub(crate) fn floats(&mut self, n: usize) -> &mut [f32] {
        self.reserve(n * 4);
        let bytes = &mut self.bytes_mut()[..n * 4];
        // SAFETY: any four bytes are an f32, and a buffer starts on a cache line.
        let (before, floats, _) = unsafe { bytes.align_to_mut::<f32>() };
        assert!(
            before.is_empty() && floats.len() == n,
            "a buffer starts on a cache line"
        );
        floats
    }
}

/// So many zeroes, on huge pages where they are many: a decoded photo would cost a page fault every 4 KiB.
pub(crate) fn zeroes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    ask_for_huge_pages(&mut bytes);
    bytes
}

/// Whole huge pages only: a rounded-up tail would cost up to 2 MiB of memory for each buffer.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(bytes: &mut [u8]) {
    let start = bytes.as_mut_ptr().align_offset(HUGE_PAGE);
    let len = bytes.len().saturating_sub(start) / HUGE_PAGE * HUGE_PAGE;
    if len > 0 {
        let inside = bytes[start..].as_mut_ptr();
        // SAFETY: the range lies inside `bytes`; the advice changes how it is mapped, not what it holds. A kernel without
        // huge pages refuses it, and small ones serve as well.
        unsafe { libc::madvise(inside.cast(), len, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_bytes: &mut [u8]) {}

/// A pointer that workers share, each to write its own part.
pub(crate) struct Shared<T>(*mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: it is only a number; who writes through it promises that the parts written are disjoint.
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
    fn a_buffer_starts_on_a_cache_line_and_holds_zeroes() {
        for len in [0, 1, 63, 64, 4096, 5 << 20] {
            let mut buffer = Buffer::default();
            buffer.reserve(len);
            assert!(buffer.bytes().len() >= len);
            assert_eq!(buffer.bytes().as_ptr().align_offset(LINE) * usize::from(len > 0), 0);
            assert!(buffer.bytes().iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn a_buffer_that_is_large_enough_keeps_its_place() {
        let mut buffer = Buffer::default();
        buffer.reserve(1000);
        buffer.bytes_mut()[3] = 7;
        buffer.reserve(10);
        assert_eq!(buffer.bytes()[3], 7);
    }
}
