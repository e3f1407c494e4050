//! The tables of keys are the documentation's, and configs are read as their libraries read them.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::keys::{SECTIONS, Section, Treatment};
use crate::recipe::{Activation, Resize, TextPooling};
use crate::weights::names::ModelSource;
use crate::weights::{Checkpoint, LoadOptions, Notice, Tower};

/// A section as `docs/models.md` has it.
fn documented(section: &Section) -> String {
    let keys = |wanted: &dyn Fn(&Treatment) -> bool| {
        let keys = section.keys.iter().filter(|(_, treatment)| wanted(treatment));
        let keys: Vec<String> = keys.map(|(key, _)| format!("`{key}`")).collect();
        keys.join(", ")
    };
    let mut kinds = vec![
        ("carried out".to_owned(), keys(&|t| matches!(t, Treatment::CarriedOut))),
        ("compared".to_owned(), keys(&|t| matches!(t, Treatment::Compared))),
    ];
    for (_, treatment) in section.keys {
        if let Treatment::Fixed(_, what) = treatment {
            let kind = format!("refused: {what}");
            if !kinds.iter().any(|(known, _)| *known == kind) {
                let same = |t: &Treatment| matches!(t, Treatment::Fixed(_, other) if other == what);
                kinds.push((kind, keys(&same)));
            }
        }
    }
    let rows = kinds.iter().filter(|(_, keys)| !keys.is_empty());
    let rows: String = rows.map(|(kind, keys)| format!("| {kind} | {keys} |\n")).collect();
    format!("| {} | keys |\n| --- | --- |\n{rows}", section.title)
}

#[test]
fn the_documentation_lists_every_key() {
    let text = fs::read_to_string("docs/models.md").unwrap();
    let expected: Vec<String> = SECTIONS.map(documented).into();
    for section in &expected {
        assert!(
            text.contains(section),
            "docs/models.md should have these tables:\n\n{}",
            expected.join("\n")
        );
    }
}

/// nano with these files next to it.
fn nano_with(files: &[(&str, Value)]) -> crate::Result<Checkpoint> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("nano.safetensors"), crate::nano::safetensors()).unwrap();
    for (name, json) in files {
        fs::write(dir.path().join(name), json.to_string()).unwrap();
    }
    Checkpoint::open(Path::new(dir.path()), &LoadOptions::default())
}

/// nano's heads, which are not those of transformers' defaults.
fn transformers() -> Value {
    json!({
        "text_config": { "num_attention_heads": 3 },
        "vision_config": { "num_attention_heads": 3, "image_size": 64, "patch_size": 8 },
    })
}

