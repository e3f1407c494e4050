//! Tests with files that hold more or fewer towers and tables of text positions than a CLIP: which are used, and which are
//! refused.

use std::collections::BTreeMap;

use super::layouts::{self, Assembly, Layout};
use super::malformed_files::*;
use super::names::ModelSource;
use super::stored::{FileFormat, TensorFile};
use super::{Activation, CLIP_CONTEXT_LENGTH, Checkpoint, FIXED_ROWS, LoadOptions, TextPositions, Tower};
use crate::recipe::Resize;

/// The layout whose name begins so.
/// A file in a layout, with a second table of text positions.
fn with_two_tables(layout: &Layout) -> File {
    let mut file = written(layout);
    let none = TensorFile {
        path: "none".into(),
        format: FileFormat::Safetensors,
        blobs: Vec::new(),
        tensors: BTreeMap::new(),
    };
    let shape = vec![SIZES.stored_context_length, SIZES.text_width];
    let name = match (layout.assembly)(&none, "positional_embedding_res") {
        Assembly::AsStored(_) if layouts::is_fgclip(layout) => {
            "text_model.embeddings.position_embedding_res.weight".to_owned()
        }
        Assembly::AsStored(name) => name,
        other => panic!("{other:?}"),
    };
    let values = values_of("the second table", &shape);
    file.insert(name, (shape, values));
    file
}

