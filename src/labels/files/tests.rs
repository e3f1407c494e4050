use super::*;

/// Parses a file with this name.
fn read(name: &str, bytes: &[u8]) -> Result<Vec<Label>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    read_labels(&path, GROUP)
}

fn names(labels: &[Label]) -> Vec<&str> {
    labels.iter().map(|label| label.name.as_str()).collect()
}

/// The error message, without the folder.
#[track_caller]
fn error_of(name: &str, bytes: &[u8]) -> String {
    let message = read(name, bytes).unwrap_err().to_string();
    let start = message.find(name).unwrap_or_else(|| panic!("{message}"));
    message[start..].replace('`', "'")
}

fn label(name: &str, prompts: &[&str], group: Option<&str>) -> Label {
    Label {
        name: name.into(),
        prompts: prompts.iter().map(|prompt| (*prompt).to_owned()).collect(),
        group: group.map(str::to_owned),
    }
}

#[test]
fn lines_allow_a_byte_order_mark_crlf_blanks_and_comments() {
    let labels = read(
        "l.txt",
        "\u{feff}# animals\r\na cat\r\n\r\n  a dog, asleep  \r\n\\#1 fan".as_bytes(),
    )
    .unwrap();
    assert_eq!(names(&labels), ["a cat", "a dog, asleep", "#1 fan"]);
}

#[test]
fn json_is_a_list_or_an_object_and_may_have_a_byte_order_mark() {
    let list = read("l.json", "\u{feff}[\"b\",\r\n \"a\"]".as_bytes()).unwrap();
    assert_eq!(list, [Label::plain("b"), Label::plain("a")]);
    let object = br#"{"z": ["a z", "one z"], "cat": "a cat", "bat": {"prompts": ["a bat"], "group": "animal"}, "ox": {"group": "animal"}}"#;
    assert_eq!(
        read("l.json", object).unwrap(),
        [
            label("z", &["a z", "one z"], None),
            label("cat", &["a cat"], None),
            label("bat", &["a bat"], Some("animal")),
            label("ox", &[], Some("animal")),
        ]
    );
}

#[test]
fn keeps_duplicate_keys_in_json() {
    let labels = read("l.json", br#"{"cat": "a cat", "cat": "cats"}"#).unwrap();
    assert_eq!(names(&labels), ["cat", "cat"]);
}

#[test]
fn rejects_damaged_json_with_line_and_column() {
    let texts = [
        "[\"cat\",\n \"dog\"",
        "{\"cat\": \"a cat\",\n}",
        "[\"cat\",\n\"\"]",
        "{\"cat\":\n []}",
        "{\"cat\": {\"prompt\": 1}}",
        "3",
    ];
    let messages = texts.map(|text| error_of("l.json", text.as_bytes())).join("\n");
    insta::assert_snapshot!(messages, @r"
    l.json' line 2, column 6: EOF while parsing a list
    l.json' line 2, column 1: trailing comma
    l.json' line 2, column 3: the text is empty
    l.json' line 2, column 3: the list of prompts is empty
    l.json' line 1, column 17: unknown field 'prompt', expected 'prompts' or 'group'
    l.json' line 1, column 1: invalid type: integer '3', expected a list of labels, or an object from labels to prompts
    ");
}

#[test]
fn a_table_has_one_row_per_prompt_and_columns_in_any_order() {
    let csv =
        "\u{feff}group,label,prompt\r\nanimal,cat,\"a cat, asleep\"\r\n\r\nthing,mug,\r\nanimal,cat,a cat\r\n,ox\r\n";
    let labels = read("l.csv", csv.as_bytes()).unwrap();
    assert_eq!(
        labels,
        [
            label("cat", &["a cat, asleep", "a cat"], Some("animal")),
            label("mug", &[], Some("thing")),
            label("ox", &[], None),
        ]
    );
    assert_eq!(
        read("l.tsv", b"label\tprompt\ncat\ta cat, asleep\n").unwrap(),
        [label("cat", &["a cat, asleep"], None)]
    );
}

#[test]
fn a_table_may_have_another_group_column() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("l.csv");
    fs::write(&path, "label,family,group\ncat,cats,animal\n").unwrap();
    let labels = read_labels(&path, "family").unwrap();
    assert_eq!(labels, [label("cat", &[], Some("cats"))]);
    fs::write(&path, "label,group\ncat,animal\n").unwrap();
    let error = read_labels(&path, "family").unwrap_err().to_string();
    assert!(
        error.ends_with("l.csv` line 1, column 1: column `family` is missing"),
        "{error}"
    );
}

#[test]
fn rejects_a_damaged_table_with_line_and_column() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(error_of("l.csv", text.as_bytes()), expected);
    }
    check(
        "label,colour\ncat,red\n",
        "l.csv' line 1, column 2: unknown column 'colour'",
    );
    check(
        "prompt,group\na,b\n",
        "l.csv' line 1, column 1: column 'label' is missing",
    );
    check(
        "label,label\na,b\n",
        "l.csv' line 1, column 2: column 'label' appears twice",
    );
    check(
        "label,prompt\n\ncat,\"a cat\ndog,a dog\n",
        "l.csv' line 3, column 2: the quote that opens here is never closed",
    );
    check(
        "label,prompt\n\n,a dog\n",
        "l.csv' line 3, column 1: the label is empty",
    );
    check(
        "label,prompt\ncat,a cat, asleep\n",
        "l.csv' line 2, column 3: 3 fields; the first row names 2 columns",
    );
}

