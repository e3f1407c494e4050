//! Huffman tables and the bit reader (ITU T.81, annexes C and F.2.2).

use super::super::problem::{Problem, damaged};

/// Codes up to this length are looked up in one step. This covers nearly all codes of a photo, and most of its
/// coefficients including their number bits.
const LOOKUP_BITS: u32 = 10;
const CODE_BITS_MAX: usize = 16;

/// A decoded coefficient of a sequential scan.
#[derive(Clone, Copy, Default)]
pub(super) struct Coefficient {
    pub(super) value: i16,
    /// The number of zeros before it.
    pub(super) run: u8,
    /// The length of its code and number together; 0 if they must be read in two steps.
    bits: u8,
}

/// A Huffman table with byte values.
pub(super) struct HuffmanTable {
    /// Indexed by the next [`LOOKUP_BITS`] bits: length and value, or length 0 if the code is longer.
    lookup: [(u8, u8); 1 << LOOKUP_BITS],
    /// Indexed by the same bits: a coefficient, if its code and number fit in them.
    coefficients: [Coefficient; 1 << LOOKUP_BITS],
    /// For each length, the first code that is greater than all codes of this length, shifted to 16 bits.
    ends: [u32; CODE_BITS_MAX + 1],
    /// For each length, the index of its first value minus its first code.
    offsets: [i32; CODE_BITS_MAX + 1],
    values: Vec<u8>,
}

impl HuffmanTable {
    /// Takes the number of codes of each length 1 to 16, and the values in order.
    pub(super) fn new(counts: &[u8; CODE_BITS_MAX], values: &[u8]) -> Result<Self, Problem> {
        let mut table = Self {
            lookup: [(0, 0); 1 << LOOKUP_BITS],
            coefficients: [Coefficient::default(); 1 << LOOKUP_BITS],
            ends: [0; CODE_BITS_MAX + 1],
            offsets: [0; CODE_BITS_MAX + 1],
            values: values.to_vec(),
        };
        let (mut code, mut n) = (0u32, 0usize);
        for (bits, &count) in (1u32..).zip(counts) {
            table.offsets[bits as usize] = n as i32 - code as i32;
            for _ in 0..count {
                if code >= 1 << bits {
                    return Err(damaged("a Huffman table has more codes than bits allow"));
                }
                if bits <= LOOKUP_BITS {
                    let spare = LOOKUP_BITS - bits;
                    let first = (code << spare) as usize;
                    table.lookup[first..first + (1 << spare)].fill((bits as u8, values[n]));
                }
                (code, n) = (code + 1, n + 1);
            }
            table.ends[bits as usize] = code << (CODE_BITS_MAX as u32 - bits);
            code <<= 1;
        }
        table.fill_coefficients();
        Ok(table)
    }

    /// Fills `coefficients` from `lookup`.
    fn fill_coefficients(&mut self) {
        for (next, coefficient) in self.coefficients.iter_mut().enumerate() {
            let (length, symbol) = self.lookup[next];
            let (length, size) = (u32::from(length), u32::from(symbol & 15));
            if length == 0 || size == 0 || length + size > LOOKUP_BITS {
                continue;
            }
            let number = next as u32 >> (LOOKUP_BITS - length - size) & ((1 << size) - 1);
            *coefficient = Coefficient {
                value: sign_extend(number, size) as i16,
                run: symbol >> 4,
                bits: (length + size) as u8,
            };
        }
    }

    /// The next coefficient, if it fits into the lookup.
    #[inline(always)]
    pub(super) fn next_coefficient(&self, bits: &mut Bits<'_>) -> Option<Coefficient> {
        let coefficient = self.coefficients[bits.peek(LOOKUP_BITS) as usize];
        if coefficient.bits == 0 {
            return None;
        }
        bits.drop(u32::from(coefficient.bits));
        Some(coefficient)
    }

    /// The next value. Invalid codes give 0, as in libjpeg, so that a damaged image still decodes.
    #[inline(always)]
    pub(super) fn next(&self, bits: &mut Bits<'_>) -> u8 {
        let (length, value) = self.lookup[bits.peek(LOOKUP_BITS) as usize];
        if length != 0 {
            bits.drop(u32::from(length));
            return value;
        }
        self.next_long(bits)
    }

    #[cold]
    fn next_long(&self, bits: &mut Bits<'_>) -> u8 {
        let code = bits.peek(CODE_BITS_MAX as u32);
        for length in LOOKUP_BITS as usize + 1..=CODE_BITS_MAX {
            if code < self.ends[length] {
                bits.drop(length as u32);
                let at = (code >> (CODE_BITS_MAX - length)) as i32 + self.offsets[length];
                return self.values.get(at as usize).copied().unwrap_or(0);
            }
        }
        // libjpeg has read one more bit when it detects this.
        bits.drop(CODE_BITS_MAX as u32 + 1);
        0
    }
}

