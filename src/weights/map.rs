//! Maps files into memory: the one place outside `kernels` with `unsafe`.
//!
//! Called by the readers of `.safetensors` and `.pt`, and by the search for its index; a mapped file costs no memory until a tensor of it is read.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps the whole of a file, read only. An empty file gives an empty map.
///
/// # Errors
/// [`Error::Read`] if the file can't be opened or mapped.
#[allow(unsafe_code, reason = "mapping a file is unsafe by nature; see SAFETY")]
pub(crate) fn map(path: &Path) -> Result<Mmap> {
    let failed = Error::read(path);
    let file = File::open(path).map_err(failed)?;
    // SAFETY: the map is private and read only. Bytes that another process changes meanwhile can make a number wrong,
    // never a reference invalid: readers copy plain numbers out of it and check every offset against its length. A file
    // cut short under us raises SIGBUS, as with every program that maps; docs/ARCHITECTURE.md says so.
    unsafe { Mmap::map(&file) }.map_err(failed)
}

/// Lets the system drop mapped bytes from memory; reading them again fetches them from the file. Best effort.
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

/// Nothing to do where there is no such advice.
#[cfg(not(unix))]
pub(super) fn release(_: &Mmap, _: Range<usize>) {}
