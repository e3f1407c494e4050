//! The vocabulary of a model that brings its own.

#![no_main]

use longclip::text::{ContextLength, Tokenizer};

longclip_fuzz::target!(|data| {
    if let Ok(tokenizer) = Tokenizer::from_file(&longclip_fuzz::file("tokenizer.json", data)) {
        for text in ["", "A cat, née Pr\u{fdfa}ß. 猫", "<s> a</s>"] {
            for context in [2, 5, 248] {
                let context = ContextLength::new(context).expect("room for two tokens");
                let tokens = tokenizer.encode(text, context);
                assert_eq!(tokens.ids().len(), tokens.pieces().len());
                assert!(tokens.lost().len() <= text.len());
                assert_eq!(tokens.truncated(), tokens.lost_count() > 0);
            }
        }
    }
});
