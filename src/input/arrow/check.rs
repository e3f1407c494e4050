//! Checks a batch's header before it is decoded: the decoder trusts it, and would panic or take all memory.

use arrow_ipc::{CompressionType, RecordBatch};

use super::frames::{LARGEST_BODY_BYTES, too_large};
use crate::memory::READING;

/// A compressed buffer begins with its uncompressed length, or with -1 if it isn't compressed.
const PREFIX_BYTES: usize = 8;
const NOT_PACKED: i64 = -1;

/// Why a batch is not decoded.
pub(super) enum Refused {
    /// It is not a valid batch.
    Malformed(String),
    /// It would take more memory than there is for it.
    TooLarge(String),
}

impl Refused {
    pub(super) fn problem(self) -> String {
        match self {
            Refused::Malformed(problem) | Refused::TooLarge(problem) => problem,
        }
    }
}

impl From<String> for Refused {
    fn from(problem: String) -> Self {
        Refused::Malformed(problem)
    }
}

/// Checks that lengths are valid, and that buffers are within the body and the limits.
pub(super) fn batch(batch: &RecordBatch<'_>, body: &[u8]) -> Result<(), Refused> {
    if u32::try_from(batch.length()).is_err() {
        return Err(format!("a batch of {} rows", batch.length()).into());
    }
    for node in batch.nodes().iter().flatten() {
        if node.length() < 0 || !(0..=node.length()).contains(&node.null_count()) {
            return Err(format!("a column of {} rows with {} nulls", node.length(), node.null_count()).into());
        }
    }
    let n_buffers = batch.buffers().map_or(0, |buffers| buffers.len());
    for count in batch.variadicBufferCounts().iter().flatten() {
        if !usize::try_from(count).is_ok_and(|count| count <= n_buffers) {
            return Err(format!("a column of {count} buffers, and there are {n_buffers}").into());
        }
    }
    let is_packed = match batch.compression().map(|compression| compression.codec()) {
        None => false,
        Some(CompressionType::LZ4_FRAME | CompressionType::ZSTD) => true,
        Some(other) => return Err(format!("buffers compressed by an unknown codec, {}", other.0).into()),
    };
    let mut unpacked_bytes = 0;
    for buffer in batch.buffers().iter().flatten() {
        let bytes = slice(body, buffer.offset(), buffer.length()).ok_or_else(|| {
            let (offset, length) = (buffer.offset(), buffer.length());
            format!(
                "a buffer of {length} bytes from byte {offset}, in a body of {}",
                body.len()
            )
        })?;
        if is_packed && !bytes.is_empty() {
            unpacked_bytes += unpacked(bytes)?;
        }
        if unpacked_bytes > LARGEST_BODY_BYTES {
            return Err(Refused::TooLarge(format!(
                "its batch has more than {LARGEST_BODY_BYTES} bytes uncompressed: write smaller batches"
            )));
        }
    }
    READING
        .fits(unpacked_bytes)
        .map_err(|lack| Refused::TooLarge(too_large(lack)))
}

fn slice(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let offset = usize::try_from(offset).ok()?;
    let end = offset.checked_add(usize::try_from(length).ok()?)?;
    body.get(offset..end)
}

fn unpacked(buffer: &[u8]) -> Result<u64, String> {
    let prefix = buffer.first_chunk::<PREFIX_BYTES>();
    let prefix = prefix.ok_or_else(|| format!("a compressed buffer of {} bytes", buffer.len()))?;
    match i64::from_le_bytes(*prefix) {
        NOT_PACKED => Ok(buffer.len() as u64),
        // Capped, so that the sum can't overflow.
        length => u64::try_from(length)
            .map(|length| length.min(LARGEST_BODY_BYTES + 1))
            .map_err(|_| format!("a buffer of {length} bytes uncompressed")),
    }
}
