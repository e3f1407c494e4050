//! Any text as a label.

#![no_main]

use longclip::text::{ContextLength, Tokenizer, clean, printable, printable_lines, sentences};

longclip_fuzz::target!(|data| {
    let text = String::from_utf8_lossy(data);
    let tokens = Tokenizer::clip().encode(&text, ContextLength::LONG);
    assert!((2..=248).contains(&tokens.ids().len()), "{} ids", tokens.ids().len());
    assert_eq!(tokens.truncated(), tokens.count() > 248);
    // The text tower has one row for each id.
    assert!(tokens.ids().iter().all(|id| *id < 49408));
    assert!(tokens.count() <= 3 * text.len() + 2);
    let _ = clean(&text);
    assert!(sentences(&text).concat().len() <= text.len());
    assert!(!printable(&text).contains('\u{1b}') && !printable_lines(&text).contains('\u{1b}'));
});
