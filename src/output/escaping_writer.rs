//! Writes results for a terminal, whatever their format: a name or a label may hold characters that a terminal obeys.

use std::io::{self, Write};

use crate::text::printable_results;

/// Writes results for a terminal: control characters in them are escaped.
pub struct EscapingWriter<W> {
    out: W,
    /// The beginning of a character whose other bytes are to come.
    begun: Vec<u8>,
}

impl<W: Write> EscapingWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        let begun = Vec::new();
        EscapingWriter { out, begun }
    }
}

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.extend_from_slice(bytes);
        let n_whole = match std::str::from_utf8(&self.begun) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Ok(_) | Err(_) => self.begun.len(),
        };
        let text = String::from_utf8_lossy(&self.begun[..n_whole]);
        self.out.write_all(printable_results(&text).as_bytes())?;
        drop(text);
        self.begun.drain(..n_whole);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_escapes_however_text_is_cut() {
        let text = "größer\t\u{1b}[31m\u{202e}猫\n";
        let mut out = EscapingWriter::new(Vec::new());
        for byte in text.bytes() {
            out.write_all(&[byte]).unwrap();
        }
        assert_eq!(String::from_utf8(out.out).unwrap(), "größer\t\\u001b[31m\\u202e猫\n");
    }
}
