//! Compares ids with upstream's tokenizer.

use std::path::Path;

use super::*;

/// Upstream's result for one text at 248 tokens.
#[derive(serde::Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    count: usize,
    truncated: bool,
}

#[derive(serde::Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str::<Golden>(&text).unwrap().cases
}

fn differences(cases: &[Case]) -> Vec<String> {
    let differs = |case: &&Case| {
        let tokens = Tokenizer::clip().encode(&case.text, ContextLength::LONG);
        (tokens.ids(), tokens.count(), tokens.truncated()) != (&case.ids[..], case.count, case.truncated)
    };
    let shown = |case: &Case| {
        let tokens = Tokenizer::clip().encode(&case.text, ContextLength::LONG);
        format!(
            "{:?}\n  {:?}\n  expected {} {:?}\n  found    {} {:?}",
            case.text,
            clean(&case.text),
            case.count,
            case.ids,
            tokens.count(),
            tokens.ids()
        )
    };
    cases.iter().filter(differs).map(shown).collect()
}

#[track_caller]
fn check(cases: &[Case]) {
    let differences = differences(cases);
    let few = differences
        .iter()
        .take(20)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        differences.is_empty(),
        "{} of {} texts differ:\n{few}",
        differences.len(),
        cases.len()
    );
}

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/text").join(name)
}

#[test]
fn ids_and_counts_match_the_reference() {
    let cases = read(&data("tokenizer.json"));
    check(&cases);
    assert_eq!(cases.len(), 215);
}

/// Texts that are hard for each step of cleaning and splitting: `tests/data/text/make_cases.py few`.
#[test]
fn ids_and_counts_match_upstream_on_hard_texts() {
    let cases = read(&data("hard.json"));
    check(&cases);
    assert!(cases.len() > 300 && cases.iter().any(|case| case.truncated));
}

#[test]
#[ignore = "set LONGCLIP_TEXT_CASES to a file made by tests/data/text/make_cases.py"]
fn ids_and_counts_match_upstream_on_many_texts() {
    check(&read(Path::new(&std::env::var("LONGCLIP_TEXT_CASES").unwrap())));
}

/// The `tokenizers` crate with the same table is the oracle for merging: no cleaning, one word at a time.
#[test]
fn merges_like_the_tokenizers_crate() {
    use tokenizers::Model as _;

    let symbols: Vec<String> = (0..bpe::START).map(bpe::as_published).collect();
    let vocabulary = symbols
        .iter()
        .cloned()
        .zip(0..)
        .collect::<tokenizers::models::bpe::Vocab>();
    let merges = bpe::merges()
        .map(|(left, right)| (symbols[left].clone(), symbols[right].clone()))
        .collect();
    let oracle = tokenizers::models::bpe::BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .end_of_word_suffix("</w>".into())
        .build()
        .unwrap();
    let ours = bpe::Merges::new();
    let texts = read(&data("tokenizer.json"))
        .into_iter()
        .chain(read(&data("hard.json")));
    for text in texts.map(|case| clean(&case.text)) {
        for word in words::words(&text)
            .map(|range| &text[range])
            .filter(|word| !word.starts_with("<|"))
        {
            let mut ids = Vec::new();
            ours.encode(word, &mut ids);
            // The oracle takes a word as the table writes it: one character per byte.
            let symbols_of_word: String = word
                .bytes()
                .map(|byte| symbols[usize::from(bpe::byte_id(byte))].as_str())
                .collect();
            let expected: Vec<u32> = oracle
                .tokenize(&symbols_of_word)
                .unwrap()
                .iter()
                .map(|token| token.id)
                .collect();
            assert_eq!(
                ids.iter().map(|&id| u32::from(id)).collect::<Vec<_>>(),
                expected,
                "{word}"
            );
        }
    }
}

#[test]
fn truncation_keeps_the_start_and_reports_the_rest() {
    let tokens = Tokenizer::clip().encode("A cat sleeping on a keyboard.", ContextLength::new(5).unwrap());
    assert_eq!(
        tokens.pieces(),
        ["<|startoftext|>", "a</w>", "cat</w>", "sleeping</w>", "<|endoftext|>"]
    );
    assert_eq!(
        (tokens.count(), tokens.lost_count(), tokens.lost().trim()),
        (9, 4, "on a keyboard.")
    );
    assert!(tokens.truncated());
}

#[test]
fn a_text_that_just_fits_loses_nothing() {
    let tokens = Tokenizer::clip().encode("a cat", ContextLength::new(4).unwrap());
    assert_eq!((tokens.count(), tokens.lost_count(), tokens.lost()), (4, 0, ""));
    let none = Tokenizer::clip().encode("a cat", ContextLength::new(2).unwrap());
    assert_eq!((none.ids(), none.lost()), (&[49406, 49407][..], "a cat"));
}

#[test]
fn pieces_show_incomplete_characters_as_bytes() {
    let pieces = Tokenizer::clip().encode("𓀀", ContextLength::LONG).pieces();
    assert!(pieces[1].starts_with("<0xf0>"), "{pieces:?}");
}

#[test]
fn joined_pieces_are_the_cleaned_text() {
    for case in read(&data("tokenizer.json"))
        .iter()
        .filter(|case| !case.truncated && !case.text.contains("<|"))
    {
        let tokens = Tokenizer::clip().encode(&case.text, ContextLength::LONG);
        let pieces = tokens.pieces();
        let joined = pieces[1..pieces.len() - 1].concat().replace("</w>", "");
        if !joined.contains("<0x") {
            assert_eq!(joined, clean(&case.text).replace([' ', '\u{345}'], ""));
        }
    }
}

#[test]
fn encodes_hostile_texts_in_good_time() {
    for part in [
        "a",
        "ab",
        "é",
        "&",
        "&amp;",
        "Ã",
        "â€",
        "\u{301}",
        "<|",
        "'",
        "ﬃ",
        "&#38;#38;",
        "Â©",
    ] {
        let text = part.repeat(200_000 / part.len());
        let tokens = Tokenizer::clip().encode(&text, ContextLength::LONG);
        assert!(tokens.count() > 2 && tokens.ids().len() <= 248, "{part}");
    }
}
