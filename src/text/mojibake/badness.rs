//! The heuristic that recognises mojibake: sequences of characters that are rare in real text but common when UTF-8 was
//! decoded in another code page. The rules are ftfy 6.3's `BADNESS_RE`; a text is bad if one rule matches anywhere.

use super::classes::{
    ASCII_LOWER, ASCII_UPPER, BAD, BOX, C1, COMMON, CURRENCY, Classes, END_PUNCTUATION, KAOMOJI, LAW, LOWER_ACCENTED,
    LOWER_COMMON, NUMERIC, SPACE, START_PUNCTUATION, UPPER_ACCENTED, UPPER_COMMON, WORD, classes,
};

/// One position of a rule: a character of these classes, or one of those listed, or (`negated`) neither.
#[derive(Clone, Copy)]
struct CharPattern {
    classes: Classes,
    also: &'static str,
    negated: bool,
}

/// A character of one of these classes.
const fn of(classes: Classes) -> CharPattern {
    CharPattern {
        classes,
        also: "",
        negated: false,
    }
}

/// One of these characters.
const fn any_of(also: &'static str) -> CharPattern {
    CharPattern {
        classes: 0,
        also,
        negated: false,
    }
}

/// A character of one of these classes, or one of those listed.
const fn either(classes: Classes, also: &'static str) -> CharPattern {
    CharPattern {
        classes,
        also,
        negated: false,
    }
}

/// A character of none of these classes.
const fn none_of(classes: Classes) -> CharPattern {
    CharPattern {
        classes,
        also: "",
        negated: true,
    }
}

/// A character not listed.
const fn other_than(also: &'static str) -> CharPattern {
    CharPattern {
        classes: 0,
        also,
        negated: true,
    }
}

impl CharPattern {
    fn matches(self, c: char, classes: Classes) -> bool {
        (self.classes & classes != 0 || self.also.contains(c)) != self.negated
    }
}

const ACCENTED: Classes = LOWER_ACCENTED | UPPER_ACCENTED;
const PUNCTUATION: Classes = START_PUNCTUATION | END_PUNCTUATION;
const LATIN: Classes = ASCII_LOWER | ASCII_UPPER;
const SYMBOLS: Classes = BOX | PUNCTUATION | CURRENCY | NUMERIC | LAW;
/// What follows the lead byte of an Arabic letter, decoded as Windows-1252.
const ARABIC: CharPattern = either(COMMON | CURRENCY | BAD | NUMERIC | START_PUNCTUATION, "ŸŠ®°µ»");
/// What the second byte of a Greek or Cyrillic letter decodes to; used between two lead bytes.
const ODD: Classes = C1 | BAD | PUNCTUATION | CURRENCY;