#[test]
fn keeps_duplicate_rows_for_the_list_to_report() {
    let labels = read("l.csv", b"label,prompt\ncat,a cat\ncat,a cat\n").unwrap();
    assert_eq!(names(&labels), ["cat", "cat"]);
}

#[test]
fn rejects_text_that_is_not_utf8_with_its_position() {
    assert_eq!(
        error_of("l.txt", b"cat\na caf\xe9\n"),
        "l.txt' line 2, column 6: byte 0xe9 is not UTF-8"
    );
}

#[test]
fn rejects_a_file_without_labels() {
    for (name, bytes) in [
        ("l.txt", "# none\n\n"),
        ("l.json", "[]"),
        ("l.csv", "label\n"),
        ("l.csv", ""),
    ] {
        assert_eq!(error_of(name, bytes.as_bytes()), format!("{name}' has no labels"));
    }
}

#[test]
fn content_says_what_a_file_is_where_its_ending_does_not() {
    #[track_caller]
    fn check(name: &str, text: &str, expected: &[Label]) {
        assert_eq!(read(name, text.as_bytes()).unwrap(), expected, "{name}: {text:?}");
    }
    let two = [Label::plain("a cat"), Label::plain("a dog")];
    for name in ["labels", "labels.txt", "labels.list"] {
        check(name, "[\"a cat\", \"a dog\"]", &two);
        check(name, "\u{feff}\n {\"a cat\": {}, \"a dog\": {}}", &two);
        check(name, "\"a cat\"\n\"a dog\"\n", &two);
        check(name, "{\"label\": \"a cat\"}\r\n\r\n{\"label\":\"a dog\"}", &two);
        check(name, "a cat\ra dog\r", &two);
        let lines = [Label::plain("[a cat] asleep"), Label::plain("\"quoted\" and more")];
        check(name, "[a cat] asleep\n\"quoted\" and more", &lines);
    }
    check(
        "l.jsonl",
        "{\"label\": \"cat\", \"prompts\": [\"a cat\"], \"group\": \"animal\"}\n{\"dog\": [\"a dog\", \"a puppy\"]}\n\"ox\"\n",
        &[
            label("cat", &["a cat"], Some("animal")),
            label("dog", &["a dog", "a puppy"], None),
            label("ox", &[], None),
        ],
    );
    assert_eq!(read("l.csv", b"label,prompt\rcat,a cat\rdog,a dog\r").unwrap().len(), 2);
}

#[test]
fn damaged_json_is_reported_and_not_read_as_labels() {
    assert_eq!(
        error_of("labels", b"[\"a cat\",\n \"a dog\""),
        "labels' line 2, column 8: EOF while parsing a list"
    );
    assert_eq!(
        error_of("l.jsonl", b"\"a cat\"\n{\"label\": 3}\n"),
        "l.jsonl' line 2, column 11: invalid type: integer '3', expected a string"
    );
}

