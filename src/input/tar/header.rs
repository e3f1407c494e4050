//! A member's header: a block of 512 bytes with fields in fixed places (POSIX.1-1988 "ustar", and GNU tar's `src/tar.h`).

use std::io;
use std::ops::Range;

use super::{Kind, damage};

/// Everything in an archive begins at a multiple of this.
pub(super) const BLOCK: usize = 512;
/// The bytes of a header.
pub(super) type Block = [u8; BLOCK];

const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const TYPE_AT: usize = 156;
const TARGET: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
/// Of POSIX's headers only: GNU's have other fields there.
const PREFIX: Range<usize> = 345..500;
const GNU_REAL_SIZE: Range<usize> = 483..495;

#[derive(Clone, Copy)]
pub(super) struct Header<'a>(pub(super) &'a Block);

impl Header<'_> {
    pub(super) fn kind(self) -> u8 {
        self.0[TYPE_AT]
    }

    /// Some old programs added the bytes as signed numbers.
    pub(super) fn has_valid_checksum(self) -> bool {
        let Ok(expected) = number(&self.0[CHECKSUM]) else {
            return false;
        };
        let bytes = || {
            let at = self.0.iter().enumerate();
            at.map(|(i, &byte)| if CHECKSUM.contains(&i) { b' ' } else { byte })
        };
        let unsigned: u64 = bytes().map(u64::from).sum();
        let signed: i64 = bytes().map(|byte| i64::from(byte as i8)).sum();
        expected == unsigned || i64::try_from(expected) == Ok(signed)
    }

    pub(super) fn has_numbers(self) -> bool {
        number(&self.0[CHECKSUM]).is_ok() && number(&self.0[SIZE]).is_ok()
    }

    pub(super) fn stored_size(self) -> io::Result<u64> {
        number(&self.0[SIZE])
    }

    /// The content's size of a sparse file of GNU's old format.
    pub(super) fn real_size(self) -> io::Result<u64> {
        number(&self.0[GNU_REAL_SIZE])
    }

    pub(super) fn name(self) -> Vec<u8> {
        let name = text(&self.0[NAME]);
        let prefix = match &self.0[MAGIC] == b"ustar\0" {
            true => text(&self.0[PREFIX]),
            false => &[],
        };
        match prefix {
            [] => name.to_vec(),
            prefix => [prefix, name].join(&b'/'),
        }
    }

    pub(super) fn target(self) -> Vec<u8> {
        text(&self.0[TARGET]).to_vec()
    }

    /// What the member is. Unknown types are files, as for GNU tar and `tarfile`.
    pub(super) fn meaning(self, name: &[u8]) -> Kind {
        match self.kind() {
            // Before ustar, a folder was a file whose name ends with a slash.
            0 | b'0' if name.ends_with(b"/") => Kind::Nothing,
            b'1' => Kind::HardLink,
            b'2' => Kind::SymbolicLink,
            b'5' | b'V' | b'D' => Kind::Nothing,
            b'3' | b'4' | b'6' | b'M' => Kind::Other,
            _ => Kind::File,
        }
    }
}

/// A text, which a zero byte or the field's end ends.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// A number: octal digits, or for large ones binary with a first bit of 1.
pub(super) fn number(field: &[u8]) -> io::Result<u64> {
    let wrong = || damage("it is not a tar archive, or is damaged: a header has no numbers in their places");
    if field[0] & 0x80 != 0 {
        let mut value = u64::from(field[0] & 0x7f);
        for &byte in &field[1..] {
            value = value.checked_mul(256).ok_or_else(wrong)? | u64::from(byte);
        }
        return Ok(value);
    }
    let digits = text(field).trim_ascii();
    let mut value = 0u64;
    for digit in digits {
        if !(b'0'..=b'7').contains(digit) {
            return Err(wrong());
        }
        value = value.checked_mul(8).ok_or_else(wrong)? | u64::from(digit - b'0');
    }
    Ok(value)
}

/// A decimal number, as PAX headers write them.
pub(super) fn decimal(digits: &[u8]) -> io::Result<u64> {
    let text = str::from_utf8(digits).ok().map(str::trim);
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| damage("it is damaged: a PAX header has no number where one is expected"))
}