#[test]
fn of_two_tables_those_of_the_models_own_code_are_used_and_others_can_be_chosen() {
    let said = |layout, positions| {
        let options = LoadOptions {
            positions,
            ..LoadOptions::default()
        };
        let checkpoint = Checkpoint::from_bytes("tiny", bytes(&with_two_tables(layout)), &options).unwrap();
        let positions = checkpoint.text_positions().unwrap();
        let table = |name: &str| values_of(name, &[SIZES.stored_context_length, SIZES.text_width]);
        let (first, second) = (table("positional_embedding"), table("the second table"));
        let (near, far) = (0, FIXED_ROWS * SIZES.text_width);
        assert_eq!(positions[near], first[near]);
        let notices: Vec<String> = checkpoint.notices().iter().map(ToString::to_string).collect();
        let far = match positions[far] {
            value if value == first[far] => "first",
            value if value == second[far] => "second",
            value => panic!("{value}"),
        };
        format!("row 20 of the {far} table {}", notices.join("; "))
    };
    let first = Some(TextPositions::First);
    insta::assert_snapshot!([
        said(layout("OpenAI"), None),
        said(layout("OpenAI"), first),
        said(layout("open_clip"), None),
        said(layout("open_clip"), Some(TextPositions::Joined)),
        said(layout("FG-CLIP"), None),
    ].join("\n"), @r#"
    row 20 of the second table 
    row 20 of the first table 
    row 20 of the first table `tiny` has two tables of text positions, of which the first is used, as the code of DeBias-CLIP does; `Control::TextPositions("joined")` joins them as Long-CLIP's
    row 20 of the second table 
    row 20 of the second table `tiny` is an FG-CLIP: images are squashed and texts are read as long ones, as its code does; `Control::TextPositions("short")` reads short texts of up to 77 tokens
    "#);
}

#[test]
fn text_positions_that_a_file_does_not_have_are_refused() {
    let refused = |positions| {
        let options = LoadOptions {
            positions: Some(positions),
            ..LoadOptions::default()
        };
        let file = bytes(&written(layout("OpenAI")));
        Checkpoint::from_bytes("tiny", file, &options)
            .err()
            .unwrap()
            .to_string()
    };
    insta::assert_snapshot!([TextPositions::First, TextPositions::Short].map(refused).join("\n"), @r"
    `tiny` has one table of text positions, so there is nothing to choose with `first`
    `tiny` is not an FG-CLIP, which has a table of text positions for short texts
    ");
}

/// FG-CLIP's file for both kinds of texts.
#[test]
fn an_fg_clip_is_read_for_short_texts_too() {
    let mut file = with_two_tables(layout("FG-CLIP"));
    let short = [
        vec![CLIP_CONTEXT_LENGTH, SIZES.text_width],
        vec![SIZES.embed_dim, SIZES.text_width],
    ];
    let names = [
        "text_model.embeddings.position_embedding.weight",
        "text_projection.weight",
    ];
    for (name, shape) in names.into_iter().zip(short) {
        file.insert(name.into(), (shape.clone(), values_of(name, &shape)));
    }
    let options = LoadOptions {
        positions: Some(TextPositions::Short),
        ..LoadOptions::default()
    };
    let checkpoint = Checkpoint::from_bytes("tiny", bytes(&file), &options).unwrap();
    assert_eq!(checkpoint.sizes().context_length, CLIP_CONTEXT_LENGTH);
    assert_eq!(checkpoint.text_positions().unwrap(), file[names[0]].1);
    assert_eq!(checkpoint.recipe().pixels.resize, Resize::Squash);
    let long = Checkpoint::from_bytes("tiny", bytes(&file), &LoadOptions::default()).unwrap();
    assert_ne!(checkpoint.content_digest(), long.content_digest());
}

#[test]
fn an_image_tower_of_timm_is_read_with_its_config_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("open_clip_model.safetensors");
    let mut file = written(layouts::of_timm());
    file.insert(
        "visual.trunk.head.bias".into(),
        (vec![SIZES.embed_dim], vec![0.5; SIZES.embed_dim]),
    );
    std::fs::write(&path, bytes(&file)).unwrap();
    let error = Checkpoint::open(&path, &LoadOptions::default()).err().unwrap();
    let hint = error.hint().unwrap().to_string();
    let said = format!("{error}\n{hint}").replace(dir.path().join("").to_str().unwrap(), "DIR/");
    insta::assert_snapshot!(said, @r"
    cannot use `DIR/open_clip_model.safetensors`: its image tower is one of timm, and no config says how it is computed
    put its `open_clip_config.json` next to it, or `config.json` with open_clip's `vision_cfg`
    ");
    let config = r#"{ "vision_cfg": { "timm_model_name": "vit_base_patch8_clip_16", "timm_pool": "token", "timm_proj": null,
        "image_size": 16 }, "text_cfg": { "heads": 2, "layers": 1, "no_causal_mask": true } }"#;
    std::fs::write(dir.path().join("open_clip_config.json"), config).unwrap();
    let checkpoint = Checkpoint::open(&path, &LoadOptions::default()).unwrap();
    assert_eq!(
        (checkpoint.sizes().vision_heads, checkpoint.sizes().vision_layers),
        (1, 2)
    );
    assert!(checkpoint.recipe().vision.biased_projection);
    assert_eq!(checkpoint.recipe().vision.activation, Activation::Gelu);
    for (name, shape) in checkpoint
        .tensors()
        .into_iter()
        .filter(|(name, _)| name != "visual.proj_bias")
    {
        assert_eq!(checkpoint.values(&name).unwrap(), values_of(&name, &shape), "{name}");
    }
    let notices: Vec<String> = checkpoint.notices().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(notices.join("\n"), @"`open_clip_config.json` has no `preprocess_cfg`, so images are prepared as CLIP's");
}

#[test]
fn one_tower_is_read_if_no_other_is_needed() {
    for layout in layouts::all() {
        for tower in Tower::BOTH {
            let names = SIZES.tensors().into_iter().map(|(name, _)| name);
            let others: Vec<String> = names.filter(|name| Tower::of(name) != Some(tower)).collect();
            let whole = written(layout);
            let mut file = whole.clone();
            let none = Checkpoint::from_bytes("tiny", bytes(&whole), &LoadOptions::default()).unwrap();
            for part in others.iter().flat_map(|name| none.stored_names(name)) {
                file.remove(&part);
            }
            let message = read(bytes(&file)).err().unwrap().to_string();
            assert!(
                message.contains("a CLIP has both a text and an image tower"),
                "{message}"
            );
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("half.safetensors");
            std::fs::write(&path, bytes(&file)).unwrap();
            let half =
                Checkpoint::open_source_for(&[tower], &ModelSource::Path(path), &LoadOptions::default()).unwrap();
            assert_eq!(half.towers(), [tower]);
            for (name, shape) in half.tensors() {
                assert_eq!(
                    half.values(&name).unwrap().len(),
                    shape.iter().product::<usize>(),
                    "{name}"
                );
            }
        }
    }
}
