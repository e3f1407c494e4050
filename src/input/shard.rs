//! Shards: the part of the input for one of several processes, chosen by a hash of each image's name.
//!
//! Each source knows the part of its names that is the same on any machine; `docs/scale.md` says which it is, and how to
//! compute the hash elsewhere. A process needs to know nothing about the others, nor the input's length or order.

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::named::named;

/// One of several equal parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: NonZeroU32,
    unit: Unit,
}

/// What stays together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Each image is assigned on its own.
    #[default]
    Picture,
    /// All images of an archive are in one shard, so that no other shard has to read it.
    Archive,
}

named!(Unit, "unit of a shard": Picture = "image", Archive = "archive");

impl Shard {
    /// The shard that `text` names, such as `3/8`; shards are counted from 0.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is not a shard.
    pub fn parse(text: &str) -> Result<Shard> {
        let no_shard = |problem: String| Error::usage(problem, "the shards of 8 are `0/8` to `7/8`");
        let number = |digits: &str| digits.trim().parse::<u32>().ok();
        let parts = text.split_once('/').and_then(|(i, n)| number(i).zip(number(n)));
        let (index, count) = parts.ok_or_else(|| no_shard(format!("expected I/N, found `{text}`")))?;
        let count = NonZeroU32::new(count).ok_or_else(|| no_shard("there are no shards of 0".into()))?;
        if index >= count.get() {
            return Err(no_shard(format!(
                "no shard {index} of {count}: shards are counted from 0"
            )));
        }
        Ok(Shard {
            index,
            count,
            unit: Unit::default(),
        })
    }

    /// With another unit.
    #[must_use]
    pub fn by(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// Its number, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The number of shards.
    pub fn count(&self) -> u32 {
        self.count.get()
    }

    /// What stays together.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// Whether a name belongs to it: the first 8 bytes of the name's SHA-256, least first, modulo the number of shards.
    ///
    /// ```
    /// use longclip::input::Shard;
    ///
    /// let shards: Vec<Shard> = ["0/2", "1/2"].into_iter().map(Shard::parse).collect::<Result<_, _>>()?;
    /// assert_eq!(shards.iter().filter(|shard| shard.holds("a.jpg")).count(), 1);
    /// # Ok::<(), longclip::Error>(())
    /// ```
    pub fn holds(&self, name: &str) -> bool {
        let hash = Sha256::digest(name.as_bytes());
        let first = hash.iter().take(8).rev();
        let number = first.fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(self.count.get()) == u64::from(self.index)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_of_a_name_is_the_documented_one() {
        // sha256("a.jpg") and sha256("photos/ü 1.png"), by sha256sum.
        let number = |name: &str, n: u32| {
            let shards = (0..n).filter(|i| Shard::parse(&format!("{i}/{n}")).unwrap().holds(name));
            shards.collect::<Vec<_>>()
        };
        assert_eq!(number("a.jpg", 1), [0]);
        assert_eq!(number("a.jpg", 1000), [696]);
        assert_eq!(number("photos/ü 1.png", 1000), [310]);
    }

    #[test]
    fn what_is_not_a_shard_is_refused_with_a_reason() {
        for (text, problem) in [
            ("8/8", "no shard 8 of 8: shards are counted from 0"),
            ("1/0", "there are no shards of 0"),
            ("3", "expected I/N, found `3`"),
            ("-1/8", "expected I/N, found `-1/8`"),
        ] {
            assert_eq!(Shard::parse(text).unwrap_err().to_string(), problem);
        }
        assert_eq!(Shard::parse("7/8").unwrap().to_string(), "7/8");
    }
}
