//! `longclip tokens` shows how the model reads a text.

use insta::assert_snapshot;

use crate::fixture::Desk;

#[test]
fn a_table_shows_ids_and_pieces() {
    assert_snapshot!(Desk::new().run(&["tokens", "A cat jumping.", "日本 😀"]), @r"
    exit code 0
    --- stdout
    A cat jumping.
      49406  <|startoftext|>
        320  a</w>
       2368  cat</w>
      11476  jumping</w>
        269  .</w>
      49407  <|endoftext|>
          6  tokens of 248
    日本 😀
      49406  <|startoftext|>
      39121  日
      19277  <0xe6><0x9c>
        361  <0xac></w>
       7334  😀</w>
      49407  <|endoftext|>
          6  tokens of 248
    --- stderr
    ");
}

#[test]
fn json_is_one_array_with_ids_pieces_and_count_of_each_text() {
    let output = Desk::new().output(&["tokens", "--format", "json", "A cat, jumping.", ""]);
    let texts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!([
        {
            "text": "A cat, jumping.",
            "ids": [49406, 320, 2368, 267, 11476, 269, 49407],
            "pieces": ["<|startoftext|>", "a</w>", "cat</w>", ",</w>", "jumping</w>", ".</w>", "<|endoftext|>"],
            "count": 7,
            "truncated": false
        },
        {"text": "", "ids": [49406, 49407], "pieces": ["<|startoftext|>", "<|endoftext|>"], "count": 2, "truncated": false}
    ]);
    assert_eq!(texts, expected);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_text_of_300_tokens_is_shown_truncated() {
    let text = "cat ".repeat(298);
    let output = Desk::new().output(&["tokens", "--format", "json", &text]);
    let texts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(texts[0]["count"], 300);
    assert_eq!(texts[0]["truncated"], true);
    let ids = texts[0]["ids"].as_array().unwrap();
    assert_eq!((ids.len(), ids[247].as_u64()), (248, Some(49407)));
}
