//! UTF-16, as Windows programs save text and as PowerShell writes what `>` redirects: recoded to UTF-8.
//!
//! It is recognised by its byte order mark, or by its content if it has none.

use std::io::{self, BufRead, Chain, Cursor, Read};

/// First bytes by which text without a mark is recognised.
const HEAD_BYTES: usize = 4096;
/// Of the characters of UTF-16 that could be read as UTF-8 too, at least this share (3/4) has a high byte that text in UTF-8
/// doesn't have: zero in English, 4 in Russian.
const CONTROLS_MIN: (usize, usize) = (3, 4);

/// Which byte of a character comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    LowFirst,
    HighFirst,
}

impl ByteOrder {
    fn of_mark(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xfe, ..] => Some(ByteOrder::LowFirst),
            [0xfe, 0xff, ..] => Some(ByteOrder::HighFirst),
            _ => None,
        }
    }

    fn unit(self, pair: &[u8]) -> u16 {
        let pair = [pair[0], pair[1]];
        match self {
            ByteOrder::LowFirst => u16::from_le_bytes(pair),
            ByteOrder::HighFirst => u16::from_be_bytes(pair),
        }
    }

    fn characters(self, bytes: &[u8]) -> impl Iterator<Item = Result<char, std::char::DecodeUtf16Error>> {
        char::decode_utf16(bytes.chunks_exact(2).map(move |pair| self.unit(pair)))
    }

    /// What the first bytes are in this order; `None` if they are not text.
    fn counts(self, head: &[u8]) -> Option<Counts> {
        let mut counts = Counts::default();
        let mut characters = self.characters(head).peekable();
        while let Some(character) = characters.next() {
            match character {
                Ok('\t' | '\n' | '\r' | ' ') => counts.n_blank += 1,
                Ok('!'..='~') => counts.n_ascii += 1,
                Ok(c) if c.is_control() || is_private(c) => return None,
                Ok(_) => {}
                // The head may end between the halves of a character.
                Err(_) if characters.peek().is_none() => {}
                Err(_) => return None,
            }
        }
        let is_control = |pair: &&[u8]| {
            let high = self.unit(pair) >> 8;
            high < 0x20 && !matches!(high, 0x09 | 0x0a | 0x0d)
        };
        counts.n_high_controls = head.chunks_exact(2).filter(is_control).count();
        Some(counts)
    }
}

/// Characters by kind.
#[derive(Default)]
struct Counts {
    n_ascii: usize,
    /// Spaces and ends of lines.
    n_blank: usize,
    /// Those whose high byte would be a control character in UTF-8.
    n_high_controls: usize,
}

/// Private use, and code points that are not characters: text has neither.
fn is_private(c: char) -> bool {
    matches!(u32::from(c), 0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xf0000..) || u32::from(c) & 0xfffe == 0xfffe
}

/// The order of bytes of a file that is UTF-16. A mark alone is not enough for [`Marked::IfZeros`].
pub(super) fn order_of(bytes: &[u8], marked: Marked) -> Option<ByteOrder> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let has_zeros = head.contains(&0);
    match (ByteOrder::of_mark(head), marked) {
        (Some(order), Marked::Always) => return Some(order),
        (Some(order), Marked::IfZeros) if has_zeros => return Some(order),
        (Some(_), Marked::IfZeros) | (None, _) => {}
    }
    if !has_zeros {
        return None;
    }
    let orders = [ByteOrder::LowFirst, ByteOrder::HighFirst].into_iter();
    let possible = orders.filter_map(|order| Some((order.counts(head)?, order)));
    let (counts, order) = possible.max_by_key(|(counts, _)| counts.n_ascii + counts.n_blank)?;
    let could_be_utf8 = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    let is_it = match could_be_utf8 {
        true => counts.n_high_controls * CONTROLS_MIN.1 >= head.len() / 2 * CONTROLS_MIN.0,
        false => counts.n_blank > 0,
    };
    is_it.then_some(order)
}

/// What a mark of UTF-16 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    /// The file is UTF-16, since UTF-8 never begins so.
    Always,
    /// A name may begin so too; but no name has zero bytes.
    IfZeros,
}

