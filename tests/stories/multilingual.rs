//! MetaCLIP 2: a CLIP whose texts are read by the tokenizer next to its weights.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fixture::Desk;

/// The small model as a MetaCLIP 2, in the folder `world`. Its tokenizer knows a few words of three languages.
fn desk() -> Desk {
    let desk = Desk::with_pictures().and_small_model();
    let convert = ["model", "convert", "small.safetensors", "--to", "hf", "-o", "world"];
    assert_eq!(desk.output(&convert).status.code(), Some(0));
    let mut config: Value = serde_json::from_slice(&fs::read(desk.path("world/config.json")).unwrap()).unwrap();
    // Without the recipe in our own words, as transformers writes it.
    config.as_object_mut().unwrap().remove("longclip");
    config["model_type"] = "metaclip_2".into();
    config["text_config"]["eos_token_id"] = 2.into();
    fs::write(desk.path("world/config.json"), config.to_string()).unwrap();
    fs::write(desk.path("world/tokenizer.json"), tokenizer().to_string()).unwrap();
    desk
}

fn tokenizer() -> Value {
    let special = ["<s>", "<pad>", "</s>", "<unk>"].map(|token| json!([token, 0.0]));
    let words = ["▁cat", "▁Katze", "▁猫", "▁", "a"].map(|word| json!([word, -2.0]));
    let vocabulary: Vec<Value> = special.into_iter().chain(words).collect();
    json!({
        "version": "1.0",
        "added_tokens": [{
            "id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true,
        }],
        "normalizer": { "type": "NFKC" },
        "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                { "SpecialToken": { "id": "<s>", "type_id": 0 } },
                { "Sequence": { "id": "A", "type_id": 0 } },
                { "SpecialToken": { "id": "</s>", "type_id": 0 } },
            ],
            "pair": [],
            "special_tokens": {
                "<s>": { "id": "<s>", "ids": [0], "tokens": ["<s>"] },
                "</s>": { "id": "</s>", "ids": [2], "tokens": ["</s>"] },
            },
        },
        "model": { "type": "Unigram", "unk_id": 3, "byte_fallback": false, "vocab": vocabulary },
    })
}

/// The embeddings of texts.
fn embeddings(desk: &Desk, texts: &[&str]) -> Vec<Value> {
    let texts = texts.iter().flat_map(|text| ["--text", text]);
    let run: Vec<&str> = ["embed", "--model", "world"].into_iter().chain(texts).collect();
    let records = desk.records(&run).into_iter();
    records.map(|record| record["embedding"].clone()).collect()
}

#[test]
fn texts_are_read_by_the_models_own_tokenizer() {
    let desk = desk();
    let found = embeddings(&desk, &["cat", "Katze", "猫", "ｃat", "dog", "bird", "cat</s>Katze"]);
    assert!(found[0] != found[1] && found[1] != found[2] && found[0] != found[2]);
    assert_eq!(found[0], found[3], "a wide letter is normalised");
    assert_eq!(found[4], found[5], "words that the tokenizer does not know are equal");
    assert_eq!(found[0], found[6], "a text is read at its first end token");
    assert_ne!(found[0], found[4]);
}

#[test]
fn info_names_the_tokenizer() {
    let desk = desk();
    let output = desk.output(&["model", "info", "world", "--format", "json"]);
    let info: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(info["tokenizer"], "world/tokenizer.json");
    assert_eq!(info["recipe"]["text"]["pooling"], json!({ "id": 2 }));
}

#[test]
fn a_tokenizer_that_is_missing_or_broken_is_named() {
    let desk = desk();
    let run = ["embed", "--text", "cat", "--model", "world"];
    fs::write(desk.path("world/tokenizer.json"), r#"{"model":{"type":"Unigram"}}"#).unwrap();
    assert_snapshot!(desk.run(&run), @r"
    exit code 2
    --- stdout
    --- stderr
    error: cannot use `world/tokenizer.json`: it is not a tokenizer: Missing vocab at line 1 column 28
    ");
    fs::remove_file(desk.path("world/tokenizer.json")).unwrap();
    assert_snapshot!(desk.run(&run), @r"
    exit code 2
    --- stdout
    --- stderr
    error: cannot use `world/model.safetensors`: it holds a MetaCLIP 2, which needs its own tokenizer: there is no `tokenizer.json` next to it
    hint: fetch `tokenizer.json` from where the weights are from
    ");
    // A model without a config has CLIP's tokenizer.
    fs::remove_file(desk.path("world/config.json")).unwrap();
    assert_eq!(desk.output(&run).status.code(), Some(0));
}

#[test]
fn such_a_model_is_not_converted() {
    let desk = desk();
    assert_snapshot!(desk.run(&["model", "convert", "world", "--to", "openclip", "-o", "other"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: a model with a tokenizer of its own can't be converted
    hint: use its folder unchanged: `transformers` reads it
    ");
    assert!(!desk.path("other").exists());
}

#[cfg(feature = "train")]
#[test]
fn such_a_model_is_not_trained() {
    let records = "{\"path\":\"cat.jpg\",\"long\":\"a cat\"}\n{\"path\":\"coffee.jpg\",\"long\":\"a cup of coffee\"}\n";
    let desk = desk().file("data.ndjson", records);
    let run = [
        "train",
        "--base",
        "world",
        "--data",
        "data.ndjson",
        "--out",
        "run",
        "--batch",
        "2",
        "--steps",
        "1",
        "--images",
        ".",
    ];
    let said = desk.run(&run);
    assert!(
        said.contains("error: a model with a tokenizer of its own can't be trained"),
        "{said}"
    );
}
