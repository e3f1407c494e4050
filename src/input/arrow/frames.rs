//! The messages of a stream: the length of a header, the header (a verified flatbuffer), and the body.
//!
//! Lengths are untrusted: memory is taken only for bytes that arrive, within the limits here. The old form of a length,
//! without the marker before it, is supported too.

use std::io::{ErrorKind, Read};

use arrow_buffer::Buffer;
use arrow_ipc::Message;
use arrow_ipc::convert::MessageBuffer;

use crate::memory::{READING, TooLarge};

/// Enough for a schema or a batch with some hundred thousand columns.
const LARGEST_HEAD_BYTES: u32 = 64 << 20;
/// For a batch's columns, compressed and uncompressed. Columns with 32-bit offsets hold at most half of this.
pub(super) const LARGEST_BODY_BYTES: u64 = 4 << 30;
/// Bytes that are reserved at once for an untrusted length.
const TRUSTED_BYTES: u64 = 16 << 20;
const MARK: u32 = u32::MAX;
const FILE_START: &[u8] = b"ARROW1\0\0";
/// The number of 8-byte words in the padding of an Arrow file, whose alignment is at most 512 bytes.
const MOST_FILLINGS: usize = 64;
const PARQUET_START: &[u8] = b"PAR1";

/// A message: its header and its body.
pub(super) struct Frame {
    head: MessageBuffer,
    /// The body, or why it was skipped.
    pub(super) body: Result<Buffer, String>,
}

impl Frame {
    pub(super) fn message(&self) -> Message<'_> {
        self.head.as_ref()
    }
}

/// Reads one message after another.
pub(super) struct Frames {
    reader: Box<dyn Read + Send>,
    /// The first bytes, for messages.
    start: Vec<u8>,
    /// How many of them are not yet used.
    unread: usize,
    has_ended: bool,
}

impl Frames {
    /// Reads the first bytes: an empty reader is not a stream, and an Arrow file has a marker before the stream.
    pub(super) fn open(mut reader: Box<dyn Read + Send>) -> Result<Frames, String> {
        let mut eight = || at_most(&mut reader, 8);
        let mut start = eight()?;
        if start.is_empty() {
            return Err("it is empty; expected a schema, even without rows".into());
        }
        if start == FILE_START {
            // Padding may follow the marker, up to the writer's alignment.
            let mut fillings = std::iter::repeat_with(&mut eight).take(MOST_FILLINGS);
            let first = fillings.find(|bytes| !matches!(bytes.as_deref(), Ok([0, 0, 0, 0, 0, 0, 0, 0])));
            start = first.unwrap_or_else(|| Ok(Vec::new()))?;
        }
        Ok(Frames {
            reader,
            unread: start.len(),
            start,
            has_ended: false,
        })
    }

    /// Reads the messages from the middle of a stream on.
    pub(super) fn within(reader: Box<dyn Read + Send>) -> Frames {
        Frames {
            reader,
            unread: 0,
            start: Vec::new(),
            has_ended: false,
        }
    }

    /// The problem if the first bytes are not a message.
    pub(super) fn not_a_stream(&self, problem: &str) -> String {
        match self.start.as_slice() {
            [0xff, 0xff, 0xff, 0xff, ..] => problem.to_owned(),
            [] => problem.to_owned(),
            start if start.starts_with(PARQUET_START) => "it is a Parquet file".into(),
            start => format!("it begins with `{}`", shown(start)),
        }
    }

    /// Waits for the next message's header, and gives the length of its body, which the caller skips; none at the end.
    pub(super) fn next_head(&mut self) -> Result<Option<(MessageBuffer, u64)>, String> {
        let Some(head_bytes) = self.head_bytes()? else {
            self.has_ended = true;
            return Ok(None);
        };
        let head = self.exactly(u64::from(head_bytes), "header")?;
        let head = MessageBuffer::try_new(Buffer::from_vec(head)).map_err(|error| error.to_string())?;
        let body_bytes = u64::try_from(head.as_ref().bodyLength())
            .map_err(|_| format!("a body of {} bytes", head.as_ref().bodyLength()))?;
        Ok(Some((head, body_bytes)))
    }

