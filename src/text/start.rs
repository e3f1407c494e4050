//! The beginning of a text, for messages.

/// The first 40 characters of a text on one line, by which messages refer to it.
pub fn start_of(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= CHARS_MAX {
        return line;
    }
    line.chars().take(CHARS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::start_of;

    #[test]
    fn shortens_a_text_of_more_than_forty_characters() {
        assert_eq!(start_of("a cat,\n  lying"), "a cat, lying");
        assert_eq!(start_of(&"é".repeat(41)), "é".repeat(40) + "…");
    }
}