/// The text as UTF-8, without its mark.
///
/// # Errors
/// The text up to where it isn't valid.
pub(super) fn recoded(bytes: &[u8], order: ByteOrder) -> Result<String, String> {
    let mut text = String::with_capacity(bytes.len() / 2);
    for character in order.characters(bytes) {
        match character {
            Ok('\u{feff}') if text.is_empty() => {}
            Ok(c) => text.push(c),
            Err(_) => return Err(text),
        }
    }
    match bytes.len() % 2 {
        0 => Ok(text),
        _ => Err(text),
    }
}

/// A file as UTF-8, without a mark, read piece by piece.
pub(crate) struct Utf8Reader<R>(Reading<R>);

enum Reading<R> {
    Unchanged(Chain<Cursor<Vec<u8>>, R>),
    Recoded(Box<Recoder<Chain<Cursor<Vec<u8>>, R>>>),
}

struct Recoder<R> {
    inner: R,
    order: ByteOrder,
    /// The first half of a character.
    half: Option<u16>,
    text: String,
    /// Bytes of `text` that were taken.
    n_taken: usize,
    n_read: u64,
}

impl<R: BufRead> Utf8Reader<R> {
    /// Looks at the first bytes, as far as the first line.
    ///
    /// # Errors
    /// Those of the reader.
    pub(crate) fn new(inner: R) -> io::Result<Self> {
        Utf8Reader::begin(inner, |start| order_of(start, Marked::IfZeros))
    }

    /// As [`Utf8Reader::new`], of text in which zero bytes end entries, and so can't show that it is UTF-16.
    ///
    /// # Errors
    /// Those of the reader.
    pub(crate) fn of_entries(inner: R) -> io::Result<Self> {
        Utf8Reader::begin(inner, |_| None)
    }

    fn begin(mut inner: R, order_of: impl Fn(&[u8]) -> Option<ByteOrder>) -> io::Result<Self> {
        /// Enough for a mark, or for two letters.
        const TELLING_BYTES: usize = 4;
        let mut head = Vec::new();
        let order = loop {
            let buffer = inner.fill_buf()?;
            let is_telling = buffer.is_empty() || head.len() + buffer.len() >= TELLING_BYTES || buffer.contains(&b'\n');
            // Copied only if a pipe gives less than is looked at.
            let start = match head.is_empty() {
                true => buffer,
                false => &[&head, buffer].concat(),
            };
            if is_telling {
                let n_mark = start.len() - super::without_mark(start).len();
                let order = order_of(start);
                let n_of_buffer = n_mark.saturating_sub(head.len());
                head.drain(..n_mark.min(head.len()));
                inner.consume(n_of_buffer);
                break order;
            }
            let n = buffer.len();
            head.extend_from_slice(buffer);
            inner.consume(n);
        };
        let inner = Cursor::new(head).chain(inner);
        Ok(Utf8Reader(match order {
            None => Reading::Unchanged(inner),
            Some(order) => Reading::Recoded(Box::new(Recoder {
                inner,
                order,
                half: None,
                text: String::new(),
                n_taken: 0,
                n_read: 0,
            })),
        }))
    }
}

impl<R: BufRead> Recoder<R> {
    fn fill(&mut self) -> io::Result<()> {
        while self.n_taken == self.text.len() {
            self.text.clear();
            self.n_taken = 0;
            let buffer = self.inner.fill_buf()?;
            if buffer.is_empty() {
                return match self.half {
                    None => Ok(()),
                    Some(_) => Err(damaged(self.n_read)),
                };
            }
            let n_whole = buffer.len() / 2 * 2;
            if n_whole == 0 {
                self.read_parted()?;
                continue;
            }
            let (order, buffer) = (self.order, buffer[..n_whole].to_vec());
            self.inner.consume(n_whole);
            self.take(&buffer, order)?;
        }
        Ok(())
    }

    /// Reads a pair of bytes of which the buffer has only the first.
    fn read_parted(&mut self) -> io::Result<()> {
        let mut pair = [0; 2];
        let at_end = |_| damaged(self.n_read);
        self.inner.read_exact(&mut pair).map_err(at_end)?;
        self.take(&pair, self.order)
    }