/// Rules that may match anywhere.
const RULES: &[&[CharPattern]] = &[
    &[of(C1)],
    &[of(BAD | ACCENTED | SYMBOLS), of(BAD)],
    &[of(LATIN), of(LOWER_COMMON | UPPER_COMMON), of(BAD)],
    &[of(BAD), of(ACCENTED | SYMBOLS)],
    &[
        of(LOWER_ACCENTED | LOWER_COMMON | BOX | END_PUNCTUATION | CURRENCY | NUMERIC),
        of(UPPER_ACCENTED),
    ],
    &[of(BOX | END_PUNCTUATION | CURRENCY | NUMERIC), of(LOWER_ACCENTED)],
    &[of(LOWER_ACCENTED | BOX | END_PUNCTUATION), of(CURRENCY)],
    &[of(SPACE), of(UPPER_ACCENTED), of(CURRENCY)],
    &[of(UPPER_ACCENTED | BOX), of(NUMERIC | LAW)],
    &[
        of(ACCENTED | BOX | CURRENCY | END_PUNCTUATION),
        of(START_PUNCTUATION),
        of(NUMERIC),
    ],
    &[
        of(ACCENTED | CURRENCY | NUMERIC | BOX | LAW),
        of(END_PUNCTUATION),
        of(START_PUNCTUATION),
    ],
    &[of(CURRENCY | NUMERIC | BOX), of(START_PUNCTUATION)],
    &[of(ASCII_LOWER), of(UPPER_ACCENTED), of(START_PUNCTUATION | CURRENCY)],
    &[of(BOX), of(KAOMOJI)],
    &[of(ACCENTED | CURRENCY | NUMERIC | PUNCTUATION | LAW), of(BOX)],
    &[of(BOX), of(END_PUNCTUATION)],
    &[of(ACCENTED), of(PUNCTUATION), of(WORD)],
    // The ligature before anything but an unaccented letter.
    &[any_of("Œœ"), none_of(LATIN)],
    // A degree sign after a capital letter.
    &[of(UPPER_ACCENTED), any_of("°")],
    // Windows-1252: two-byte letters, Arabic, South Asian scripts.
    &[any_of("ÂÃÎÐ"), either(PUNCTUATION, "€œŠš¢£Ÿž\u{a0}\u{ad}®©°·»–—´")],
    &[any_of("×"), any_of("²³")],
    &[any_of("ØÙ"), ARABIC, any_of("ØÙ"), ARABIC],
    &[any_of("à"), any_of("²µ¹¼½¾")],
    // MacRoman.
    &[any_of("√"), any_of("±∂†≠®™´≤≥¥µø")],
    &[any_of("≈"), any_of("°¢")],
    &[any_of("‚"), any_of("Ä"), any_of("ìîïòôúùû†°¢π")],
    &[any_of("‚"), any_of("âó"), any_of("àä°ê")],
    // Windows-1251: punctuation; Latin-1 and Cyrillic; Windows-1251 decoded on top of Windows-1252.
    &[any_of("в"), any_of("Ђ")],
    &[any_of("ВГРС"), either(ODD, "°µ"), any_of("ВГРС")],
    &[
        any_of("Г"),
        any_of("ў"),
        any_of("В"),
        any_of("Ђ"),
        any_of("В"),
        other_than("\n"),
        either(LATIN, " "),
    ],
    // Windows-1252: `à`, `á` and the no-break space; `Â` before a character that is itself correct.
    &[any_of("Ã"), any_of("\u{a0}¡")],
    &[of(ASCII_LOWER), any_of("ÃÂ"), any_of(" ")],
    &[of(ASCII_LOWER), of(SPACE), any_of("ÃÂ"), any_of(" ")],
    &[
        either(ASCII_LOWER | END_PUNCTUATION, ".,?!"),
        any_of("Â"),
        either(PUNCTUATION, " "),
    ],
    // Windows-1253: punctuation; Latin-1 and Greek. Windows-1257: punctuation.
    &[any_of("β"), any_of("€"), any_of("™\u{a0}Ά\u{ad}®°")],
    &[any_of("ΒΓΞΟ"), either(ODD, "°"), any_of("ΒΓΞΟ")],
    &[any_of("ā"), any_of("€")],
];

/// A rule that matches only at the start of a text.
const AT_START: &[CharPattern] = &[any_of("ÃÂ"), any_of(" ")];

/// Whether the text looks like mojibake.
pub(super) fn is_bad(text: &str) -> bool {
    let chars: Vec<(char, Classes)> = text.chars().map(|c| (c, classes(c))).collect();
    matches(AT_START, &chars) || (0..chars.len()).any(|at| bad_at(&chars[at..]))
}

/// Whether a rule matches at the start of `chars`. Every rule has a non-ASCII character in its first three positions.
fn bad_at(chars: &[(char, Classes)]) -> bool {
    let beyond_ascii = |place: usize| chars.get(place).is_some_and(|(c, _)| !c.is_ascii());
    (beyond_ascii(0) || beyond_ascii(1) || beyond_ascii(2)) && RULES.iter().any(|rule| matches(rule, chars))
}

fn matches(rule: &[CharPattern], chars: &[(char, Classes)]) -> bool {
    chars.len() >= rule.len()
        && rule
            .iter()
            .zip(chars)
            .all(|(slot, &(c, classes))| slot.matches(c, classes))
}
