//! A text's beginning, for messages about it.

/// The first words of a text, on one line: what messages call it by.
pub fn start_of(text: &str) -> String {
    const CHARACTERS: usize = 40;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= CHARACTERS {
        return line;
    }
    line.chars().take(CHARACTERS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::start_of;

    #[test]
    fn a_short_text_is_whole_and_a_long_one_is_its_first_forty_characters() {
        assert_eq!(start_of("a cat,\n  lying"), "a cat, lying");
        assert_eq!(start_of(&"é".repeat(41)), "é".repeat(40) + "…");
    }
}
