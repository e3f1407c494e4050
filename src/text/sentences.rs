//! Splits a text into sentences.

/// The first sentence as in Long-CLIP's training: everything before the first `. `.
///
/// Source: `caption.split(". ")[0]` in upstream's `train/sharegpt4v.py`.
///
/// ```
/// assert_eq!(longclip::text::first_sentence("A dog, no. 3 of 4. It runs."), "A dog, no");
/// ```
pub fn first_sentence(text: &str) -> &str {
    text.split(". ").next().unwrap_or(text)
}

/// The sentences of a text, each with its closing punctuation and without surrounding white space. Nothing else is
/// lost.
///
/// A sentence ends at white space after `.`, `!`, `?` or `…` (closing quotes and brackets may follow the mark), after
/// an ideographic full stop, and at an empty line. An abbreviation wrongly ends a sentence, which is harmless here:
/// sentences are only packed into chunks.
///
/// ```
/// let found = longclip::text::sentences("A cat sleeps. \"Quiet!\" It is 3.5 years old");
/// assert_eq!(found, ["A cat sleeps.", "\"Quiet!\"", "It is 3.5 years old"]);
/// ```
pub fn sentences(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut closed = false;
    let mut breaks = 0;
    for (at, c) in text.char_indices() {
        if c.is_whitespace() {
            breaks += usize::from(c == '\n');
            if closed || breaks == 2 {
                found.push(&text[start..at]);
                start = at;
                closed = false;
            }
            continue;
        }
        breaks = 0;
        match c {
            '。' | '！' | '？' => {
                found.push(&text[start..at + c.len_utf8()]);
                start = at + c.len_utf8();
                closed = false;
            }
            '.' | '!' | '?' | '…' => closed = true,
            '"' | '\'' | ')' | ']' | '}' | '”' | '’' | '»' => {}
            _ => closed = false,
        }
    }
    found.push(&text[start..]);
    found
        .into_iter()
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ideographic_stops_and_empty_lines_end_a_sentence() {
        assert_eq!(sentences("猫。犬\n\n a\nb"), ["猫。", "犬", "a\nb"]);
        assert!(sentences(" \n\n ").is_empty());
    }

    #[test]
    fn a_text_without_a_full_stop_is_one_sentence() {
        assert_eq!(first_sentence("no stop."), "no stop.");
    }
}
