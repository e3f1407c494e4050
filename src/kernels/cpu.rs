//! Detects the instruction sets of the CPU and chooses one. No other code does either.
//!
//! `Threads` holds the choice. Tests and `LONGCLIP_CPU` (read by the command line) can select a lower one by name.

use super::simd::Kernel;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::simd::Simd;
#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512, Avx512Bf16, AvxVnni};
#[cfg(target_arch = "aarch64")]
use super::simd::{Neon, NeonDot, NeonMatrix};
use crate::error::{Error, Result};

/// A family of kernels, from the one that runs on every CPU to the one that requires most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain code: the oracle, and the only one for other architectures.
    Portable,
    /// NEON, on 64-bit ARM.
    Neon,
    /// NEON with products of bytes (FEAT_DotProd).
    Dotprod,
    /// NEON with products of matrices of bytes and of bf16 (FEAT_I8MM and FEAT_BF16).
    I8mm,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX2 with AVX-VNNI.
    AvxVnni,
    /// AVX-512 with VNNI.
    Avx512,
    /// AVX-512 with VNNI and BF16.
    Avx512Bf16,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Level; 8] = [
        Level::Portable,
        Level::Neon,
        Level::Dotprod,
        Level::I8mm,
        Level::Avx2,
        Level::AvxVnni,
        Level::Avx512,
        Level::Avx512Bf16,
    ];

    /// The highest level that this CPU can run.
    pub fn best() -> Level {
        Isa::detect(Level::Avx512Bf16).level()
    }

    /// The name: `portable`, `neon`, `dotprod`, `i8mm`, `avx2`, `avxvnni`, `avx512` or
    /// `avx512bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Portable => "portable",
            Level::Neon => "neon",
            Level::Dotprod => "dotprod",
            Level::I8mm => "i8mm",
            Level::Avx2 => "avx2",
            Level::AvxVnni => "avxvnni",
            Level::Avx512 => "avx512",
            Level::Avx512Bf16 => "avx512bf16",
        }
    }

    /// The level with this name.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name() == name)
    }

    /// Parses the value of `$LONGCLIP_CPU`, the highest level to use. The caller reads the environment.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such level.
    pub fn from_variable(value: &str) -> Result<Level> {
        Level::from_name(value).ok_or_else(|| {
            let known = Level::ALL.map(Level::name).join("`, `");
            Error::usage(
                format!("`LONGCLIP_CPU` is `{value}`"),
                format!("it may be `{known}`, or be unset"),
            )
        })
    }
}

/// A level, with proof that this CPU supports it.
#[derive(Clone, Copy)]
pub(crate) enum Isa {
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon(Neon<false, false>),
    #[cfg(target_arch = "aarch64")]
    Dotprod(NeonDot),
    #[cfg(target_arch = "aarch64")]
    I8mm(NeonMatrix),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2<false>),
    #[cfg(target_arch = "x86_64")]
    AvxVnni(AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512<false>),
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16(Avx512Bf16),
}

/// A constant of [`Simd`] at a level, and its value for plain code.
macro_rules! constant {
    ($isa:expr, $name:ident, $plain:expr) => {
        match $isa {
            Isa::Portable => $plain,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => Neon::<false, false>::$name,
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod(_) => NeonDot::$name,
            #[cfg(target_arch = "aarch64")]
            Isa::I8mm(_) => NeonMatrix::$name,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => Avx2::<false>::$name,
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(_) => AvxVnni::$name,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => Avx512::<false>::$name,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16(_) => Avx512Bf16::$name,
        }
    };
}

impl Isa {
    /// The best level of this CPU that is not higher than `limit`.
    pub(crate) fn detect(limit: Level) -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            if limit >= Level::Avx512Bf16
                && let Some(proof) = Avx512Bf16::detect()
            {
                return Isa::Avx512Bf16(proof);
            }
            if limit >= Level::Avx512
                && let Some(proof) = Avx512::detect()
            {
                return Isa::Avx512(proof);
            }
            if limit >= Level::AvxVnni
                && let Some(proof) = AvxVnni::detect()
            {
                return Isa::AvxVnni(proof);
            }
            if limit >= Level::Avx2
                && let Some(proof) = Avx2::detect()
            {
                return Isa::Avx2(proof);
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            if limit >= Level::I8mm
                && let Some(proof) = NeonMatrix::detect()
            {
                return Isa::I8mm(proof);
            }
            if limit >= Level::Dotprod
                && let Some(proof) = NeonDot::detect()
            {
                return Isa::Dotprod(proof);
            }
            if limit >= Level::Neon
                && let Some(proof) = Neon::detect()
            {
                return Isa::Neon(proof);
            }
        }
        let _ = limit;
        Isa::Portable
    }

    pub(crate) fn level(self) -> Level {
        match self {
            Isa::Portable => Level::Portable,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => Level::Neon,
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod(_) => Level::Dotprod,
            #[cfg(target_arch = "aarch64")]
            Isa::I8mm(_) => Level::I8mm,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(_) => Level::AvxVnni,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => Level::Avx512,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16(_) => Level::Avx512Bf16,
        }
    }

    /// Rows of a register tile at this level. Activations are packed in groups of this size.
    pub(crate) fn tile_rows(self) -> usize {
        // For plain code, any number would do. It is odd so that tests of the oracle see uneven groups.
        constant!(self, TILE_ROWS, 5)
    }

    /// See [`Simd::DEPTH_LINES`].
    pub(crate) fn depth_lines(self) -> usize {
        constant!(self, DEPTH_LINES, usize::MAX)
    }

    /// See [`Simd::BF16_WORDS`].
    pub(crate) fn bf16_words(self) -> usize {
        constant!(self, BF16_WORDS, 1)
    }

    /// See [`Simd::ADDED`].
    #[cfg(test)]
    pub(crate) fn added(self) -> u8 {
        constant!(self, ADDED, 128)
    }

    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self {
            Isa::Portable => kernel.plain(),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(simd) => simd.call(kernel),
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod(simd) => simd.call(kernel),
            #[cfg(target_arch = "aarch64")]
            Isa::I8mm(simd) => simd.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(simd) => simd.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(simd) => simd.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(simd) => simd.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16(simd) => simd.call(kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_exceeds_the_limit() {
        for level in Level::ALL {
            assert!(Isa::detect(level).level() <= level);
        }
        assert_eq!(Isa::detect(Level::Portable).level(), Level::Portable);
    }

    /// `tests/ports/run` names the CPU that it emulates.
    #[cfg(target_arch = "aarch64")]
    #[test]
    fn detects_what_an_emulated_cpu_has() {
        let level = match std::env::var("QEMU_CPU").as_deref() {
            Ok("cortex-a53") => Level::Neon,
            Ok("cortex-a76") => Level::Dotprod,
            Ok("max") => Level::I8mm,
            _ => return,
        };
        assert_eq!(Level::best(), level);
    }

    #[test]
    fn finds_levels_by_name() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.name()), Some(level));
        }
        assert_eq!(Level::from_name("sse9"), None);
    }
}