    fn take(&mut self, bytes: &[u8], order: ByteOrder) -> io::Result<()> {
        let units = self.half.take().into_iter();
        let mut units: Vec<u16> = units
            .chain(bytes.chunks_exact(2).map(|pair| order.unit(pair)))
            .collect();
        self.half = units.pop_if(|last| (0xd800..0xdc00).contains(last));
        let is_begin = self.n_read == 0;
        for character in char::decode_utf16(units) {
            match character {
                Ok('\u{feff}') if is_begin && self.text.is_empty() => {}
                Ok(c) => self.text.push(c),
                Err(_) => return Err(damaged(self.n_read)),
            }
        }
        self.n_read += bytes.len() as u64;
        Ok(())
    }
}

fn damaged(after: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it is UTF-16, and damaged after byte {after}: save it as UTF-8"),
    )
}

impl<R: BufRead> BufRead for Utf8Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.0 {
            Reading::Unchanged(inner) => inner.fill_buf(),
            Reading::Recoded(recoder) => {
                recoder.fill()?;
                Ok(&recoder.text.as_bytes()[recoder.n_taken..])
            }
        }
    }

    fn consume(&mut self, n: usize) {
        match &mut self.0 {
            Reading::Unchanged(inner) => inner.consume(n),
            Reading::Recoded(recoder) => recoder.n_taken += n,
        }
    }
}

impl<R: BufRead> Read for Utf8Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Reading::Unchanged(inner) = &mut self.0 {
            return inner.read(buffer);
        }
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, order: ByteOrder) -> Vec<u8> {
        let units = text.encode_utf16();
        let bytes = units.map(|unit| match order {
            ByteOrder::LowFirst => unit.to_le_bytes(),
            ByteOrder::HighFirst => unit.to_be_bytes(),
        });
        bytes.flatten().collect()
    }

    #[test]
    fn text_of_any_script_is_recognised_without_a_mark() {
        for text in [
            "a cat\na dog",
            "un café, s’il vous plaît\r\n",
            "a",
            "кот\nсобака\n",
            "猫\n一只狗\n",
            "a cat 🐈\n",
        ] {
            for order in [ByteOrder::LowFirst, ByteOrder::HighFirst] {
                let bytes = encoded(text, order);
                assert_eq!(order_of(&bytes, Marked::IfZeros), Some(order), "{text}");
                let marked = encoded(&format!("\u{feff}{text}"), order);
                assert_eq!(order_of(&marked, Marked::IfZeros), Some(order), "{text}");
                assert_eq!(recoded(&marked, order).unwrap(), text);
            }
            assert_eq!(order_of(text.as_bytes(), Marked::Always), None, "{text}");
        }
    }

    #[test]
    fn other_bytes_are_not_taken_for_it() {
        for bytes in [
            &b""[..],
            b"a cat\0a dog\0",
            b"cat\0dog\0",
            b"caf\xe9\0x\0",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
            b"\xff\xfe.jpg\n",
        ] {
            assert_eq!(order_of(bytes, Marked::IfZeros), None, "{bytes:?}");
        }
        assert!(recoded(b"a\0\0\xd8b\0", ByteOrder::LowFirst).is_err());
        assert!(recoded(b"a\0b", ByteOrder::LowFirst).is_err());
    }

    /// Gives a few bytes at a time, as a slow pipe.
    fn read(bytes: &[u8], n_at_once: usize) -> io::Result<String> {
        let reader = io::BufReader::with_capacity(n_at_once, bytes);
        let mut text = String::new();
        Utf8Reader::new(reader)?.read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn a_reader_gives_utf8_however_its_bytes_arrive() {
        let text = "a cat 🐈\r\n猫\n";
        let low = encoded(&format!("\u{feff}{text}"), ByteOrder::LowFirst);
        let high = encoded(text, ByteOrder::HighFirst);
        let utf8 = format!("\u{feff}{text}").into_bytes();
        for n_at_once in [1, 2, 3, 4, 5, 1000] {
            for bytes in [&low, &high, &utf8] {
                assert_eq!(read(bytes, n_at_once).unwrap(), text, "{n_at_once} bytes at once");
            }
            assert_eq!(read(b"", n_at_once).unwrap(), "");
            assert!(read(&low[..low.len() - 1], n_at_once).is_err());
        }
    }
}
