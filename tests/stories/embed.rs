//! `longclip embed` writes embeddings for use in other programs.

use insta::assert_snapshot;
use serde_json::Value;

use crate::fixture::Desk;
use crate::recipe::{Positions, Stored, write_safetensors};
use crate::reference::Golden;

const SMALL: [&str; 2] = ["--model", "small.safetensors"];

fn numbers(record: &Value) -> Vec<f64> {
    let embedding = record["embedding"].as_array().unwrap().iter();
    embedding.map(|v| v.as_f64().unwrap()).collect()
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn writes_one_record_per_text_and_image() {
    let desk = Desk::with_pictures().and_small_model();
    let arguments = ["embed", "cat.jpg", "coffee.jpg", "--text", "a cat", "--text", "a, b"];
    let records = desk.records(&[&arguments[..], &SMALL].concat());
    let named: Vec<&str> = records
        .iter()
        .map(|record| record.get("path").or(record.get("text")).unwrap().as_str().unwrap())
        .collect();
    assert_eq!(named, ["a cat", "a, b", "cat.jpg", "coffee.jpg"]);
    assert!(records.iter().all(|record| numbers(record).len() == 64));
}

/// Writes the tensors of `small.safetensors` that belong to a tower, by their names.
fn write_half(desk: &Desk, name: &str, belongs: fn(&str) -> bool) {
    let bytes = std::fs::read(desk.path("small.safetensors")).unwrap();
    let header_end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&bytes[8..header_end]).unwrap();
    let (mut kept, mut data) = (serde_json::Map::new(), Vec::new());
    for (tensor, mut entry) in header {
        if belongs(&tensor) && tensor != "logit_scale" {
            let at = |i: usize| header_end + entry["data_offsets"][i].as_u64().unwrap() as usize;
            let start = data.len();
            data.extend_from_slice(&bytes[at(0)..at(1)]);
            entry["data_offsets"] = serde_json::json!([start, data.len()]);
            kept.insert(tensor, entry);
        }
    }
    let header = serde_json::to_vec(&kept).unwrap();
    let file = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
    std::fs::write(desk.path(name), file).unwrap();
}

#[test]
fn half_a_clip_embeds_what_it_reads() {
    let desk = Desk::with_pictures().and_small_model();
    write_half(&desk, "images.safetensors", |name| name.starts_with("visual."));
    write_half(&desk, "texts.safetensors", |name| !name.starts_with("visual."));
    for (what, half) in [
        (&["cat.jpg"][..], "images.safetensors"),
        (&["--text", "a cat"], "texts.safetensors"),
    ] {
        let whole = desk.records(&[&["embed"], what, &SMALL[..]].concat());
        assert_eq!(desk.records(&[&["embed"], what, &["--model", half]].concat()), whole);
    }
    assert_snapshot!(desk.run(&["embed", "cat.jpg", "--model", "texts.safetensors"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `texts.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): no image tower: a CLIP has both a text and an image tower
    hint: only texts can be embedded with this half of a CLIP; for all else use a file with both towers
    ");
    assert_snapshot!(desk.run(&["classify", "cat.jpg", "--label", "a cat", "--model", "images.safetensors"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: `images.safetensors` does not hold a whole CLIP (OpenAI / Long-CLIP layout): no text tower: a CLIP has both a text and an image tower
    hint: only images can be embedded with this half of a CLIP; for all else use a file with both towers
    ");
}

#[test]
fn embeddings_have_unit_length_only_with_normalize() {
    let desk = Desk::with_pictures().and_small_model();
    let plain = desk.records(&[&["embed", "cat.jpg", "--text", "a cat"], &SMALL[..]].concat());
    let unit = desk.records(&[&["embed", "cat.jpg", "--text", "a cat", "--normalize"], &SMALL[..]].concat());
    for (plain, unit) in plain.iter().zip(&unit) {
        let (plain, unit) = (numbers(plain), numbers(unit));
        assert!((length(&plain) - 1.0).abs() > 0.1, "{}", length(&plain));
        assert!((length(&unit) - 1.0).abs() < 1e-6, "{}", length(&unit));
        assert!(
            plain
                .iter()
                .zip(&unit)
                .all(|(p, u)| (p / length(&plain) - u).abs() < 1e-6)
        );
    }
}

#[test]
fn embeddings_of_an_image_and_a_text_give_classifys_cosine() {
    let desk = Desk::with_pictures().and_small_model();
    let vectors = desk.records(&[&["embed", "cat.jpg", "--text", "a cat", "--normalize"], &SMALL[..]].concat());
    let (text, picture) = (numbers(&vectors[0]), numbers(&vectors[1]));
    let cosine: f64 = text.iter().zip(&picture).map(|(a, b)| a * b).sum();
    let scored = desk.records(
        &[
            &["classify", "cat.jpg", "--label", "a cat", "--format", "ndjson"],
            &SMALL[..],
        ]
        .concat(),
    );
    assert!((cosine - scored[0]["labels"][0]["cosine"].as_f64().unwrap()).abs() < 1e-6);
}

#[test]
fn an_image_that_fails_gives_a_record_and_an_exit_code() {
    let desk = Desk::new().and_small_model();
    assert_snapshot!(desk.run(&["embed", "missing.jpg", "--model", "small.safetensors"]), @r#"
    exit code 2
    --- stdout
    {"path":"missing.jpg","error":"cannot read `missing.jpg`: No such file or directory"}
    --- stderr
    error: cannot read `missing.jpg`: No such file or directory
    "#);
}

#[test]
fn a_model_that_cannot_read_words_is_refused() {
    // A vocabulary of a thousand token ids is too small for words.
    let desk = Desk::new();
    let config = Golden::read("model-tiny.json").config;
    write_safetensors(&desk.path("tiny.safetensors"), &config, Positions::Long, Stored::F16).unwrap();
    assert_snapshot!(desk.run(&["embed", "--text", "a cat", "--model", "tiny.safetensors"]), @r"
    exit code 2
    --- stdout
    --- stderr
    error: token id 49406; this model has ids up to 999
    hint: its vocabulary is not that of CLIP's tokenizer: this is not a model for texts
    ");
}

#[test]
fn nothing_to_embed_is_refused() {
    let output = Desk::new().output(&["embed"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("neither images nor texts given"));
}
