//! Parses the numbers that flags take.

use std::str::FromStr;

/// A number that fits, for clap; `expected` says which ones do.
pub(super) fn number<N: FromStr>(text: &str, fits: impl Fn(&N) -> bool, expected: &str) -> Result<N, String> {
    let number = text.parse().ok().filter(fits);
    number.ok_or_else(|| format!("expected {expected}"))
}

/// A whole number of at least 1, for clap.
pub(super) fn at_least_one<N: FromStr + From<u8> + PartialOrd>(text: &str) -> Result<N, String> {
    number(text, |n| *n >= N::from(1), "a whole number of at least 1")
}
