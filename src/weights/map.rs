//! Maps files into memory: the one place outside `kernels` with `unsafe`.
//!
//! Used to read `.safetensors`, `.pt` and the index of a search; a mapped file takes no memory until it is read.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps a whole file, read only. The map of an empty file is empty.
///
/// # Errors
/// [`Error::Read`] if the file can't be opened or mapped.
#[allow(unsafe_code, reason = "mapping a file is unsafe by nature; see SAFETY")]
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let failed = Error::read(path);
    let file = File::open(path).map_err(failed)?;
    // SAFETY: the map is private and read only. Bytes that another process changes meanwhile can make a number wrong,
    // never a reference invalid: readers copy plain numbers out of it and check every offset against its length. A file
    // cut short under us raises SIGBUS, as with every program that maps; docs/security.md says so.
    unsafe { Mmap::map(&file) }.map_err(failed)
}

/// Lets the system drop mapped bytes from memory; they are read from the file again when needed. Best effort.
#[cfg(unix)]
#[allow(unsafe_code, reason = "advice that drops pages is unsafe by nature; see SAFETY")]
pub(super) fn release(map: &Mmap, range: Range<usize>) {
    const PAGE_BYTES: usize = 4096;
    // Whole pages only: the neighbours' bytes on the first and last page may be in use.
    let start = range.start.next_multiple_of(PAGE_BYTES);
    let end = range.end.min(map.len()) / PAGE_BYTES * PAGE_BYTES;
    if start < end {
        // SAFETY: the map is shared with its file and read only, so dropped pages come back with the same bytes, and
        // references into them stay valid.
        let advised = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) };
        advised.ok(); // advice only: nothing depends on it
    }
}

/// Does nothing: other systems have no such advice.
#[cfg(not(unix))]
pub(super) fn release(_: &Mmap, _: Range<usize>) {}
