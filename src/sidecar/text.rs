//! One line of tags with commas between them, as training tools read them from a `.txt` next to each image.

/// The tags on one line. A comma in a tag becomes a space, because readers take it for the end of the tag.
pub fn comma_separated<'a>(tags: impl IntoIterator<Item = &'a str>) -> String {
    let tags: Vec<String> = tags.into_iter().map(as_written).collect();
    tags.join(", ") + "\n"
}

fn as_written(tag: &str) -> String {
    let words = tag.split([',', '\n', '\r']).map(str::trim);
    words.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether a text is one that [`comma_separated`] makes of some of these tags: nothing in it is lost if it is replaced.
pub fn is_of_tags(text: &str, is_tag: impl Fn(&str) -> bool) -> bool {
    let line = text.trim_end_matches(['\n', '\r']);
    !line.contains(['\n', '\r']) && line.split(", ").all(|part| part.is_empty() || is_tag(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_our_own_tags_is_recognised_and_another_text_is_not() {
        let tags = ["a cat", "sea"];
        let is_tag = |tag: &str| tags.contains(&tag);
        assert_eq!(comma_separated(["a, cat", "sea"]), "a cat, sea\n");
        for ours in ["a cat, sea\n", "sea\n", "\n", ""] {
            assert!(is_of_tags(ours, is_tag), "{ours:?}");
        }
        for foreign in ["a cat, my notes\n", "sea\nsea\n", "a photo of the sea\n"] {
            assert!(!is_of_tags(foreign, is_tag), "{foreign:?}");
        }
    }
}
