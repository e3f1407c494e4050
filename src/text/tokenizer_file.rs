//! A tokenizer that a model brings along as `tokenizer.json`, by the `tokenizers` crate.
//!
//! For models whose vocabulary is not CLIP's, such as MetaCLIP 2. The file says how a text is normalised and split, so
//! nothing is cleaned here. A long text keeps its first tokens and those that the file adds around them, as transformers
//! truncates it.

use tokenizers::{PostProcessor, Tokenizer, TruncationDirection};

use super::ContextLength;
use super::tokens::{Tokens, start_of_char};
use crate::error::caught;

/// The tokenizer of one file.
pub(super) struct FileTokenizer {
    tokenizer: Tokenizer,
    /// The tokens around each text, such as `<s>` and `</s>`.
    n_added: usize,
}

impl FileTokenizer {
    /// Reads the JSON of a tokenizer; the error says what is wrong with it.
    pub(super) fn from_json(json: &[u8]) -> Result<Self, String> {
        let read = || -> tokenizers::Result<Tokenizer> {
            let mut tokenizer = Tokenizer::from_bytes(json)?;
            // A text is cut at the context of its model, and never padded.
            tokenizer.with_padding(None).with_truncation(None)?;
            Ok(tokenizer)
        };
        // The crate panics at some bytes that it does not expect.
        let tokenizer = caught(read).map_err(|bug| bug.to_string())?;
        let tokenizer = tokenizer.map_err(|error| error.to_string())?;
        let n_added = tokenizer
            .get_post_processor()
            .map_or(0, |added| added.added_tokens(false));
        Ok(FileTokenizer { tokenizer, n_added })
    }

    /// The ids of a text; none if the file can't encode it.
    pub(super) fn encode(&self, text: &str, context: ContextLength) -> Tokens {
        caught(|| self.tokens(text, context))
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default()
    }

    fn tokens(&self, text: &str, context: ContextLength) -> tokenizers::Result<Tokens> {
        let mut content = self.tokenizer.encode(text, false)?;
        let n_content = content.len();
        let room = context.get().saturating_sub(self.n_added);
        let cut = content.get_offsets().get(room).map_or(text.len(), |(start, _)| *start);
        content.truncate(room, 0, TruncationDirection::Right);
        content.take_overflowing();
        let n_lost = n_content - content.len();
        let whole = self.tokenizer.post_process(content, None, true)?;
        Ok(Tokens {
            ids: whole.get_ids().to_vec(),
            // Counted in the result: a file's template may repeat the text, or leave it out.
            count: whole.len() + n_lost,
            lost: text[start_of_char(text, cut.min(text.len()))..].to_owned(),
            pieces: Some(whole.get_tokens().to_vec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Words of one letter and their spaces, between `<s>` and `</s>`.
    fn tokenizer() -> Value {
        let special = |token: &str, id: u32| (token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] }));
        let vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "▁b", "▁é"].map(|piece| json!([piece, -1.0]));
        json!({
            "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [
                    { "SpecialToken": { "id": "<s>", "type_id": 0 } },
                    { "Sequence": { "id": "A", "type_id": 0 } },
                    { "SpecialToken": { "id": "</s>", "type_id": 0 } },
                ],
                "pair": [],
                "special_tokens": Value::Object([special("<s>", 0), special("</s>", 2)].into_iter().collect()),
            },
            // A file's own cut and padding are not used.
            "truncation": { "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0 },
            "padding": {
                "strategy": { "Fixed": 9 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 1,
                "pad_type_id": 0, "pad_token": "<pad>",
            },
            "model": { "type": "Unigram", "unk_id": 3, "vocab": vocabulary },
        })
    }

    fn read(json: &Value) -> Result<FileTokenizer, String> {
        FileTokenizer::from_json(json.to_string().as_bytes())
    }

    #[test]
    fn a_long_text_keeps_its_first_tokens_and_those_around_them() {
        let file = read(&tokenizer()).unwrap();
        let tokens = |context| file.encode("a é b", ContextLength::new(context).unwrap());
        let whole = tokens(5);
        assert_eq!(
            (whole.ids(), whole.count(), whole.lost()),
            (&[0, 4, 6, 5, 2][..], 5, "")
        );
        assert_eq!(whole.pieces(), ["<s>", "▁a", "▁é", "▁b", "</s>"]);
        let cut = tokens(4);
        assert_eq!((cut.ids(), cut.count(), cut.lost().trim()), (&[0, 4, 6, 2][..], 5, "b"));
        assert_eq!(tokens(2).ids(), [0, 2]);
        assert_eq!(file.encode("a é b", ContextLength::UNLIMITED), whole);
    }

    #[test]
    fn a_template_that_repeats_a_text_or_leaves_it_out_is_counted_as_it_is() {
        let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
        for template in [json!([text, text]), json!([])] {
            let mut file = tokenizer();
            file["post_processor"]["single"] = template.clone();
            let tokens = read(&file).unwrap().encode("a é", ContextLength::LONG);
            assert_eq!((tokens.count(), tokens.lost_count()), (tokens.ids().len(), 0));
            assert_eq!(tokens.ids().is_empty(), template == json!([]));
        }
    }

    #[test]
    fn what_is_not_a_tokenizer_is_an_error() {
        for json in ["", "{}", "[1]", "\u{0}"] {
            assert!(FileTokenizer::from_json(json.as_bytes()).is_err(), "{json}");
        }
        let mut outside = tokenizer();
        outside["model"]["unk_id"] = 99.into();
        assert!(read(&outside).is_err());
    }

    #[test]
    fn a_text_that_can_not_be_encoded_has_no_ids() {
        let mut without = tokenizer();
        without["model"].as_object_mut().unwrap().remove("unk_id");
        let file = read(&without).unwrap();
        assert!(file.encode("x", ContextLength::LONG).ids().is_empty());
    }
}
