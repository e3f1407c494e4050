//! Parses the numbers that flags take.

use std::str::FromStr;

/// A whole number of at least 1, for clap.
pub(super) fn at_least_one<N: FromStr + From<u8> + PartialOrd>(text: &str) -> Result<N, String> {
    let number = text.parse().ok().filter(|n| *n >= N::from(1));
    number.ok_or_else(|| "expected a whole number of at least 1".to_owned())
}
