//! The heuristic: sequences of characters that hardly stand in a text, but often where UTF-8 was read in another
//! code page. The rules are ftfy 6.3's `BADNESS_RE`; a text is bad if one of them fits anywhere.

use super::classes::{
    ASCII_LOWER, ASCII_UPPER, BAD, BOX, C1, COMMON, CURRENCY, Classes, END_PUNCTUATION, KAOMOJI, LAW, LOWER_ACCENTED,
    LOWER_COMMON, NUMERIC, SPACE, START_PUNCTUATION, UPPER_ACCENTED, UPPER_COMMON, WORD, classes,
};

/// What may stand at one place of a rule: a character of one of the classes, or one of those listed.
#[derive(Clone, Copy)]
struct Slot {
    classes: Classes,
    also: &'static str,
    negated: bool,
}

/// A character of one of these classes.
const fn of(classes: Classes) -> Slot {
    Slot {
        classes,
        also: "",
        negated: false,
    }
}

/// One of these characters.
const fn one(also: &'static str) -> Slot {
    Slot {
        classes: 0,
        also,
        negated: false,
    }
}

/// Either.
const fn either(classes: Classes, also: &'static str) -> Slot {
    Slot {
        classes,
        also,
        negated: false,
    }
}

/// A character of none of these classes.
const fn none_of(classes: Classes) -> Slot {
    Slot {
        classes,
        also: "",
        negated: true,
    }
}

/// Any character but this.
const fn other_than(also: &'static str) -> Slot {
    Slot {
        classes: 0,
        also,
        negated: true,
    }
}

impl Slot {
    fn fits(self, c: char, classes: Classes) -> bool {
        (self.classes & classes != 0 || self.also.contains(c)) != self.negated
    }
}

const ACCENTED: Classes = LOWER_ACCENTED | UPPER_ACCENTED;
const PUNCTUATION: Classes = START_PUNCTUATION | END_PUNCTUATION;
const LATIN: Classes = ASCII_LOWER | ASCII_UPPER;
const SYMBOLS: Classes = BOX | PUNCTUATION | CURRENCY | NUMERIC | LAW;
/// After the lead bytes of Arabic letters, read as Windows-1252.
const ARABIC: Slot = either(COMMON | CURRENCY | BAD | NUMERIC | START_PUNCTUATION, "ŸŠ®°µ»");
/// The end of a Greek or Cyrillic letter's UTF-8, between two lead bytes.
const ODD: Classes = C1 | BAD | PUNCTUATION | CURRENCY;

/// The rules that may fit anywhere.
const RULES: &[&[Slot]] = &[
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
    // The ligature before anything but a plain letter.
    &[one("Œœ"), none_of(LATIN)],
    // A degree sign after a capital letter.
    &[of(UPPER_ACCENTED), one("°")],
    // Windows-1252: two-byte letters, Arabic, South Asian scripts.
    &[one("ÂÃÎÐ"), either(PUNCTUATION, "€œŠš¢£Ÿž\u{a0}\u{ad}®©°·»–—´")],
    &[one("×"), one("²³")],
    &[one("ØÙ"), ARABIC, one("ØÙ"), ARABIC],
    &[one("à"), one("²µ¹¼½¾")],
    // MacRoman.
    &[one("√"), one("±∂†≠®™´≤≥¥µø")],
    &[one("≈"), one("°¢")],
    &[one("‚"), one("Ä"), one("ìîïòôúùû†°¢π")],
    &[one("‚"), one("âó"), one("àä°ê")],
    // Windows-1251: punctuation; Latin-1 and Cyrillic; and on top of Windows-1252.
    &[one("в"), one("Ђ")],
    &[one("ВГРС"), either(ODD, "°µ"), one("ВГРС")],
    &[
        one("Г"),
        one("ў"),
        one("В"),
        one("Ђ"),
        one("В"),
        other_than("\n"),
        either(LATIN, " "),
    ],
    // Windows-1252: `à`, `á` and the no-break space; `Â` before a character that stands for itself.
    &[one("Ã"), one("\u{a0}¡")],
    &[of(ASCII_LOWER), one("ÃÂ"), one(" ")],
    &[of(ASCII_LOWER), of(SPACE), one("ÃÂ"), one(" ")],
    &[
        either(ASCII_LOWER | END_PUNCTUATION, ".,?!"),
        one("Â"),
        either(PUNCTUATION, " "),
    ],
    // Windows-1253: punctuation; Latin-1 and Greek. Windows-1257: punctuation.
    &[one("β"), one("€"), one("™\u{a0}Ά\u{ad}®°")],
    &[one("ΒΓΞΟ"), either(ODD, "°"), one("ΒΓΞΟ")],
    &[one("ā"), one("€")],
];

/// The rule that fits at the start of a text only.
const AT_START: &[Slot] = &[one("ÃÂ"), one(" ")];

/// Whether the text looks like mojibake.
pub(super) fn is_bad(text: &str) -> bool {
    let chars: Vec<(char, Classes)> = text.chars().map(|c| (c, classes(c))).collect();
    fits(AT_START, &chars) || (0..chars.len()).any(|at| bad_at(&chars[at..]))
}

/// Whether a rule fits at the front. Every rule has a character beyond ASCII at its first, second or third place.
fn bad_at(chars: &[(char, Classes)]) -> bool {
    let beyond_ascii = |place: usize| chars.get(place).is_some_and(|(c, _)| !c.is_ascii());
    (beyond_ascii(0) || beyond_ascii(1) || beyond_ascii(2)) && RULES.iter().any(|rule| fits(rule, chars))
}

fn fits(rule: &[Slot], chars: &[(char, Classes)]) -> bool {
    chars.len() >= rule.len()
        && rule
            .iter()
            .zip(chars)
            .all(|(slot, &(c, classes))| slot.fits(c, classes))
}