    /// Waits for the next message; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, String> {
        let Some((head, body_bytes)) = self.next_head()? else {
            return Ok(None);
        };
        let fits = match body_bytes > LARGEST_BODY_BYTES {
            true => Err(format!(
                "its batch has {body_bytes} bytes; at most {LARGEST_BODY_BYTES} are read at once: write smaller batches"
            )),
            false => READING.fits(body_bytes).map_err(too_large),
        };
        let body = match fits {
            Ok(()) => Ok(Buffer::from_vec(self.exactly(body_bytes, "body")?)),
            Err(problem) => self.skip(body_bytes).map(|()| Err(problem))?,
        };
        Ok(Some(Frame { head, body }))
    }

    /// Reads a body that is not kept.
    fn skip(&mut self, wanted: u64) -> Result<(), String> {
        let n_begun = self.take(wanted.min(self.unread as u64))?.len() as u64;
        let rest = (&mut self.reader).take(wanted - n_begun);
        let n = n_begun + std::io::copy(&mut { rest }, &mut std::io::sink()).map_err(|error| error.to_string())?;
        all_arrived(n, wanted, "body")
    }

    /// The length of the next header; none at the end of the stream, with or without its marker.
    fn head_bytes(&mut self) -> Result<Option<u32>, String> {
        if self.has_ended {
            return Ok(None);
        }
        let mut length = self.word()?;
        if length == Some(MARK) {
            length = Some(self.word()?.ok_or("it ends in the middle of a message")?);
        }
        match length {
            None | Some(0) => Ok(None),
            Some(bytes) if bytes > LARGEST_HEAD_BYTES => Err(format!(
                "a message's header of {bytes} bytes; at most {LARGEST_HEAD_BYTES} are read"
            )),
            Some(bytes) => Ok(Some(bytes)),
        }
    }

    fn word(&mut self) -> Result<Option<u32>, String> {
        let bytes = self.take(4)?;
        match *bytes.as_slice() {
            [] => Ok(None),
            [a, b, c, d] => Ok(Some(u32::from_le_bytes([a, b, c, d]))),
            _ => Err("it ends in the middle of a message".into()),
        }
    }

    fn exactly(&mut self, wanted: u64, what: &str) -> Result<Vec<u8>, String> {
        let bytes = self.take(wanted)?;
        all_arrived(bytes.len() as u64, wanted, what).map(|()| bytes)
    }

    /// The next bytes, fewer at the end of the stream.
    fn take(&mut self, wanted: u64) -> Result<Vec<u8>, String> {
        if self.unread == 0 {
            return at_most(&mut self.reader, wanted);
        }
        let begin = self.start.len() - self.unread;
        let n = self.unread.min(usize::try_from(wanted).unwrap_or(usize::MAX));
        self.unread -= n;
        let mut bytes = self.start[begin..begin + n].to_vec();
        bytes.extend(at_most(&mut self.reader, wanted - n as u64)?);
        Ok(bytes)
    }
}

/// Bytes for a message: as text where possible.
fn shown(bytes: &[u8]) -> String {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let one = |byte: &u8| {
        if is_text(byte) {
            char::from(*byte).to_string()
        } else {
            std::ascii::escape_default(*byte).to_string()
        }
    };
    bytes.iter().map(one).collect()
}

/// Why a batch is refused for which there is not enough memory.
pub(super) fn too_large(lack: TooLarge) -> String {
    format!("its batch is too large: {lack}; write smaller batches")
}

/// Checks that as many bytes arrived as were announced.
pub(super) fn all_arrived(n: u64, wanted: u64, what: &str) -> Result<(), String> {
    match n == wanted {
        true => Ok(()),
        false => Err(format!(
            "it is cut short: {n} of the {wanted} bytes of a message's {what} arrived"
        )),
    }
}

fn at_most(reader: &mut dyn Read, wanted: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(wanted.min(TRUSTED_BYTES) as usize);
    match reader.take(wanted).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(bytes),
        Err(error) => Err(error.to_string()),
    }
}
