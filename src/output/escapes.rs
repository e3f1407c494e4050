//! Backslash escapes, which keep a value on one line of a TSV file or a template.

/// The letter after the backslash, and what it stands for.
const ESCAPES: [(char, char); 4] = [('\\', '\\'), ('t', '\t'), ('n', '\n'), ('r', '\r')];

/// The text without tabs and line breaks.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match ESCAPES.iter().find(|(_, meant)| *meant == c) {
            Some((letter, _)) => escaped.extend(['\\', *letter]),
            None => escaped.push(c),
        }
    }
    escaped
}

/// What `letter` means after a backslash.
pub(super) fn meaning(letter: char) -> Option<char> {
    let found = ESCAPES.iter().find(|(known, _)| *known == letter);
    found.map(|(_, meant)| *meant)
}

/// The text that [`escaped`] was given.
pub(super) fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let decode = || match characters.next()? {
        '\\' => Some(
            characters
                .next()
                .map_or('\\', |letter| meaning(letter).unwrap_or(letter)),
        ),
        other => Some(other),
    };
    std::iter::from_fn(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_has_one_line_and_reads_back() {
        for text in ["plain", "tab\tand \\ back\r\n", "\\n", ""] {
            assert!(!escaped(text).contains(['\t', '\n', '\r']));
            assert_eq!(unescaped(&escaped(text)), text);
        }
    }
}
