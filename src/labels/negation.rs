//! Negation in labels, which CLIP models mostly ignore ("Vision-Language Models Do Not Understand Negation", arXiv
//! 2501.09425).

use super::{Label, Notice};

const WORDS: [&str; 3] = ["not", "no", "without"];

/// One hint for all labels: the first that has such a word.
pub(super) fn notice(labels: &[Label]) -> Option<Notice> {
    let texts = labels.iter().flat_map(|label| match label.prompts.as_slice() {
        [] => std::slice::from_ref(&label.name),
        prompts => prompts,
    });
    let mut found = texts.filter_map(|text| Some((text, word_of(text)?)));
    let (text, word) = found.next()?;
    Some(Notice::Negation {
        text: text.clone(),
        word: word.to_owned(),
    })
}

/// The first such word of a text.
fn word_of(text: &str) -> Option<&'static str> {
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
    words.find_map(|word| WORDS.into_iter().find(|known| known.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_text_with_a_negation_gives_one_hint() {
        #[track_caller]
        fn check(labels: &[&str], expected: Option<&str>) {
            let labels: Vec<Label> = labels.iter().map(|&name| Label::plain(name)).collect();
            let found = notice(&labels).map(|notice| notice.to_string());
            assert_eq!(found.is_some(), expected.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
        check(
            &["a note", "nothing", "a knot", "No. 5th", "a cat"],
            Some("`no` in `No. 5th`"),
        );
        check(&["a room", "a room without people", "not a cat"], Some("`without`"));
        check(&["a note", "nothing", "a knot", "north"], None);
    }
}
