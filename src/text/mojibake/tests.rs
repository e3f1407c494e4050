//! ftfy's own test cases.

use super::*;

/// One case of `tests/data/ftfy-cases.json`.
#[derive(serde::Deserialize)]
struct Case {
    label: String,
    original: String,
    fixed: String,
    #[serde(rename = "fixed-encoding")]
    fixed_encoding: Option<String>,
    expect: String,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/data/text/ftfy-cases.json");
    serde_json::from_str(text).unwrap()
}

fn fix_encoding(text: &str) -> String {
    encoding::fix(text.to_owned(), &mut Budget::for_text(text))
}

#[test]
fn repairs_each_of_ftfys_own_cases() {
    let cases = cases();
    for case in cases.iter().filter(|case| case.expect == "pass") {
        assert_eq!(fix_text(&case.original), case.fixed, "{}", case.label);
        let encoding = case.fixed_encoding.as_ref().unwrap_or(&case.fixed);
        assert_eq!(fix_encoding(&case.original), *encoding, "{}", case.label);
    }
    assert_eq!(cases.len(), 161);
}

#[test]
fn repairs_them_after_one_more_wrong_decoding() {
    for case in cases().iter().filter(|case| case.expect == "pass") {
        let garbled: String = case.original.bytes().map(char::from).collect();
        assert_eq!(fix_text(&garbled), case.fixed, "{}", case.label);
    }
}

#[test]
fn leaves_ftfys_known_failures() {
    for case in cases().iter().filter(|case| case.expect == "fail") {
        let encoding = case.fixed_encoding.as_ref().unwrap_or(&case.fixed);
        assert_ne!(fix_encoding(&case.original), *encoding, "{}", case.label);
    }
}

/// Texts that match each rule, and near misses: written by `tests/data/text/make_badness.py`.
#[test]
fn each_rule_of_the_heuristic_matches_where_ftfys_does() {
    let text = include_str!("../../../tests/data/text/badness.json");
    let cases: Vec<(String, bool)> = serde_json::from_str(text).unwrap();
    for (text, bad) in &cases {
        assert_eq!(badness::is_bad(text), *bad, "{text:?}");
    }
    assert!(cases.iter().any(|case| case.1) && cases.iter().any(|case| !case.1));
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(fix_text(text), expected);
}

// From ftfy's test_entities.py and test_characters.py.
#[test]
fn keeps_entities_from_the_first_tag_on() {
    check("&amp;\n<html>\n&amp;", "&\n<html>\n&amp;");
}

#[test]
fn resolves_only_unmistakable_entities() {
    check("&lt;&gt;", "<>");
    check(
        "jednocze&sacute;nie JEDNOCZE&Sacute;NIE JEDNOCZE&SACUTE;NIE",
        "jednocześnie JEDNOCZEŚNIE JEDNOCZEŚNIE",
    );
    check(
        "V&SCARON;ICHNI BUNDESSTRA&SZLIG;E EURO &EURO;",
        "VŠICHNI BUNDESSTRASSE EURO €",
    );
    check("&ntilde; &Ntilde; &NTILDE; &nTILDE;", "ñ Ñ Ñ &nTILDE;");
    check("&amp;amp;amp; &#x3b;", "& &#x3b;");
    check("not an entity &#20x6; &not html", "not an entity &#20x6; &not html");
    check("broken&#x81; [&#xffff;] &#xffffffff;", "broken\u{81} [] \u{fffd}");
}

#[test]
fn removes_control_characters_and_terminal_colours() {
    check("\u{1}\u{1b}[36;44mfoo\u{1b}[0m", "foo");
    check(
        "\u{feff}Some, \u{fffc}bad \u{7f}\u{fffa}ideas\u{fffb} \u{206a}get.\r\n",
        "Some, bad ideas get.\n",
    );
    check("🏴󠁧󠁢󠁷󠁬󠁳󠁿 🇺🇸", "🏴󠁧󠁢󠁷󠁬󠁳󠁿 🇺🇸");
}

#[test]
fn normalises_single_characters() {
    check("ﬂuﬃeﬆ ŉ Ǆ", "fluffiest 'n DŽ");
    check("ＬＯＵＤ　ＮＯＩＳＥＳ Ｕﾀｰﾝ", "LOUD NOISES Uターン");
    check("“it‟s” a\r\n\rb\u{2028}c", "\"it\"s\" a\n\nb\nc");
}

#[test]
fn stops_unwrapping_a_hostile_text() {
    let text = "&".to_owned() + &"amp;".repeat(100_000);
    assert!(fix_text(&text).len() < text.len());
    let text = "Â".repeat(100_000) + "©";
    assert!(!fix_text(&text).is_empty());
}