#[track_caller]
fn check_refused(files: &[(&str, Value)], says: &[&str]) {
    let message = nano_with(files).err().unwrap().to_string();
    for part in says {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

#[test]
fn each_tower_has_its_own_activation() {
    let mut config = transformers();
    config["vision_config"]["hidden_act"] = "gelu".into();
    let nano = nano_with(&[("config.json", config.clone())]).unwrap();
    assert_eq!(nano.recipe().vision.activation, Activation::Gelu);
    assert_eq!(nano.recipe().text.activation, Activation::QuickGelu);
    config["text_config"]["hidden_act"] = "relu".into();
    check_refused(
        &[("config.json", config)],
        &["config.json", "`text_config.hidden_act` is \"relu\""],
    );
}

#[test]
fn a_config_of_other_sizes_is_refused_and_another_context_length_is_a_notice() {
    let mut config = transformers();
    config["text_config"]["max_position_embeddings"] = 77.into();
    let notices = nano_with(&[("config.json", config.clone())])
        .unwrap()
        .notices()
        .to_vec();
    assert!(
        matches!(notices.as_slice(), [Notice::OtherContextLength { stated: 77, .. }]),
        "{notices:?}"
    );
    config["text_config"]["hidden_size"] = 512.into();
    check_refused(
        &[("config.json", config)],
        &["`text_config.hidden_size` is 512", "have 192"],
    );
}

#[test]
fn unknown_keys_and_foreign_configs_are_notices() {
    let mut config = transformers();
    config["vision_config"]["new_attention"] = true.into();
    let notices = nano_with(&[("config.json", config)]).unwrap().notices().to_vec();
    let keys = vec!["vision_config.new_attention".to_owned()];
    let file = "config.json".to_owned();
    assert_eq!(
        notices,
        [Notice::UnknownKeys {
            file: file.clone(),
            keys
        }]
    );
    let foreign = nano_with(&[("config.json", json!({ "num_classes": 10 }))]).unwrap();
    assert_eq!(foreign.notices(), [Notice::NotAConfig { file }]);
}

/// The heads of a text tower alone were its width's, whatever its config says.
#[test]
fn a_tower_alone_has_the_heads_of_its_config() {
    let nano = nano_with(&[("config.json", transformers())]).unwrap();
    let half = |tower: Tower| {
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = nano
            .tensors()
            .into_iter()
            .filter(|(name, _)| Tower::of(name) == Some(tower))
            .map(|(name, shape)| {
                let values = nano.values(&name).unwrap();
                (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap();
            (name.as_str(), view)
        });
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("half.safetensors"),
            safetensors::serialize(views, None).unwrap(),
        )
        .unwrap();
        let mut config = transformers();
        for section in ["text_config", "vision_config"] {
            config[section]["num_attention_heads"] = 6.into();
        }
        fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let source = ModelSource::Path(dir.path().to_owned());
        let half = Checkpoint::open_source_for(&[tower], &source, &LoadOptions::default()).unwrap();
        [half.sizes().vision_heads, half.sizes().text_heads]
    };
    assert_eq!(half(Tower::Image)[0], 6);
    assert_eq!(half(Tower::Text)[1], 6);
}

#[test]
fn other_families_and_tokenizers_are_refused_by_name() {
    check_refused(&[("config.json", json!({ "model_type": "siglip" }))], &["SigLIP"]);
    check_refused(
        &[("config.json", json!({ "model_type": "shiny" }))],
        &["`model_type` is \"shiny\""],
    );
    check_refused(
        &[(
            "tokenizer_config.json",
            json!({ "tokenizer_class": "XLMRobertaTokenizer" }),
        )],
        &["XLMRobertaTokenizer"],
    );
}

#[test]
fn images_that_would_not_fit_the_tower_are_refused() {
    let images = |images: Value| [("config.json", transformers()), ("preprocessor_config.json", images)];
    let fits = json!({ "size": { "shortest_edge": 70 }, "crop_size": 64 });
    let nano = nano_with(&images(fits)).unwrap();
    assert_eq!(nano.recipe().pixels.resize, Resize::ShortestTo(70));
    check_refused(&images(json!({})), &["`crop_size` is missing", "64 pixels"]);
    let uncut = json!({ "size": { "shortest_edge": 64 }, "do_center_crop": false });
    check_refused(&images(uncut), &["`do_center_crop` is false"]);
    let lanczos = json!({ "size": 64, "crop_size": 64, "resample": 1 });
    check_refused(&images(lanczos), &["`resample` is 1"]);
    let other = json!({ "image_processor_type": "SiglipImageProcessor", "size": 64, "crop_size": 64 });
    check_refused(&images(other), &["SiglipImageProcessor"]);
}

#[test]
fn an_end_token_of_transformers_is_an_id_unless_it_is_the_largest() {
    let pooling = |id: Value| {
        let mut config = transformers();
        config["text_config"]["eos_token_id"] = id;
        nano_with(&[("config.json", config)]).unwrap().recipe().text.pooling
    };
    assert_eq!(pooling(2.into()), TextPooling::LargestId);
    assert_eq!(pooling(49407.into()), TextPooling::LargestId);
    assert_eq!(pooling(Value::Null), TextPooling::LargestId);
    assert_eq!(pooling(49406.into()), TextPooling::Id(49406));
}
