//! The tables of keys are the documentation's, and configs are read as their libraries read them.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::keys::{SECTIONS, Section, Treatment};
use super::{openclip, transformers};
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
fn of_transformers() -> Value {
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
    let mut config = of_transformers();
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
    let mut config = of_transformers();
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
    let mut config = of_transformers();
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

/// A config in which one key has a value that is refused, read as the file of its section.
fn refused_key(section: &Section, key: &str, value: Value) -> String {
    let file = Path::new("c.json");
    let with = |object: &str| json!({ "vision_cfg": {}, "vision_config": {}, object: { key: &value } });
    let title = section.title;
    let of_open_clip = title.starts_with("`open_clip_config.json`");
    let json = match title
        .rsplit_once("`, `")
        .map(|(_, object)| object.trim_end_matches('`'))
    {
        Some("model_cfg") => json!({ "vision_cfg": {}, key: value }),
        Some("preprocess_cfg") => json!({ "model_cfg": { "vision_cfg": {} }, "preprocess_cfg": { key: value } }),
        Some(object) if title.starts_with("`preprocessor") => {
            assert_eq!(object, "image_processor");
            let images = json!({ key: value });
            let read = transformers::pixels(file, "", images.as_object().unwrap(), 224);
            return read.err().unwrap().to_string();
        }
        Some(object) => with(object.trim_start_matches("model_cfg.")),
        None => json!({ "vision_config": {}, key: value }),
    };
    let read = match of_open_clip {
        true => openclip::read(file, &json),
        false => transformers::read(file, &json),
    };
    read.err().unwrap().to_string()
}

#[test]
fn every_key_that_is_refused_is_refused_by_its_name() {
    let mut said = Vec::new();
    for section in SECTIONS {
        for (key, treatment) in section.keys {
            if let Treatment::Fixed(accepted, _) = treatment {
                let value = match accepted.contains(&"false") {
                    true => json!(true),
                    false => json!("other"),
                };
                said.push(refused_key(section, key, value));
            }
        }
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    cannot use `c.json`: `multimodal_cfg` is "other": CoCa, which also writes captions, which longclip does not compute
    cannot use `c.json`: `init_logit_bias` is "other": a bias of the logits (SigLIP), which longclip does not compute
    cannot use `c.json`: `vision_cfg.attentional_pool` is true: attention pooling, which longclip does not compute
    cannot use `c.json`: `vision_cfg.block_type` is "other": another kind of block, which longclip does not compute
    cannot use `c.json`: `vision_cfg.eva_model_name` is "other": an image tower of EVA-CLIP, which longclip does not compute
    cannot use `c.json`: `vision_cfg.global_average_pool` is true: the pooling of early versions of open_clip, which longclip does not compute
    cannot use `c.json`: `vision_cfg.input_patchnorm` is true: a layer norm of the patches' pixels, which longclip does not compute
    cannot use `c.json`: `vision_cfg.ls_init_value` is "other": layer scale, which longclip does not compute
    cannot use `c.json`: `vision_cfg.qk_norm` is true: a layer norm of queries and keys, which longclip does not compute
    cannot use `c.json`: `vision_cfg.rope` is true: rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `vision_cfg.scale_attn` is true: scaled attention, which longclip does not compute
    cannot use `c.json`: `vision_cfg.scale_attn_inner` is true: scaled attention, which longclip does not compute
    cannot use `c.json`: `vision_cfg.scale_fc` is true: a layer norm in the MLPs, which longclip does not compute
    cannot use `c.json`: `vision_cfg.scale_heads` is true: scaled attention, which longclip does not compute
    cannot use `c.json`: `vision_cfg.scaled_cosine_attn` is true: scaled attention, which longclip does not compute
    cannot use `c.json`: `text_cfg.block_type` is "other": another kind of block, which longclip does not compute
    cannot use `c.json`: `text_cfg.correct_cls_mask` is true: a class embedding in the text tower, which longclip does not compute
    cannot use `c.json`: `text_cfg.embed_cls` is true: a class embedding in the text tower, which longclip does not compute
    cannot use `c.json`: `text_cfg.hf_model_name` is "other": a text tower of transformers, which longclip does not compute
    cannot use `c.json`: `text_cfg.hf_tokenizer_name` is "other": a tokenizer other than CLIP's, which longclip does not compute
    cannot use `c.json`: `text_cfg.ls_init_value` is "other": layer scale, which longclip does not compute
    cannot use `c.json`: `text_cfg.proj_type` is "other": another text projection, which longclip does not compute
    cannot use `c.json`: `text_cfg.qk_norm` is true: a layer norm of queries and keys, which longclip does not compute
    cannot use `c.json`: `text_cfg.scale_attn` is true: scaled attention, which longclip does not compute
    cannot use `c.json`: `text_cfg.scale_attn_inner` is true: scaled attention, which longclip does not compute
    cannot use `c.json`: `text_cfg.scale_fc` is true: a layer norm in the MLPs, which longclip does not compute
    cannot use `c.json`: `text_cfg.scale_heads` is true: scaled attention, which longclip does not compute
    cannot use `c.json`: `text_cfg.scaled_cosine_attn` is true: scaled attention, which longclip does not compute
    cannot use `c.json`: `text_cfg.tokenizer_kwargs` is "other": another cleaning of texts, which longclip does not compute
    cannot use `c.json`: `text_cfg.tokenizer_mode` is "other": a tokenizer other than CLIP's, which longclip does not compute
    cannot use `c.json`: `text_cfg.use_pad_mask` is true: a mask of the padding, which longclip does not compute
    cannot use `c.json`: `preprocess_cfg.mode` is "other": images that are not RGB, which longclip does not compute
    cannot use `c.json`: `model_type` is "other": another kind of model, which longclip does not compute
    cannot use `c.json`: `quantization_config` is "other": quantised weights, which longclip does not compute
    cannot use `c.json`: `rope` is true: rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `vision_config.model_type` is "other": another image tower, which longclip does not compute
    cannot use `c.json`: `vision_config.num_channels` is "other": images that are not RGB, which longclip does not compute
    cannot use `c.json`: `vision_config.qk_norm` is true: a layer norm of queries and keys, which longclip does not compute
    cannot use `c.json`: `vision_config.quantization_config` is "other": quantised weights, which longclip does not compute
    cannot use `c.json`: `vision_config.rope_parameters` is "other": rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `vision_config.rope_scaling` is "other": rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `vision_config.rope_theta` is "other": rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `vision_config.use_rope` is true: rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `text_config.model_type` is "other": another text tower, which longclip does not compute
    cannot use `c.json`: `text_config.qk_norm` is true: a layer norm of queries and keys, which longclip does not compute
    cannot use `c.json`: `text_config.quantization_config` is "other": quantised weights, which longclip does not compute
    cannot use `c.json`: `text_config.rope_parameters` is "other": rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `text_config.rope_scaling` is "other": rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `text_config.rope_theta` is "other": rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `text_config.use_rope` is true: rotary positions (RoPE), which longclip does not compute
    cannot use `c.json`: `crop_pct` is "other": a processor of images other than CLIP's, which longclip does not compute
    cannot use `c.json`: `default_to_square` is true: a processor of images other than CLIP's, which longclip does not compute
    cannot use `c.json`: `do_flip_channel_order` is true: images that are not RGB, which longclip does not compute
    cannot use `c.json`: `do_pad` is true: a padding of images, which longclip does not compute
    cannot use `c.json`: `feature_extractor_type` is "other": a processor of images other than CLIP's, which longclip does not compute
    cannot use `c.json`: `image_processor_type` is "other": a processor of images other than CLIP's, which longclip does not compute
    "#);
}

/// The heads of a text tower alone were its width's, whatever its config says.
#[test]
fn a_tower_alone_has_the_heads_of_its_config() {
    let nano = nano_with(&[("config.json", of_transformers())]).unwrap();
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
        let mut config = of_transformers();
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
    let images = |images: Value| [("config.json", of_transformers()), ("preprocessor_config.json", images)];
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
        let mut config = of_transformers();
        config["text_config"]["eos_token_id"] = id;
        nano_with(&[("config.json", config)]).unwrap().recipe().text.pooling
    };
    assert_eq!(pooling(2.into()), TextPooling::LargestId);
    assert_eq!(pooling(49407.into()), TextPooling::LargestId);
    assert_eq!(pooling(Value::Null), TextPooling::LargestId);
    assert_eq!(pooling(49406.into()), TextPooling::Id(49406));
}