#[test]
fn files_that_hold_no_text_are_refused_by_their_names() {
    for name in ["l.yaml", "l.YML", "l.toml", "l.xlsx", "l.txt.gz", "l.zip"] {
        assert!(error_of(name, b"a cat\n").ends_with("by its name, which is not read"));
    }
    assert_eq!(
        error_of("l.txt", b"a cat\0a dog\0"),
        "l.txt' line 1, column 6: byte 0x00 is not text"
    );
}

#[test]
fn files_may_be_utf16() {
    let encoded = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for (name, text) in [
        ("l.txt", "\u{feff}a cat\r\nein Käfer\r\n"),
        ("l", "[\"a cat\",\"ein Käfer\"]"),
        ("l.csv", "\u{feff}label\r\na cat\r\nein Käfer\r\n"),
        ("l.tsv", "label\tprompt\na cat\t\nein Käfer\t\n"),
        ("l.jsonl", "\"a cat\"\n\"ein Käfer\"\n"),
    ] {
        assert_eq!(names(&read(name, &encoded(text)).unwrap()), ["a cat", "ein Käfer"]);
    }
    assert_eq!(
        error_of("l.txt", b"\xff\xfec\0\n\0\0\xd8a\0"),
        "l.txt' line 2, column 1: the file is UTF-16, and is damaged here"
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("templates");
    fs::write(&path, encoded("a photo of a {}.\na drawing of a {}.\n")).unwrap();
    assert_eq!(crate::labels::read_templates(&path).unwrap().len(), 2);
    assert_eq!(read_text_lines(&path).unwrap()[1], "a drawing of a {}.");
}

#[test]
fn templates_and_texts_are_recognised_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("texts");
    let texts = |text: &str| {
        fs::write(&path, text).unwrap();
        read_text_lines(&path).unwrap()
    };
    assert_eq!(texts("a cat\n\n# a dog \n\n"), ["a cat", "", "# a dog", ""]);
    assert_eq!(texts("[\"a cat\", {\"text\": \"a dog\"}]"), ["a cat", "a dog"]);
    assert_eq!(
        texts("{\"text\": \"a cat\"}\n{\"text\": \"a dog\", \"n\": 1}\n"),
        ["a cat", "a dog"]
    );
    assert_eq!(texts("a cat\ra dog"), ["a cat", "a dog"]);
    fs::write(&path, "[\"a photo of a {}.\", \"{}\"]").unwrap();
    assert_eq!(crate::labels::read_templates(&path).unwrap().len(), 2);
    fs::write(&path, "[3]").unwrap();
    assert!(
        read_text_lines(&path)
            .unwrap_err()
            .to_string()
            .ends_with("expected a text")
    );
}

#[test]
fn lines_without_a_label_are_counted_in_every_format() {
    #[track_caller]
    fn check(name: &str, text: &str) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let mut list = crate::labels::LabelList::default();
        list.extend_lines(read_label_lines(&path, GROUP).unwrap()).unwrap();
        assert_eq!(list.numbered(), [Some(0), None, Some(1), Some(0), Some(2)], "{name}");
    }
    check("l.txt", "cat\n\ndog\ncat\nox\n");
    check("l.csv", "label\ncat\n\ndog\ncat\nox\n");
    check("l.csv", "label,prompt\r\ncat,\r\n,\r\ndog,\r\ncat,\r\nox,\r\n");
    check(
        "l.tsv",
        "label\tprompt\ncat\ta cat\n\ndog\ta dog\ndog\tdogs\ncat\ta cat\nox\t\n",
    );
    check("l.jsonl", "\"cat\"\n\n\"dog\"\n\"cat\"\n\"ox\"\n");
}

#[test]
fn prompts_of_many_rows_are_merged_once_each() {
    let mut list = crate::labels::LabelList::default();
    let rows = (0..3).flat_map(|_| [label("cat", &["a cat", "cats"], None), label("cat", &["kitten"], None)]);
    list.extend(rows).unwrap();
    assert_eq!(list.labels(), [label("cat", &["a cat", "cats", "kitten"], None)]);
    assert_eq!((list.numbered().len(), list.notices().len()), (6, 1));
}