/// Interprets `n` bits as a signed number; a first bit of 0 means negative (F.2.2.1, EXTEND).
#[inline(always)]
fn sign_extend(value: u32, n: u32) -> i32 {
    let value = value as i32;
    if n > 0 && value < 1 << (n - 1) {
        value + 1 - (1 << n)
    } else {
        value
    }
}

/// The entropy-coded bits of a scan up to the next marker. After the marker all bits are 0.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The first byte that is not in `buffer` yet.
    at: usize,
    /// The next bits, in the highest `left` bits.
    buffer: u64,
    left: u32,
    /// How many bits at the end of the buffer are past the end of the file.
    past_end: u32,
    /// How many bits at the end of the buffer are past the segment's data: past the file's end, or a marker.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            left: 0,
            past_end: 0,
            made_up: 0,
        }
    }

    /// Whether more bits were used than the segment has. libjpeg decodes no more of it then.
    #[inline(always)]
    pub(super) fn have_run_out(&self) -> bool {
        self.made_up > self.left
    }

    /// Whether bits past the end of the file were used, so that the file must be truncated.
    pub(super) fn are_exhausted(&self) -> bool {
        self.past_end > self.left
    }

    /// Makes at least 32 bits available, enough for one code and its number.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if self.left < 32 {
            self.refill_now();
        }
    }

    #[inline(always)]
    fn refill_now(&mut self) {
        const ONES: u64 = u64::MAX / 255;
        if let Some(&next) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let word = u64::from_be_bytes(next);
            // If all bytes differ from 0xff, nothing is stuffed. This is the usual test for a zero byte, on the complement.
            let has_no_marker = (!word).wrapping_sub(ONES) & word & (ONES << 7) == 0;
            if has_no_marker {
                let bytes = (63 - self.left) / 8;
                // Bits of the next byte may be included too; the next refill writes the same bits again.
                self.buffer |= word >> self.left;
                self.at += bytes as usize;
                self.left += bytes * 8;
                return;
            }
        }
        self.refill_bytewise();
    }

    #[cold]
    fn refill_bytewise(&mut self) {
        while self.left <= 56 {
            let (byte, taken) = match self.bytes.get(self.at..).unwrap_or_default() {
                [0xff, 0, ..] => (0xff, 2),
                [0xff, rest @ ..] => {
                    let n_fill = rest.iter().take_while(|&&byte| byte == 0xff).count();
                    match rest.get(n_fill) {
                        Some(0) => (0xff, n_fill + 2),
                        Some(_) => (0, 0),
                        None => {
                            self.past_end = self.past_end.saturating_add(8);
                            (0, 0)
                        }
                    }
                }
                [byte, ..] => (*byte, 1),
                [] => {
                    self.past_end = self.past_end.saturating_add(8);
                    (0, 0)
                }
            };
            if taken == 0 {
                self.made_up = self.made_up.saturating_add(8);
            }
            self.at += taken;
            self.buffer |= u64::from(byte) << (56 - self.left);
            self.left += 8;
        }
    }

    /// The next `n` bits, 1 to 32, without consuming them.
    #[inline(always)]
    fn peek(&self, n: u32) -> u32 {
        (self.buffer >> (64 - n)) as u32
    }

    #[inline(always)]
    fn drop(&mut self, n: u32) {
        self.buffer <<= n;
        self.left = self.left.saturating_sub(n);
    }

    /// Consumes the next `n` bits, at most 16.
    #[inline(always)]
    pub(super) fn take(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let value = self.peek(n);
        self.drop(n);
        value
    }

    /// Consumes a number of `n` bits in JPEG's signed form.
    #[inline(always)]
    pub(super) fn signed(&mut self, n: u32) -> i32 {
        sign_extend(self.take(n), n)
    }

    /// Discards the bits before the next marker and returns the position of its `0xff`, or the end of the file.
    pub(super) fn seek_marker(&mut self) -> usize {
        (self.buffer, self.left, self.past_end, self.made_up) = (0, 0, 0, 0);
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_marker = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0 && pair[1] != 0xff;
        self.at += rest.windows(2).position(is_marker).unwrap_or(rest.len());
        self.at
    }

    /// Continues after the restart marker with this number, 0 to 7. If it finds another marker, it does what libjpeg does
    /// (`jdmarker.c`, `jpeg_resync_to_restart`): it may skip that marker, or take the next segment as empty.
    pub(super) fn restart(&mut self, expected: u8) {
        let had_run_out = self.have_run_out();
        loop {
            let at = self.seek_marker();
            let Some(&[_, marker]) = self.bytes.get(at..).and_then(|rest| rest.first_chunk()) else {
                return;
            };
            let ahead = match marker {
                0xd0..=0xd7 => (marker - 0xd0).wrapping_sub(expected) & 7,
                // Another segment begins.
                0xc0.. => 1,
                // Not a marker that exists.
                _ => 7,
            };
            match ahead {
                // One of the next two: those between are lost.
                1 | 2 => {
                    self.made_up = u32::from(had_run_out);
                    return;
                }
                // One of the last two came late.
                6 | 7 => self.at += 2,
                _ => {
                    self.at += 2;
                    return;
                }
            }
        }
    }
}
