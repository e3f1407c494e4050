//! Character classes: the sets of characters that ftfy's rules refer to, from `../data/classes.txt`.

use std::sync::LazyLock;

use crate::text::clean::is_python_space;
use crate::text::words::{CharKind, kind};

/// A set of classes, one bit each.
pub(super) type Classes = u32;

macro_rules! classes {
    ($($name:ident $bit:literal)*) => {
        $(pub(super) const $name: Classes = 1 << $bit;)*
        /// Each class with its name in the file.
        const NAMED: &[(&str, Classes)] = &[$((stringify!($name), $name)),*];
    };
}

classes! {
    COMMON 0
    C1 1
    BAD 2
    LAW 3
    CURRENCY 4
    START_PUNCTUATION 5
    END_PUNCTUATION 6
    NUMERIC 7
    KAOMOJI 8
    UPPER_ACCENTED 9
    LOWER_ACCENTED 10
    UPPER_COMMON 11
    LOWER_COMMON 12
    BOX 13
    UTF8_FIRST_OF_2 14
    UTF8_FIRST_OF_3 15
    UTF8_FIRST_OF_4 16
    UTF8_CONTINUATION 17
    UTF8_CONTINUATION_STRICT 18
}

/// `a` to `z`.
pub(super) const ASCII_LOWER: Classes = 1 << 19;
/// `A` to `Z`.
pub(super) const ASCII_UPPER: Classes = 1 << 20;
/// Python's `\s`.
pub(super) const SPACE: Classes = 1 << 21;
/// Python's `\w`.
pub(super) const WORD: Classes = 1 << 22;

/// Characters below this code point have an entry in `low`; only a few of the file's characters are above it.
const TABLE_LEN: usize = 0x2600;

/// The classes of every character.
struct ClassTable {
    /// Indexed by code point, `TABLE_LEN` entries.
    low: Vec<Classes>,
    /// The others, in the order of the file; a character may occur several times.
    high: Vec<(char, Classes)>,
}

static TABLE: LazyLock<ClassTable> = LazyLock::new(|| {
    let mut low: Vec<Classes> = (0..TABLE_LEN as u32)
        .map(|code| char::from_u32(code).map_or(0, general))
        .collect();
    let mut high = Vec::new();
    for line in include_str!("../data/classes.txt").lines() {
        let (name, ranges) = line.split_once(' ').expect("a line is a name and its ranges");
        let class = NAMED
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(0, |entry| entry.1);
        for c in ranges.split(' ').flat_map(chars_of) {
            match low.get_mut(c as usize) {
                Some(classes) => *classes |= class,
                None => high.push((c, class)),
            }
        }
    }
    ClassTable { low, high }
});

/// The characters of one hexadecimal range such as `2018-201b` or `2022`.
fn chars_of(range: &str) -> impl Iterator<Item = char> + use<> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let code = |digits| u32::from_str_radix(digits, 16).expect("data/classes.txt holds hexadecimal ranges");
    (code(first)..=code(last)).filter_map(char::from_u32)
}

/// The classes that are not in the file.
fn general(c: char) -> Classes {
    let mut classes = 0;
    if c.is_ascii_lowercase() {
        classes |= ASCII_LOWER;
    }
    if c.is_ascii_uppercase() {
        classes |= ASCII_UPPER;
    }
    if is_python_space(c) {
        classes |= SPACE;
    }
    if c == '_' || matches!(kind(c), CharKind::Letter | CharKind::Number) {
        classes |= WORD;
    }
    classes
}

/// All classes of a character.
pub(super) fn classes(c: char) -> Classes {
    let table = &*TABLE;
    match table.low.get(c as usize) {
        Some(&classes) => classes,
        None => table
            .high
            .iter()
            .filter(|entry| entry.0 == c)
            .fold(general(c), |all, entry| all | entry.1),
    }
}

/// Python's `\d`: the decimal digits of every script.
pub(super) fn is_decimal_digit(c: char) -> bool {
    (include_str!("../data/digits.txt").split_ascii_whitespace())
        .flat_map(chars_of)
        .any(|digit| digit == c)
}
