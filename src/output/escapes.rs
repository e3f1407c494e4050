//! Backslash escapes, which keep a value on one line of a TSV file or a template.

/// The letter after the backslash, and what it stands for.
const ESCAPES: [(char, char); 5] = [('\\', '\\'), ('t', '\t'), ('n', '\n'), ('r', '\r'), ('0', '\0')];

/// The text without tabs and line breaks. A backslash stays as it is: paths of Windows have many.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match ESCAPES.iter().find(|(_, meant)| *meant == c && c != '\\') {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_has_one_line_and_its_backslashes() {
        assert_eq!(escaped("tab\tand \\ back\r\n"), "tab\\tand \\ back\\r\\n");
        assert_eq!(escaped("C:\\new"), "C:\\new");
    }
}
