//! Which colours an HEVC bit stream says it has: `video_signal_type` in its sequence parameter set (ITU-T H.265, 7.3.2.2
//! and E.2.1). heic-rs reads past it, and photos of phones say it only there.

/// The range and the matrix of colours, as a bit stream says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Signal {
    pub(super) is_full_range: bool,
    /// By the numbers of H.273; 2 if it is not said.
    pub(super) matrix: Option<u16>,
}

/// What the first sequence parameter set says; nothing if it can't be read.
pub(super) fn signal(parameter_sets: &[&[u8]]) -> Signal {
    const SEQUENCE: u8 = 33;
    let is_sequence = |unit: &&&[u8]| unit.first().is_some_and(|byte| byte >> 1 & 63 == SEQUENCE);
    let unit = parameter_sets.iter().find(is_sequence);
    unit.and_then(|unit| Bits::new(unit.get(2..)?).signal())
        .unwrap_or_default()
}

/// Bits of a unit without its header, most significant first.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    fn new(unit: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(unit.len());
        for &byte in unit {
            // Two zeros are followed by a 3 that is not data.
            if byte != 3 || !bytes.ends_with(&[0, 0]) {
                bytes.push(byte);
            }
        }
        Bits { bytes, at: 0 }
    }

    fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    fn number(&mut self, n_bits: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..n_bits {
            number = number << 1 | u32::from(self.bit()?);
        }
        Some(number)
    }

    fn skip(&mut self, n_bits: usize) -> Option<()> {
        self.at = self.at.checked_add(n_bits)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// An Exp-Golomb code.
    fn code(&mut self) -> Option<u32> {
        let mut n_zeros = 0;
        while !self.bit()? {
            n_zeros += 1;
            if n_zeros > 31 {
                return None;
            }
        }
        Some((1 << n_zeros) - 1 + self.number(n_zeros)?)
    }

    fn codes(&mut self, n: usize) -> Option<()> {
        (0..n).try_for_each(|_| self.code().map(drop))
    }

    /// The sequence parameter set up to the signal's type.
    fn signal(&mut self) -> Option<Signal> {
        self.skip(4)?;
        let n_layers = self.number(3)? as usize;
        self.skip(1)?;
        self.profile(n_layers)?;
        self.code()?;
        let chroma = self.code()?;
        if chroma == 3 {
            self.skip(1)?;
        }
        self.codes(2)?;
        if self.bit()? {
            self.codes(4)?;
        }
        self.codes(2)?;
        let order_bits = self.code()? as usize + 4;
        let n_orders = if self.bit()? { n_layers + 1 } else { 1 };
        self.codes(3 * n_orders + 6)?;
        if self.bit()? && self.bit()? {
            self.scaling_lists()?;
        }
        self.skip(2)?;
        if self.bit()? {
            self.skip(8)?;
            self.codes(2)?;
            self.skip(1)?;
        }
        self.reference_sets()?;
        if self.bit()? {
            let n = self.code()? as usize;
            self.skip(n.checked_mul(order_bits + 1)?)?;
        }
        self.skip(2)?;
        if !self.bit()? {
            return None;
        }
        self.usability()
    }

    fn profile(&mut self, n_layers: usize) -> Option<()> {
        const GENERAL_BITS: usize = 88;
        const LEVEL_BITS: usize = 8;
        self.skip(GENERAL_BITS + LEVEL_BITS)?;
        let mut rest = 0;
        for _ in 0..n_layers {
            rest += if self.bit()? { GENERAL_BITS } else { 0 };
            rest += if self.bit()? { LEVEL_BITS } else { 0 };
        }
        self.skip(if n_layers > 0 { 2 * (8 - n_layers) } else { 0 } + rest)
    }

    fn scaling_lists(&mut self) -> Option<()> {
        for size in 0..4 {
            for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
                let n_coefficients = if self.bit()? { 64.min(1 << (4 + 2 * size)) } else { 0 };
                let n_codes = match n_coefficients {
                    0 => 1,
                    n if size > 1 => n + 1,
                    n => n,
                };
                self.codes(n_codes)?;
            }
        }
        Some(())
    }

    fn reference_sets(&mut self) -> Option<()> {
        const SETS_MAX: u32 = 64;
        const PICTURES_MAX: usize = 16;
        let mut n_before = 0;
        for set in 0..Some(self.code()?).filter(|n| *n <= SETS_MAX)? {
            if set > 0 && self.bit()? {
                self.skip(1)?;
                self.code()?;
                let mut n = 0;
                for _ in 0..=n_before {
                    let is_used = self.bit()?;
                    n += usize::from(is_used || self.bit()?);
                }
                n_before = n;
            } else {
                n_before = self.code()? as usize + self.code()? as usize;
                for _ in 0..Some(n_before).filter(|n| *n <= PICTURES_MAX)? {
                    self.code()?;
                    self.skip(1)?;
                }
            }
        }
        Some(())
    }

    fn usability(&mut self) -> Option<Signal> {
        const OWN_ASPECT: u32 = 255;
        if self.bit()? && self.number(8)? == OWN_ASPECT {
            self.skip(32)?;
        }
        if self.bit()? {
            self.skip(1)?;
        }
        if !self.bit()? {
            return None;
        }
        self.skip(3)?;
        let is_full_range = self.bit()?;
        let matrix = match self.bit()? {
            true => {
                self.skip(16)?;
                Some(self.number(8)? as u16)
            }
            false => None,
        };
        Some(Signal { is_full_range, matrix })
    }
}
